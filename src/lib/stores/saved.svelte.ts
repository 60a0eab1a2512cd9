/** The views that were saved in this browser. */

import { MOST_VIEWS, parseSaved, withView, type SavedView } from '../saved.ts';

const KEY = 'rowcast.views';

export class SavedViews {
	list: SavedView[] = $state.raw([]);
	/** Why a change could not be kept. */
	problem: string | null = $state(null);

	/** Reads what is kept; another tab may have changed it. */
	read(): void {
		this.problem = null;
		try {
			this.list = parseSaved(localStorage.getItem(KEY));
		} catch {
			this.list = [];
		}
	}

	/** Keeps a view by a name; one that has it is replaced. */
	save(name: string, address: string): void {
		this.read();
		const list = withView(this.list, name, address);
		if (list.length > MOST_VIEWS) this.problem = `There are ${MOST_VIEWS} views: delete one first.`;
		else this.#keep(list);
	}

	/** Gives a view another name, unless one has it. */
	rename(name: string, to: string): void {
		this.read();
		if (name === to) return;
		if (this.list.some((view) => view.name === to)) this.problem = `There is a view named ${to}.`;
		else this.#keep(this.list.map((view) => (view.name === name ? { ...view, name: to } : view)));
	}

	remove(name: string): void {
		this.read();
		this.#keep(this.list.filter((view) => view.name !== name));
	}

	#keep(list: SavedView[]): void {
		try {
			localStorage.setItem(KEY, JSON.stringify(list));
			this.list = list;
		} catch {
			this.problem = 'This browser keeps nothing for this page.';
		}
	}
}

/** Changes that were picked out of the ledger, to be undone together. */

import { SvelteMap } from 'svelte/reactivity';
import { indexOf, linesBetween, type Entry, type Line } from '../lines.ts';
import type { Change } from '../protocol.ts';

/** As many as a script is read for. */
export const MOST_PICKS = 2000;

export class Picks {
	/** By `seq`. */
	readonly chosen = new SvelteMap<string, Change>();
	/** Changes that a picked line stands for, but which the feed does not hold; by its id. */
	readonly #leftOut = new SvelteMap<string, number>();
	/** Where a range begins: the line that was picked last. */
	#anchor: string | null = null;

	/** How many changes the picked lines stand for beyond those that are chosen. */
	get leftOut(): number {
		return [...this.#leftOut.values()].reduce((sum, rows) => sum + rows, 0);
	}

	/** Puts what a line stands for in or, where all of it is in, takes it out. */
	toggle(line: Line): void {
		this.#anchor = line.id;
		if (this.has(line)) {
			this.#leftOut.delete(line.id);
			for (const { seq } of changesOf(line)) this.chosen.delete(seq);
		} else this.#add(line);
	}

	/** Puts in every line from the one that was picked last to this one. */
	extend(line: Line, entries: readonly Entry[]): void {
		const from = this.#anchor === null ? -1 : indexOf(entries, this.#anchor);
		const to = indexOf(entries, line.id);
		if (from < 0 || to < 0) return this.toggle(line);
		const lines = linesBetween(entries, Math.min(from, to), Math.abs(from - to) + 1);
		lines.forEach((each) => this.#add(each));
	}

	clear(): void {
		this.chosen.clear();
		this.#leftOut.clear();
		this.#anchor = null;
	}

	/** Whether all that a line stands for is picked. */
	has(line: Line): boolean {
		if (this.chosen.size === 0) return false;
		const changes = changesOf(line);
		return changes.length > 0 && changes.every(({ seq }) => this.chosen.has(seq));
	}

	#add(line: Line): void {
		for (const change of changesOf(line))
			if (this.chosen.size < MOST_PICKS) this.chosen.set(change.seq, change);
		if (line.kind === 'transaction' && line.omitted > 0) this.#leftOut.set(line.id, line.omitted);
	}
}

/** What a line stands for that can be undone: references are no changes. */
function changesOf(line: Line): Change[] {
	if (line.kind === 'change') return line.change.op === 'REFERENCE' ? [] : [line.change];
	if (line.kind === 'run') return line.changes;
	return line.kind === 'transaction' ? line.transaction.changes : [];
}

/** Whether a line can be picked. */
export function isPickable(line: Line): boolean {
	return changesOf(line).length > 0;
}

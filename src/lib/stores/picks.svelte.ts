/** Changes that were picked out of the ledger, to be undone together. */

import { SvelteMap } from 'svelte/reactivity';
import { indexOf, linesBetween, type Entry, type Line } from '../lines.ts';
import type { Change } from '../protocol.ts';

/** As many as a script is read for. */
export const MOST_PICKS = 2000;

export class Picks {
	/** By `seq`. */
	readonly chosen = new SvelteMap<string, Change>();
	/** Where a range begins: the line that was picked last. */
	#anchor: string | null = null;

	/** Puts what a line stands for in or, where all of it is in, takes it out. */
	toggle(line: Line): void {
		this.#anchor = line.id;
		if (this.has(line)) for (const { seq } of changesOf(line)) this.chosen.delete(seq);
		else this.#add(changesOf(line));
	}

	/** Puts in every line from the one that was picked last to this one. */
	extend(line: Line, entries: readonly Entry[]): void {
		const from = this.#anchor === null ? -1 : indexOf(entries, this.#anchor);
		const to = indexOf(entries, line.id);
		if (from < 0 || to < 0) return this.toggle(line);
		const lines = linesBetween(entries, Math.min(from, to), Math.abs(from - to) + 1);
		this.#add(lines.flatMap(changesOf));
	}

	clear(): void {
		this.chosen.clear();
		this.#anchor = null;
	}

	/** Whether all that a line stands for is picked. */
	has(line: Line): boolean {
		if (this.chosen.size === 0) return false;
		const changes = changesOf(line);
		return changes.length > 0 && changes.every(({ seq }) => this.chosen.has(seq));
	}

	#add(changes: readonly Change[]): void {
		for (const change of changes) if (this.chosen.size < MOST_PICKS) this.chosen.set(change.seq, change);
	}
}

/** What a line stands for that can be undone: references are no changes. */
function changesOf(line: Line): Change[] {
	if (line.kind === 'change') return line.change.op === 'REFERENCE' ? [] : [line.change];
	return line.kind === 'transaction' ? line.transaction.changes : [];
}

/** Whether a line can be picked. */
export function isPickable(line: Line): boolean {
	return line.kind === 'transaction' || (line.kind === 'change' && line.change.op !== 'REFERENCE');
}

/**
 * How a person stands to the feed.
 *
 *     live ── scrolled, a line chosen or opened ──► reading ── back at the top, or `.` ──► live
 *     live, reading ── Space ──► paused ── Space or `.` ──► live
 *
 * Live, the ledger is the feed itself. Otherwise it is a frozen copy, in which nothing moves; what arrives meanwhile is
 * counted as waiting.
 */

import { height, indexOf, linesBetween, toggle, type Entry, type Line, type Transaction } from '../lines.ts';
import type { Change } from '../protocol.ts';
import type { Board } from './board.svelte.ts';

export type Stance = 'live' | 'reading' | 'paused';

export class Ledger {
	stance: Stance = $state('live');
	/** What arrived since the copy was made: all that was counted, and what matches the condition of the filter. */
	waiting = $state.raw({ rows: 0, matching: 0 });
	/** The line that the keyboard stands on. */
	selected: string | null = $state(null);
	/** The change whose detail is open. */
	open: Change | null = $state.raw(null);
	#copy: readonly Entry[] | null = null;

	/** `fill` loads a page of what a transaction's card leaves out. */
	constructor(
		readonly board: Board,
		readonly fill: (card: Transaction) => void
	) {}

	get entries(): readonly Entry[] {
		return this.#copy ?? this.board.feed.entries;
	}

	/** Lines in all. */
	height(): number {
		return height(this.entries);
	}

	lines(first: number, count: number): Line[] {
		return linesBetween(this.entries, first, count);
	}

	/** Holds the ledger still. */
	hold(stance: 'reading' | 'paused'): void {
		if (stance === 'reading' && this.stance !== 'live') return;
		if (!this.#copy) {
			this.#copy = this.board.feed.entries.slice();
			this.board.feed.frozenAt = performance.now();
			this.waiting = { rows: 0, matching: 0 };
		}
		this.stance = stance;
	}

	/** Shows the newest again. */
	follow(): void {
		this.#copy = null;
		this.board.feed.frozenAt = -1;
		this.stance = 'live';
		this.selected = null;
		this.open = null;
		this.waiting = { rows: 0, matching: 0 };
		this.board.touch();
	}

	togglePause(): void {
		if (this.stance === 'paused') this.follow();
		else this.hold('paused');
	}

	/** Adds older changes (oldest first) at the bottom. */
	extend(changes: readonly Change[]): void {
		const { feed } = this.board;
		// What is being read may begin before what the feed still holds: nothing is between that it lacks.
		const joined = this.entries[0] === feed.entries[0];
		const older = feed.extend(changes);
		if (this.#copy && joined) this.#copy = [...older, ...this.#copy];
		this.board.touch();
	}

	/** Counts what arrives while the ledger is held still. */
	await(rows: number, matching: number): void {
		if (this.stance === 'live') return;
		this.waiting = { rows: this.waiting.rows + rows, matching: this.waiting.matching + matching };
	}

	/** Moves the choice by lines; the first move chooses the newest. Gives the index that is chosen now. */
	move(by: number): number {
		this.hold('reading');
		const known = this.selected === null ? -1 : indexOf(this.entries, this.selected);
		const index = Math.max(
			0,
			Math.min(this.height() - 1, known + (known < 0 ? Math.max(0, by - 1) + 1 : by))
		);
		const line = this.lines(index, 1)[0];
		if (!line) return 0;
		this.selected = line.id;
		if (this.open) this.open = changeOf(line) ?? this.open;
		return index;
	}

	/** Opens a line: folds or unfolds what has parts, loads what was left out, else shows its row in detail. */
	activate(line: Line): void {
		this.hold('reading');
		this.selected = line.id;
		if (line.kind === 'omitted') this.fill(line.transaction);
		else if (toggle(this.entries, line)) this.board.touch();
		else this.open = changeOf(line) ?? this.open;
	}

	/** Shows a change in detail, whether it has a line or not. */
	show(change: Change): void {
		this.hold('reading');
		this.selected = change.seq;
		this.open = change;
	}

	activateSelected(): void {
		const index = this.selected === null ? -1 : indexOf(this.entries, this.selected);
		const line = index < 0 ? undefined : this.lines(index, 1)[0];
		if (line) this.activate(line);
	}

	close(): void {
		this.open = null;
	}
}

/** The change that a line would show in detail. */
function changeOf(line: Line): Change | undefined {
	if (line.kind === 'change') return line.change;
	if (line.kind === 'references') return line.references.changes[0];
	if (line.kind === 'transaction') return line.transaction.changes[0];
	return undefined;
}

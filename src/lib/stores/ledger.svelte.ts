/**
 * How a person stands to the feed.
 *
 *     live ── scrolled, a line chosen or opened ──► reading ── back at the top, or `.` ──► live
 *     live, reading ── Space ──► paused ── Space or `.` ──► live
 *
 * Live, the ledger is the feed itself. Otherwise it is a frozen copy, in which nothing moves; what arrives meanwhile is
 * counted as waiting.
 */

import {
	FOLDED_ABOVE,
	height,
	indexOf,
	linesBetween,
	toggle,
	type Entry,
	type Line,
	type Transaction
} from '../lines.ts';
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
	/** Lines that are in sight at a time, but for one. */
	page = 1;
	#copy: readonly Entry[] | null = null;
	/** Something was done to it since another view was asked for. */
	#touched = false;
	/** The view that is on its way is the one that is shown. */
	#same = false;

	/** `fill` loads a page of what a transaction's card leaves out. */
	constructor(
		readonly board: Board,
		readonly fill: (card: Transaction) => Promise<void>
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
		else this.#act('paused');
	}

	/** Another view is asked for: with it the newest is shown again, but for what is done until then. */
	ask(): void {
		this.#touched = this.#same = false;
	}

	/** The same view comes anew: whoever reads goes on reading. */
	stay(): void {
		this.#same = true;
	}

	/** Has the feed hold the view that was asked for. What was done meanwhile was meant for it. */
	renew(reset: () => void): void {
		const { stance, selected, open } = this;
		const [touched, same] = [this.#touched, this.#same];
		this.#same = false;
		// First: what nobody reads any longer is no bound to what comes.
		this.follow();
		reset();
		const there = selected !== null && indexOf(this.entries, selected) >= 0;
		if (stance === 'live' || !(same || (touched && (stance === 'paused' || there || open)))) return;
		this.#act(stance);
		this.open = open;
		this.selected = there ? selected : null;
	}

	#act(stance: 'reading' | 'paused'): void {
		this.#touched = true;
		this.hold(stance);
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

	/** The keyboard comes to a line; an open row stays the chosen one. */
	reach(line: Line): void {
		this.#act('reading');
		if (!this.open) this.selected = line.id;
	}

	/**
	 * Moves the choice so many lines on, or back, at most to the end; the first move chooses the newest. With a row open,
	 * it counts the rows, over notes and what is folded.
	 */
	move(by: number): void {
		this.#act('reading');
		const lines = this.lines(0, this.height());
		const chosen = this.selected ?? this.open?.seq;
		const at = lines.findIndex(({ id }) => id === chosen);
		const ahead = at < 0 || by > 0 ? lines.slice(at + 1) : lines.slice(0, at).reverse();
		const stops = this.open ? ahead.filter(changeOf) : ahead;
		const line = stops[at < 0 ? 0 : Math.min(Math.abs(by), stops.length) - 1];
		if (!line) return;
		this.selected = line.id;
		if (this.open) this.open = changeOf(line)!;
	}

	/** Opens a line: folds or unfolds what has parts, loads what was left out, else shows its row in detail. */
	activate(line: Line): void {
		this.#act('reading');
		const change = changeOf(line);
		if (change) this.show(change, line.id);
		else if (line.kind === 'omitted') void this.fill(line.transaction);
		else if (line.kind === 'transaction' && isDoubtfulAndSmall(line.transaction)) this.#ask(line);
		else this.#toggle(line);
		// An open row stays the chosen one, unless it was folded away.
		if (!this.open || indexOf(this.entries, this.selected ?? '') < 0) this.selected = line.id;
	}

	/** Of a few rows, nobody wants to ask whether they are all: opened, the card has those that there are. */
	#ask(line: Line & { kind: 'transaction' }): void {
		void this.fill(line.transaction).then(() => line.transaction.open || this.#toggle(line));
	}

	#toggle(line: Line): void {
		if (toggle(this.entries, line)) this.board.touch();
	}

	/** Shows a change in detail, whether it has a line or not. */
	show(change: Change, line = change.seq): void {
		this.#act('reading');
		this.selected = line;
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

const isDoubtfulAndSmall = ({ open, omitted, changes }: Transaction) =>
	!open && omitted === Infinity && changes.length <= FOLDED_ABOVE;

/** The row that a line is of; none where it folds several, or is of none. */
function changeOf(line: Line): Change | undefined {
	if (line.kind === 'change') return line.change;
	return line.kind === 'references' && line.references.changes.length === 1
		? line.references.changes[0]
		: undefined;
}

/**
 * The changes of a stretch of the past: those ahead of the playhead, read in pages, and those behind it.
 *
 * All that is shown at a moment is what stands before one position in the log. A change has passed when its transaction
 * has written its last row, and all before it has passed: a tick, which may gather a second's writing, tells later.
 */

import type { Client } from '../client/index.ts';
import { CAPACITY } from '../feed.ts';
import { iso } from '../format.ts';
import { MAX_CHANGES } from '../protocol.ts';
import type { Change, Filter, Position, Rates, Series } from '../protocol.ts';
import { STEPS, type Extent, type StretchCounts } from './stretch.ts';

/** Reads on when fewer changes than this are left. */
const LOW = 400;
/** Changes that stand before the playhead where it was put. */
export const SHOWN = 200;
/** Pages that are read at most for what a tick holds. */
const TICK_PAGES = 5;

export class Reel {
	/** What stands before this has been shown. */
	shown: Position;
	#queue: Passing[] = [];
	/** Where reading goes on; null at the end of the stretch. */
	#next: Position | null;
	#reading = false;
	/** Answers to a question asked before the last winding are of no use. */
	#round = 0;

	/** `rates`: any of the whole stretch, for the ticks that it has. */
	constructor(
		readonly client: Client,
		readonly filter: Filter,
		readonly extent: Extent,
		readonly rates: Pick<Rates, 'after' | 'tick'>
	) {
		this.shown = this.#next = this.start;
	}

	/** Before the first change. */
	get start(): Position {
		return { tick: String(BigInt(this.rates.after) + 1n), seq: '0' };
	}

	/** Whether a position lies within the stretch. */
	holds(position: Position): boolean {
		return !isBefore(position, this.start) && !isBefore(endOfTick(this.rates.tick), position);
	}

	/** Whether a page is under way. */
	get reading(): boolean {
		return this.#reading;
	}

	/** When the next change passes; null where none is read, infinite where none is left. */
	get next(): number | null {
		return this.#queue[0]?.position ?? (this.#next || this.#reading ? null : Infinity);
	}

	/** Goes on at a position: what stands before it has been shown. */
	wind(shown: Position): void {
		this.#round++;
		this.#reading = false;
		this.#queue = [];
		this.shown = shown;
		this.#next = before(shown);
	}

	/** What has passed at a moment: all that stands before this. */
	async endOf(at: number): Promise<Position> {
		const { extent, filter, client } = this;
		const { from, to } = extent;
		if (at <= from) return this.start;
		if (at >= to) return endOfTick(this.rates.tick);
		const time = { from: iso(from), to: iso(at), buckets: 1, filter: {} };
		let end = endOfTick((await client.rates(time)).tick);
		// Of what became visible with a later tick, too, some had been written by then.
		for (let pages = 0; pages < TICK_PAGES; pages++) {
			const page = await client.history({ filter, after: before(end), order: 'asc', limit: MAX_CHANGES });
			const passed = passing(this.#within(page.changes)).filter(({ position }) => position <= at);
			const last = passed.at(-1);
			if (last) end = after(last.change);
			if (passed.length === 0 || passed.length < page.changes.length) break;
		}
		return end;
	}

	/**
	 * Counts of what was shown: of whole ticks, and the changes of a tick that was shown in part. A condition on values
	 * is looked for in the last step of `counts` alone, which has what matches in those before: that of a whole stretch
	 * may take the database half a minute.
	 */
	async counts(counts: StretchCounts): Promise<{ series: readonly Series[]; part: Change[] }> {
		const { extent, filter, client, shown } = this;
		const part: Change[] = [];
		let next: Position | null = { tick: shown.tick, seq: '0' };
		for (let pages = 0; next && isBefore(next, before(shown)) && pages < TICK_PAGES; pages++) {
			const page = await client.history({ filter, after: next, order: 'asc', limit: MAX_CHANGES });
			part.push(...page.changes.filter((change) => isBefore(change, shown)));
			next = page.next;
		}
		const until = String(BigInt(shown.tick) - 1n);
		if (BigInt(until) <= BigInt(this.rates.after)) return { series: [], part };
		const time = { from: iso(extent.from), to: iso(extent.to), buckets: STEPS };
		const { series } = await client.rates({ ...time, filter: { ...filter, where: undefined }, until });
		const step = Math.max(-1, ...series.map(({ rows }) => rows.findLastIndex((rows) => rows > 0)));
		if (filter.where === undefined || step < 0) return { series, part };
		const matched = await client.rates({ ...counts.timeOf(step), buckets: 1, filter, until });
		return { series: counts.upTo(step, matched), part };
	}

	/** The newest changes of the stretch before a position, newest first. */
	async before(before: Position, limit = SHOWN): Promise<Change[]> {
		const { filter } = this;
		const { changes } = await this.client.history({ filter, before, limit, order: 'desc' });
		return changes.filter(({ tick }) => BigInt(tick) > BigInt(this.rates.after));
	}

	/** Goes to a moment; gives the newest before it, oldest first, or null where it was moved again meanwhile. */
	async jump(at: number, limit: number): Promise<Change[] | null> {
		this.#round++;
		return this.#read(async (current) => {
			const end = await this.endOf(at);
			const changes = at > this.extent.from ? await this.before(end, limit) : [];
			if (!current()) return null;
			this.wind(end);
			return changes.reverse();
		});
	}

	/** Reads a page where few are left. */
	async readOn(few = LOW): Promise<void> {
		const next = this.#next;
		if (this.#reading || !next || this.#queue.length > few) return;
		await this.#read(async (current) => {
			const { filter } = this;
			const page = await this.client.history({ filter, after: next, order: 'asc', limit: MAX_CHANGES });
			if (!current()) return;
			const changes = this.#within(page.changes);
			this.#next = changes.length < page.changes.length ? null : page.next;
			this.#queue.push(...passing(changes, this.#queue.at(-1)?.position));
		});
	}

	/** Hands out the changes that a moment has passed. */
	passed(at: number): Change[] {
		const due = at >= this.extent.to ? -1 : this.#queue.findIndex(({ position }) => position > at);
		return this.#take(due < 0 ? this.#queue.length : due);
	}

	/** Hands out the next change, alone or with those beside it of the same transaction, and when they pass. */
	async step(what: 'change' | 'transaction'): Promise<{ at: number; changes: Change[] }> {
		const run = () => (what === 'change' ? 1 : runOf(this.#queue.map(({ change }) => change)));
		for (let known = -1; run() >= this.#queue.length && known < this.#queue.length;) {
			known = this.#queue.length;
			await this.readOn(CAPACITY - MAX_CHANGES);
		}
		// A transaction has passed with its last row.
		const at = this.#queue[run() - 1]?.position ?? -Infinity;
		return { at, changes: this.#take(run()) };
	}

	/** Where a step back leads, and what stands before that, newest first; null where nothing stands before. */
	async back(what: 'change' | 'transaction'): Promise<{ to: Position; left: Change[] } | null> {
		const first = what === 'change' ? (await this.before(this.shown, 1))[0] : await this.#beginning();
		if (!first) return null;
		const to = { tick: first.tick, seq: first.seq };
		return { to, left: await this.before(to) };
	}

	/** The first of the changes beside the newest of the same transaction, of as many as a card holds. */
	async #beginning(): Promise<Change | undefined> {
		let first: Change | undefined;
		for (let read = 0; read < CAPACITY; read += MAX_CHANGES) {
			const { tick, seq } = first ?? this.shown;
			const page = await this.before({ tick, seq }, MAX_CHANGES);
			const run = first ? runOf([first, ...page]) - 1 : runOf(page);
			first = page[run - 1] ?? first;
			if (run < MAX_CHANGES) break;
		}
		return first;
	}

	#within(changes: readonly Change[]): Change[] {
		return changes.filter(({ tick }) => BigInt(tick) <= BigInt(this.rates.tick));
	}

	#take(count: number): Change[] {
		const changes = this.#queue.splice(0, count).map(({ change }) => change);
		const last = changes.at(-1);
		if (last) this.shown = after(last);
		return changes;
	}

	async #read<T>(ask: (current: () => boolean) => Promise<T>): Promise<T> {
		const round = this.#round;
		const current = () => round === this.#round;
		this.#reading = true;
		try {
			return await ask(current);
		} finally {
			if (current()) this.#reading = false;
		}
	}
}

interface Passing {
	/** When it passes. */
	position: number;
	change: Change;
}

/** When each of these passes, which stand after one that passes at `from`. */
function passing(changes: readonly Change[], from = -Infinity): Passing[] {
	const last = new Map<string, number>();
	for (const { tick, tx, at } of changes) last.set(`${tick} ${tx}`, Date.parse(at));
	let position = from;
	return changes.map((change) => ({
		position: (position = Math.max(position, last.get(`${change.tick} ${change.tx}`)!)),
		change
	}));
}

/** The position right after a change. */
export function after({ tick, seq }: Position): Position {
	return { tick, seq: String(BigInt(seq) + 1n) };
}

/** What stands right before a position. */
function before({ tick, seq }: Position): Position {
	return { tick, seq: seq === '0' ? seq : String(BigInt(seq) - 1n) };
}

const endOfTick = (tick: string): Position => ({ tick: String(BigInt(tick) + 1n), seq: '0' });

export function isBefore(change: Position, { tick, seq }: Position): boolean {
	const ticks = BigInt(change.tick) - BigInt(tick);
	return ticks < 0n || (ticks === 0n && BigInt(change.seq) < BigInt(seq));
}

/** How many of the changes, from the first on, one transaction wrote. */
export function runOf(changes: readonly Change[]): number {
	const [first] = changes;
	const other = changes.findIndex(({ tick, tx }) => tick !== first!.tick || tx !== first!.tx);
	return other < 0 ? changes.length : other;
}

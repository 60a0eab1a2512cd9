/** The changes of a stretch of the past: those ahead of the playhead, read in pages, and those behind it. */

import type { Client } from '../client/index.ts';
import { iso } from '../format.ts';
import { MAX_CHANGES, type Change, type Filter, type Position, type Rates } from '../protocol.ts';
import type { Extent } from './stretch.ts';

/** Reads on when fewer changes than this are left. */
const LOW = 400;

export class Reel {
	/** What stands before this has been shown. */
	shown: Position;
	#queue: { position: number; change: Change }[] = [];
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

	/** Whether a page is under way. */
	get reading(): boolean {
		return this.#reading;
	}

	/** When the next change passes; null where none is read, infinite where none is left. */
	get next(): number | null {
		return this.#queue[0]?.position ?? (this.#next || this.#reading ? null : Infinity);
	}

	/** Goes on at `next`, when what stands before `shown` has been shown. */
	wind(shown: Position, next = shown): void {
		this.#round++;
		this.#reading = false;
		this.#queue = [];
		this.shown = shown;
		this.#next = next;
	}

	/** The end of the last tick at or before a moment. */
	async endOf(at: number): Promise<Position> {
		const { from, to } = this.extent;
		if (at <= from) return this.start;
		const tick =
			at >= to
				? this.rates.tick
				: (await this.client.rates({ from: iso(from), to: iso(at), buckets: 1, filter: {} })).tick;
		return { tick: String(BigInt(tick) + 1n), seq: '0' };
	}

	/** The newest changes of the stretch before a position, newest first. */
	async before(before: Position, limit = 200): Promise<Change[]> {
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
	async readOn(): Promise<void> {
		const after = this.#next;
		if (this.#reading || !after || this.#queue.length > LOW) return;
		await this.#read(async (current) => {
			const { filter } = this;
			const page = await this.client.history({ filter, after, order: 'asc', limit: MAX_CHANGES });
			if (!current()) return;
			const changes = page.changes.filter(({ tick }) => BigInt(tick) <= BigInt(this.rates.tick));
			this.#next = changes.length < page.changes.length ? null : page.next;
			let position = this.#queue.at(-1)?.position ?? -Infinity;
			const added = changes.map((change) => ({
				position: (position = Math.max(position, Date.parse(change.at))),
				change
			}));
			// A tick became visible at once: all of it stands where its last change does.
			for (let i = added.length - 2; i >= 0; i--)
				if (added[i]!.change.tick === added[i + 1]!.change.tick) added[i]!.position = added[i + 1]!.position;
			this.#queue.push(...added);
		});
	}

	/** Hands out the changes that a moment has passed, whole ticks at a time. */
	passed(at: number): Change[] {
		const due = at >= this.extent.to ? -1 : this.#queue.findIndex(({ position }) => position > at);
		return this.#take(due < 0 ? this.#queue.length : due);
	}

	/** Hands out the next change, alone or with those beside it of the same transaction, and when they pass. */
	async step(what: 'change' | 'transaction'): Promise<{ at: number; changes: Change[] }> {
		if (this.#queue.length < 2) await this.readOn();
		const at = this.#queue[0]?.position ?? -Infinity;
		return {
			at,
			changes: this.#take(what === 'change' ? 1 : runOf(this.#queue.map(({ change }) => change)))
		};
	}

	#take(count: number): Change[] {
		const changes = this.#queue.splice(0, count).map(({ change }) => change);
		const last = changes.at(-1);
		if (last) this.shown = { tick: last.tick, seq: String(BigInt(last.seq) + 1n) };
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

/** How many of the changes, from the first on, one transaction wrote. */
export function runOf(changes: readonly Change[]): number {
	const [first] = changes;
	const other = changes.findIndex(({ tick, tx }) => tick !== first!.tick || tx !== first!.tx);
	return other < 0 ? changes.length : other;
}

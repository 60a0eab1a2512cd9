/**
 * The present on the board. `rates` and `history` say what was, and name the tick they end with; the subscription goes
 * on after exactly that tick, and what matched a condition up to it is counted meanwhile.
 */

import { noTallies, type Buckets, type Tallies } from '../buckets.ts';
import type { Client, Subscription } from '../client/index.ts';
import { Delay } from '../delay.ts';
import { iso } from '../format.ts';
import {
	MAX_CHANGES,
	type Change,
	type Count,
	type Cursor,
	type Filter,
	type Gap,
	type Hello,
	type Position,
	type Rates,
	type TickMessage
} from '../protocol.ts';
import type { Span } from '../view.ts';
import { RATE_STEP_MS, RATE_STEPS, type Board } from './board.svelte.ts';
import type { Counting } from './counting.svelte.ts';
import type { Ledger } from './ledger.svelte.ts';

/** Rows of the past that the ledger starts with. */
const PAGE = 200;
/** Pages that are read of what came during an absence; of more than that, the ledger starts with the newest again. */
const MISSED_PAGES = 5;

export class Present {
	readonly delay = new Delay();
	/** Where the log begins, if that is within what was loaded. */
	since: string | null = null;
	#subscription: Subscription | null = null;
	/** The tick up to which everything was received. */
	#held: bigint | null = null;
	/** Rows that were received beyond a hole. */
	#beyond: { rows: number; matching: number } | null = null;
	#summary = noTallies();
	#round = 0;

	constructor(
		readonly board: Board,
		readonly ledger: Ledger,
		readonly counting: Counting,
		readonly client: () => Client,
		readonly told: { gap(gap: Gap): void; refused(error: Error): void }
	) {}

	/** Milliseconds of the database's clock. */
	now(): number {
		return Date.now() - this.delay.skew;
	}

	/** Loads what was and follows what comes; false where another view was asked for meanwhile. `keep`: see Session.load. */
	async load(hello: Hello, filter: Filter, { ms, stepMs }: Span, keep: boolean): Promise<boolean> {
		this.leave();
		const round = this.#round;
		const held = keep ? this.#held : null;
		const beyond = this.#beyond;
		const client = this.client();
		const now = this.now();
		const counts = (from: number, to: number, buckets: number, until?: string) =>
			client.rates({ from: iso(from), to: iso(to), buckets, until, filter: { ...filter, where: undefined } });
		const end = (Math.floor(now / stepMs) + 1) * stepMs;
		try {
			// All of it up to one tick, behind which it goes on: asked at once, each would end at its own.
			const rates = await counts(end - ms, end, ms / stepMs);
			const before = { tick: String(BigInt(rates.tick) + 1n), seq: '0' };
			const [recent, { changes, whole }, known] = await Promise.all([
				counts(now - RATE_STEP_MS * RATE_STEPS, now, RATE_STEPS, rates.tick),
				this.#read(filter, before, beyond ? null : held),
				held === null ? null : counts(end - ms, end, ms / stepMs, String(held))
			]);
			if (round !== this.#round) return false;
			const { board } = this;
			this.since = rates.since ?? null;
			board.clear(stepMs, ms / stepMs, now);
			if (!keep) this.ledger.renew(() => board.feed.reset(changes));
			else {
				if (!whole) board.feed.reset(changes);
				else {
					if (held !== null && BigInt(hello.oldest) > held)
						this.told.gap({ after: String(held), until: hello.oldest, reason: 'pruned' });
					board.feed.catchUp(changes, performance.now());
				}
				const read = changes.filter(({ op }) => op !== 'REFERENCE').length;
				const came = known ? Math.max(whole ? read : 0, rowsOf(rates) - rowsOf(known)) : 0;
				const matching = filter.where === undefined ? came : read;
				this.ledger.await(came - (beyond?.rows ?? 0), matching - (beyond?.matching ?? 0));
			}
			const put = (buckets: Buckets) => (rates: Rates) => {
				buckets.fill(Date.parse(rates.from), rates.stepMs, rates.series);
				buckets.touch(rates.last ?? []);
				board.beat++;
			};
			const jobs = [[recent, put(board.recent)] as const, [rates, put(board.window)] as const];
			if (filter.where === undefined) for (const [rates, put] of jobs) put(rates);
			else void this.counting.count(filter, rates.tick, ...jobs);
			this.#held = BigInt(rates.tick);
			this.#beyond = null;
			this.follow({ epoch: hello.epoch, tick: rates.tick }, filter);
			board.touch();
			board.beat++;
			return true;
		} catch (error) {
			if (round !== this.#round) return false;
			throw error;
		}
	}

	/**
	 * What came before a position, oldest first: the newest page, or, if a tick is given, all since, where that is no more
	 * than is read; else not `whole`.
	 */
	async #read(
		filter: Filter,
		before: Position,
		held: bigint | null
	): Promise<{ changes: Change[]; whole: boolean }> {
		const order = 'desc';
		if (held === null) {
			const { changes } = await this.client().history({ filter, limit: PAGE, order, before });
			return { changes: changes.reverse(), whole: false };
		}
		const after = { tick: String(held + 1n), seq: '0' };
		const changes: Change[] = [];
		let next: Position | null = before;
		for (let pages = 0; next && pages < MISSED_PAGES; pages++) {
			const limit = MAX_CHANGES;
			const page = await this.client().history({ filter, limit, order, before: next, after });
			changes.push(...page.changes);
			next = page.next;
		}
		return { changes: changes.reverse(), whole: next === null };
	}

	/** Follows another filter from where the one before came to, at least from a tick on. */
	goOn(after: Cursor, filter: Filter): void {
		this.#beyond ??= { rows: 0, matching: 0 };
		const reached = this.#subscription?.cursor;
		const further = reached?.epoch === after.epoch && BigInt(reached.tick) > BigInt(after.tick);
		this.follow(further ? reached : after, filter);
	}

	/** Follows what comes after a tick. */
	follow(after: Cursor, filter: Filter): void {
		this.#subscription = this.client().subscribe(
			{ filter, after },
			{
				tick: (message) => this.#receive(message),
				gap: (gap) => this.told.gap(gap),
				error: (error) => this.told.refused(error)
			}
		);
	}

	/** Gives the board to another view. */
	leave(): void {
		this.#round++;
		this.#subscription?.close();
		this.counting.stop();
	}

	/** Rows by op since this was last asked. */
	takeSummary(): Tallies {
		const taken = this.#summary;
		this.#summary = noTallies();
		return taken;
	}

	#receive(message: TickMessage): void {
		const last = message.changes.findLast(({ op }) => op !== 'REFERENCE');
		if (message.counts.length > 0)
			this.delay.note(Date.parse(message.at), last ? Date.parse(last.at) : null, Date.now());
		const matched = message.matched ?? message.counts;
		this.board.apply({ ...message, counts: matched });
		for (const { op, rows } of matched) this.#summary[op] += rows;
		const [rows, matching] = [written(message.counts), written(matched)];
		this.ledger.await(rows, matching);
		if (!this.#beyond) this.#held = BigInt(message.tick);
		else {
			this.#beyond.rows += rows;
			this.#beyond.matching += matching;
		}
	}
}

/** Rows that were written, of all the buckets. */
function rowsOf({ series }: Rates): number {
	const written = series.filter(({ op }) => op !== 'REFERENCE');
	return written.reduce((sum, { rows }) => sum + rows.reduce((all, each) => all + each, 0), 0);
}

/** Rows that were written, of these counts. */
function written(counts: readonly Count[]): number {
	return counts.reduce((sum, { op, rows }) => (op === 'REFERENCE' ? sum : sum + rows), 0);
}

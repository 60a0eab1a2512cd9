/** Feed messages of a range of ticks: from memory where it holds them, else from the log. */
import type { Change, Count, Filter, Gap, Position, TickMessage } from '../protocol.ts';
import { countTick, countsOf, fit, newest, remainderOf, sumCounts, total, type Matcher } from './compose.ts';
import { readAfter, type Delivery } from './delivery.ts';
import { tookTooLong } from './errors.ts';
import type { Reader } from './types.ts';

/** What a feed message is made for. */
export interface View {
	readonly filter: Filter;
	readonly matches: Matcher;
	readonly limit: number;
}

/** The ticks (from, until] as one message, or undefined where the log must be asked. */
export function fromMemory(
	{ recent }: Delivery,
	{ filter, matches, limit }: View,
	from: bigint,
	until: bigint
): TickMessage | undefined {
	const ticks = recent.range(from, until);
	if (!ticks) return undefined;
	const counts = sumCounts(ticks, matches);
	// A condition on values is the database's to judge; where nothing is counted, nothing can match.
	if (filter.where !== undefined && counts.length > 0) return undefined;
	const changes = newest(ticks, matches, limit);
	const matched = filter.where === undefined ? undefined : [];
	const remainder = changes && remainderOf(ticks, matches, changes);
	return changes && message(from, until, ticks.at(-1)!.at, { counts, changes, matched, remainder });
}

/** The same from the log; a gap where some of it is no longer there. */
export async function fromLog(
	delivery: Delivery,
	{ filter, limit }: View,
	from: bigint,
	until: bigint
): Promise<TickMessage | Gap> {
	return readAfter(delivery, from, async (reader) => {
		const counts = await reader.counts(filter, from, until);
		const page = await unlessTooLong(reader.changes({ filter, after: from, until, order: 'desc', limit }));
		const { changes: found, next } = page ?? { changes: [], next: null };
		const matched =
			filter.where === undefined || !page
				? undefined
				: await unlessTooLong(countMatches(reader, found, next));
		const changes = fit(found);
		const remainder =
			filter.where !== undefined || total(counts) === changes.length
				? undefined
				: await countRest(reader, changes);
		return message(from, until, await reader.timeOf(until), { counts, matched, changes, remainder });
	});

	/** Of several ticks fewer may be asked; what one tick takes too long for is left out. */
	async function unlessTooLong<T>(read: Promise<T>): Promise<T | undefined> {
		return read.catch((err) => {
			if (until - from > 1n || !tookTooLong(err)) throw err;
			return undefined;
		});
	}

	/** As remainderOf(). */
	async function countRest(reader: Reader, changes: Change[]): Promise<number | undefined> {
		if (!(await reader.alone(changes))) return undefined;
		const tick = BigInt(changes[0]!.tick);
		return total(await reader.counts(filter, tick - 1n, tick)) - countTick(changes);
	}

	/** Where the search found all that match, they need not be looked for again. */
	async function countMatches(reader: Reader, found: Change[], next: Position | null): Promise<Count[]> {
		return next ? reader.matching(filter, from, until) : countsOf(found);
	}
}

function message(
	from: bigint,
	tick: bigint,
	at: string,
	{
		counts,
		matched,
		changes,
		remainder
	}: {
		counts: Count[];
		matched: Count[] | undefined;
		changes: Change[];
		remainder: number | undefined;
	}
): TickMessage {
	const omitted = Math.max(0, total(matched ?? counts) - changes.length);
	const told: TickMessage = { from: String(from), tick: String(tick), at, counts, changes, omitted };
	if (matched) told.matched = matched;
	if (omitted > 0 && remainder !== undefined) told.remainder = remainder;
	return told;
}

/** Feed messages of a range of ticks: from memory where it holds them, else from the log. */
import type { Count, Filter, Gap, TickMessage } from '../protocol.ts';
import { fit, newest, sumCounts, total, type Matcher } from './compose.ts';
import { readAfter, type Delivery } from './delivery.ts';

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
	return changes && message(from, until, ticks.at(-1)!.at, { counts, changes, matching: total(counts) });
}

/** The same from the log; a gap where some of it is no longer there. */
export async function fromLog(
	delivery: Delivery,
	{ filter, limit }: View,
	from: bigint,
	until: bigint
): Promise<TickMessage | Gap> {
	const { at } = delivery;
	return readAfter(delivery, from, async (reader) => {
		const counts = await reader.counts(filter, from, until);
		const { changes } = await reader.changes({ filter, after: from, until, order: 'desc', limit });
		const matching = filter.where === undefined ? total(counts) : await reader.matching(filter, from, until);
		return message(from, until, at, { counts, changes: fit(changes), matching });
	});
}

function message(
	from: bigint,
	tick: bigint,
	at: string,
	{ counts, changes, matching }: { counts: Count[]; changes: TickMessage['changes']; matching: number }
): TickMessage {
	const omitted = Math.max(0, matching - changes.length);
	return { from: String(from), tick: String(tick), at, counts, changes, omitted };
}

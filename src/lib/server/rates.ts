/** Counts over time: from the sums that the log keeps, or of what matches a condition, from the changes themselves. */
import type { Count, Rates, RatesRequest, Series } from '../protocol.ts';
import { LAST, RATES, RATES_BOUNDS, RATES_MATCHING } from './queries.ts';
import { isoOf, isoUtc, microsOf, spansOf } from './spans.ts';
import type { Selection } from './types.ts';

/** What it takes from the reader. */
interface Log {
	/** A named query; rows as arrays. */
	read<T extends unknown[]>(name: string | undefined, text: string, values: unknown[]): Promise<T[]>;
	countOf(relation: string, letter: string, rows: string): Promise<Count>;
}

type Row = [relation: string, letter: string, bucket: string, rows: string];

/**
 * A condition on values is looked for in every change of the range, as far as the database's time for one statement
 * allows.
 */
export async function readRates(
	{ read, countOf }: Log,
	{ scope, condition }: Selection,
	{ buckets, until, head: most, ...given }: RatesRequest & { head?: bigint }
): Promise<Omit<Rates, 'ok'>> {
	const [from, to] = [given.from, given.to].map(isoUtc) as [string, string];
	const bound = until === undefined || (most !== undefined && most < BigInt(until)) ? most : until;
	const [bounds] = await read<string[]>('rates_bounds', RATES_BOUNDS, [from, to, bound ?? null]);
	const [after, tick, before, last, head] = bounds as [string, string, string, string, string];
	const stepMs = Math.ceil((microsOf(to) - microsOf(from)) / (1000 * buckets));
	const where = condition(7);
	const none = BigInt(after) >= BigInt(tick);
	const rows = where.sql === 'true' ? await summed() : await matching();
	const series = new Map<string, Series>();
	for (const [relation, letter, bucket, count] of rows) {
		const i = Number(bucket);
		// Of another time: the clock was set back within the range.
		if (i < 0 || i >= buckets) continue;
		const { schema, table, op, rows: n } = await countOf(relation, letter, count);
		const key = JSON.stringify([schema, table, op]);
		const one = series.get(key) ?? { schema, table, op, rows: new Array<number>(buckets).fill(0) };
		one.rows[i] = (one.rows[i] ?? 0) + n;
		series.set(key, one);
	}
	const since = Date.parse(before) > Date.parse(from) ? { since: before } : {};
	const written =
		where.sql === 'true' ? { last: await lastOf(new Set(rows.map(([relation]) => relation))) } : {};
	return { from, stepMs, series: [...series.values()], after, tick, ...since, ...written };

	async function lastOf(relations: Set<string>) {
		const found = await read<[string, string]>('last', LAST, [[...relations], after, tick, scope[1]]);
		return Promise.all(
			found.map(async ([relation, at]) => {
				const { schema, table } = await countOf(relation, 'I', '0');
				return { schema, table, at };
			})
		);
	}

	async function summed() {
		// Else there may be some all the same: the ticks of a time do not follow each other where the clock was set back.
		if (none && until !== undefined) return [];
		// A second that begins before the range's first tick has others in its sum.
		const first = Math.max(microsOf(from), microsOf(before) + 1);
		const end = Math.min(microsOf(to), until === undefined ? Infinity : microsOf(last) + 1);
		const spans = spansOf(microsOf(from), stepMs * 1000, buckets, first, end);
		return read<Row>('rates', RATES, [
			spans.map(({ bucket }) => bucket),
			spans.map(({ seconds }) => seconds),
			spans.map(({ from }) => isoOf(from)),
			spans.map(({ to }) => isoOf(to)),
			...scope,
			head,
			from,
			stepMs,
			to
		]);
	}

	async function matching() {
		if (none) return [];
		const values = [after, tick, ...scope, from, stepMs, ...where.values];
		return read<Row>(undefined, RATES_MATCHING(where.sql), values);
	}
}

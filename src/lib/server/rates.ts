/** Counts over time, from the sums that the log keeps. */
import type { Count, Rates, RatesRequest, Series } from '../protocol.ts';
import { RATES, RATES_BOUNDS } from './queries.ts';
import { isoOf, microsOf, spansOf } from './spans.ts';

/** What it takes from the reader. */
interface Log {
	/** A named query; rows as arrays. */
	read<T extends unknown[]>(name: string, text: string, values: unknown[]): Promise<T[]>;
	countOf(relation: string, letter: string, rows: string): Promise<Count>;
}

/** `scope`: the parameters for tables and ops. */
export async function readRates(
	{ read, countOf }: Log,
	scope: [string[] | null, string[] | null],
	{ from, to, buckets }: RatesRequest
): Promise<Omit<Rates, 'ok'>> {
	const [bounds] = await read<[string, string, string]>('rates_bounds', RATES_BOUNDS, [from, to]);
	const [after, tick, before] = bounds as [string, string, string];
	const stepMs = Math.max(1, Math.ceil((Date.parse(to) - Date.parse(from)) / buckets));
	// A second that begins before the range's first tick has others in its sum.
	const first = Math.max(microsOf(from), microsOf(before) + 1);
	const spans = spansOf(microsOf(from), stepMs * 1000, buckets, first, microsOf(to));
	const rows = await read<[string, string, string, string]>('rates', RATES, [
		spans.map(({ bucket }) => bucket),
		spans.map(({ seconds }) => seconds),
		spans.map(({ from }) => isoOf(from)),
		spans.map(({ to }) => isoOf(to)),
		...scope,
		after,
		tick,
		from,
		stepMs
	]);
	const series = new Map<string, Series>();
	for (const [relation, letter, bucket, count] of rows) {
		const { schema, table, op, rows: n } = await countOf(relation, letter, count);
		const key = JSON.stringify([schema, table, op]);
		const one = series.get(key) ?? { schema, table, op, rows: new Array<number>(buckets).fill(0) };
		const i = Math.min(Number(bucket), buckets - 1);
		one.rows[i] = (one.rows[i] ?? 0) + n;
		series.set(key, one);
	}
	return { from, stepMs, series: [...series.values()], after, tick };
}

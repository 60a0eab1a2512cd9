/** Finds changes that match a filter in the past, tick by tick, in either order. */
import type { Change, Filter } from '../protocol.ts';
import { CHANGES, LARGE, RANGE, TICKS_WITH, WRITERS } from './queries.ts';
import { lsnOf } from './seq.ts';
import type { ChangesQuery, Reader, Scope, Selection } from './types.ts';

/** A row of `select t.n, COLUMNS`. */
export type Row = [
	n: string,
	lsn: string,
	xid: string,
	at: string,
	relation: string,
	op: string,
	before: string | null,
	after: string | null,
	extra: string | null
];

/** Ticks that are looked into one by one in one query. */
const BATCH = 400;
/** Most ticks and changes that one query looks through for a condition on values: less than a second. */
const MOST_TICKS = 10_000;
const MOST_CHANGES = 40_000;

/** A tick with more changes is read by itself, and not before someone asks for its changes. */
export const LARGE_TICK = 5_000;
/** Transactions that are walked one by one: 50 us each. */
const MOST_WALKS = 500;
/** How long it is remembered who wrote a large tick: for a million changes it takes a second to find out. */
const WRITERS_MS = 10_000;

/** Past this, a search returns what it found and where to go on. */
const SEARCH_MS = 4_000;

/** Positions of the log that several transactions may share: at most one each of those that run. */
const TIES = 8;

/** What a search does with the log. */
interface Log {
	read<T extends unknown[]>(name: string | undefined, text: string, values: unknown[]): Promise<T[]>;
	select(filter: Filter): Promise<Selection>;
	changesOf(rows: Row[]): Promise<Change[]>;
}

export interface Search {
	changes: Reader['changes'];
	/** In another log the numbers of ticks mean others. */
	forget(): void;
}

export function makeSearch({ read, select, changesOf }: Log): Search {
	/** By tick, of large ones; the tick and then the transactions that have changes in it. */
	const writers = new Map<string, { of: string[]; until: number }>();

	/** The next ticks, in order, that have a change of the scope, with how many of it. */
	async function ticksWith(
		[relations, ops]: Scope,
		after: bigint,
		until: bigint,
		order: 'asc' | 'desc',
		limit: number
	): Promise<[tick: string, rows: string][]> {
		return read(`ticks_with_${order}`, TICKS_WITH(order), [after, until, relations, ops, limit]);
	}

	/** The tick and its transactions, if it is large and they are few. */
	async function walkable([tick, rows]: [string, string]): Promise<string[] | undefined> {
		if (Number(rows) <= LARGE_TICK) return undefined;
		const now = performance.now();
		for (const [key, { until }] of writers) if (until < now) writers.delete(key);
		const known = writers.get(tick);
		const of = known?.of ?? [
			tick,
			...(await read<[string]>('writers', WRITERS, [tick, MOST_WALKS + 1])).flat()
		];
		writers.set(tick, { of, until: performance.now() + WRITERS_MS });
		return of.length - 1 <= MOST_WALKS ? of : undefined;
	}

	/** Changes that match the filter, tick by tick, until there are enough or time is up. */
	async function changes(query: ChangesQuery) {
		const { filter, order, limit, from } = query;
		const selection = query.selection ?? (await select(filter));
		const { scope } = selection;
		const desc = order === 'desc';
		const started = performance.now();
		const found: Change[] = [];
		let { after, until } = query;
		if (from) {
			if (desc) until = min(until, BigInt(from.tick));
			else after = max(after, BigInt(from.tick) - 1n);
		}
		const beyond = (change: Change) =>
			!from ||
			change.tick !== from.tick ||
			(desc ? BigInt(change.seq) < BigInt(from.seq) : BigInt(change.seq) > BigInt(from.seq));
		const { sql, values } = selection.condition(7);
		let look = sql === 'true' ? limit : 2 * limit;
		let looked = 0;
		while (after < until) {
			const due = await ticksWith(scope, after, until, order, Math.min(look, MOST_TICKS) + 1);
			if (due.length === 0) break;
			const large = await walkable(due[0]!);
			const candidates = large ? [large[0]!] : enough(due, look + 1);
			const ends = [BigInt(candidates[0]!), BigInt(candidates.at(-1)!)] as const;
			const [first, last] = desc ? [ends[1], ends[0]] : ends;
			const dense = !large && sql !== 'true' && last - first < 3n * BigInt(candidates.length);
			const chosen = dense ? candidates : candidates.slice(0, BATCH);
			const text = (large ? LARGE : dense ? RANGE : CHANGES)(order, sql);
			const within = from !== undefined && (!large || large[0] === from.tick);
			const rows = await read<Row>(undefined, text, [
				large ?? (dense ? [first - 1n, last] : chosen),
				...scope,
				limit + TIES,
				within ? from.tick : null,
				within ? lsnOf(from.seq) : null,
				...values
			]);
			found.push(...(await changesOf(rows)).filter(beyond));
			if (found.length > limit) {
				found.length = limit;
				const last = found[limit - 1] as Change;
				return { changes: found, next: { tick: last.tick, seq: last.seq }, selection };
			}
			const reached = BigInt(chosen.at(-1)!);
			if (desc) until = reached - 1n;
			else after = reached;
			if (performance.now() - started > SEARCH_MS && after < until) {
				const next = { tick: String(desc ? reached : reached + 1n), seq: '0' };
				return { changes: found, next, selection };
			}
			looked += rowsOf(due, chosen);
			// As far as the rest should lie by what was found so far, and a third more.
			const rest = (limit - found.length) * (found.length > 0 ? (1.3 * looked) / found.length : Infinity);
			look =
				sql === 'true'
					? limit - found.length
					: Math.ceil(Math.min(Math.max(rest, 2 * limit), 8 * look, MOST_CHANGES));
		}
		return { changes: found, next: null, selection };
	}

	return { changes, forget: () => writers.clear() };
}

/** As many of the ticks, in their order, as hold so many changes. */
function enough(ticks: [tick: string, rows: string][], changes: number): string[] {
	let sum = 0;
	const index = ticks.findIndex(([, rows]) => (sum += Number(rows)) >= changes);
	return (index < 0 ? ticks : ticks.slice(0, index + 1)).map(([tick]) => tick);
}

/** Changes in the ticks that were chosen, which are the first of them. */
function rowsOf(ticks: [tick: string, rows: string][], chosen: string[]): number {
	return ticks.slice(0, chosen.length).reduce((sum, [, rows]) => sum + Number(rows), 0);
}

const min = (a: bigint, b: bigint) => (a < b ? a : b);
export const max = (a: bigint, b: bigint) => (a > b ? a : b);

/** Finds changes that match a filter in the past, tick by tick, in either order. */
import type { Change, Filter } from '../protocol.ts';
import { textOf } from './compose.ts';
import { BOUNDED, CHANGES, LARGE, LOOKED, RANGE, TICKS_WITH, WRITERS } from './queries.ts';
import { lsnOf, seqOf } from './seq.ts';
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

/** A row of a page: with the text up to here; of LOOKED, whether it matches, and whether it is the last of the look. */
export type Paged = [...Row, octets: string, matches?: boolean, last?: boolean];

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

/** How long a query for a condition on values should take, as far as that is told by those before it. */
const QUERY_MS = 1_500;

/** Past this, a search returns what it found and where to go on. */
const SEARCH_MS = 4_000;

/**
 * Text of a page, in octets; the last change of it may go beyond. A process cannot hold a thousand changes of 600 kB as
 * one text, and a client does not take a message of 100 MB; JSON may write an octet as six.
 */
export const MAX_PAGE = 8_000_000;

/** Positions of the log that several transactions may share: at most one each of those that run. */
export const TIES = 8;

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
	async function walkable([tick, rows]: [string, string], most = LARGE_TICK): Promise<string[] | undefined> {
		if (Number(rows) <= Math.min(LARGE_TICK, most)) return undefined;
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
		const { filter, order, limit, most = MOST_CHANGES } = query;
		const selection = query.selection ?? (await select(filter));
		const { scope } = selection;
		const desc = order === 'desc';
		const started = performance.now();
		const found: Change[] = [];
		let { after, until, from } = query;
		if (from) {
			if (desc) until = min(until, BigInt(from.tick));
			else after = max(after, BigInt(from.tick) - 1n);
		}
		const beyond = (change: Change) =>
			!from ||
			change.tick !== from.tick ||
			(desc ? BigInt(change.seq) < BigInt(from.seq) : BigInt(change.seq) > BigInt(from.seq));
		const { sql, values } = selection.condition(7);
		/** A larger tick is looked through by itself. */
		const alone = sql === 'true' ? Infinity : Math.min(LARGE_TICK, most);
		let look = sql === 'true' ? limit : Math.min(2 * limit, most);
		let looked = 0;
		while (after < until) {
			const due = await ticksWith(scope, after, until, order, Math.min(look, MOST_TICKS) + 1);
			if (due.length === 0) break;
			const large = await walkable(due[0]!, query.most);
			const candidates = large ? [large[0]!] : enough(due, look + 1, alone);
			const ends = [BigInt(candidates[0]!), BigInt(candidates.at(-1)!)] as const;
			const [first, last] = desc ? [ends[1], ends[0]] : ends;
			const dense = !large && sql !== 'true' && last - first < 3n * BigInt(candidates.length);
			const chosen = dense ? candidates : candidates.slice(0, BATCH);
			const part = large && sql !== 'true' ? Math.max(look, 2 * TIES) : undefined;
			const text = part
				? BOUNDED(LOOKED(order, sql, part), order, MAX_PAGE, TIES + 1, ', matches, last')
				: BOUNDED((large ? LARGE : dense ? RANGE : CHANGES)(order, sql), order, MAX_PAGE, TIES + 1);
			const start = from && (!large || large[0] === from.tick) ? from : undefined;
			const rows = await read<Paged>(undefined, text, [
				large ?? (dense ? [first - 1n, last] : chosen),
				...scope,
				limit + TIES,
				start?.tick ?? null,
				start ? lsnOf(start.seq) : null,
				...values
			]);
			const matching = part ? rows.filter(([, , , , , , , , , , matches]) => matches) : rows;
			found.push(...(await changesOf(matching as unknown[] as Row[])).filter(beyond));
			const end = pageOf(found, limit);
			const full = Number(rows.at(-1)?.[9] ?? 0) >= MAX_PAGE;
			if (found.length > end || (full && end > 0)) {
				found.length = end;
				const { tick, seq } = found[end - 1] as Change;
				return { changes: found, next: { tick, seq }, selection };
			}
			const late = performance.now() - started > SEARCH_MS;
			const [tick, lsn, xid, , , , , , , , , inside] = rows.at(-1) ?? [];
			if (inside) {
				from = { tick: tick!, seq: seqOf(lsn!, xid!) };
				if (late) return { changes: found, next: from, selection };
				looked += part!;
			} else {
				const reached = BigInt(chosen.at(-1)!);
				if (desc) until = reached - 1n;
				else after = reached;
				if (late && after < until) {
					const next = { tick: String(desc ? reached : reached + 1n), seq: '0' };
					return { changes: found, next, selection };
				}
				looked += rowsOf(due, chosen);
			}
			// As far as the rest should lie by what was found so far, and a third more.
			const pace = looked / (performance.now() - started);
			const rest = (limit - found.length) * (found.length > 0 ? (1.3 * looked) / found.length : Infinity);
			look =
				sql === 'true'
					? limit - found.length
					: Math.ceil(Math.min(Math.max(rest, 2 * limit), 8 * look, pace * QUERY_MS, most));
		}
		return { changes: found, next: null, selection };
	}

	return { changes, forget: () => writers.clear() };
}

/** How many of the changes fit a page: at least one. */
function pageOf(changes: readonly Change[], limit: number): number {
	let text = 0;
	const end = changes.findIndex((change, i) => (text += textOf(change)) > MAX_PAGE && i > 0);
	return Math.min(limit, end < 0 ? changes.length : end);
}

/** As many of the ticks, in their order, as hold so many changes; of those with more than `alone` only the first. */
function enough(ticks: [tick: string, rows: string][], changes: number, alone: number): string[] {
	let sum = 0;
	const index = ticks.findIndex(([, rows]) => (sum += Number(rows)) >= changes);
	const large = ticks.findIndex(([, rows], i) => i > 0 && Number(rows) > alone);
	const ends = [index + 1, large].filter((end) => end > 0);
	return ticks.slice(0, Math.min(...ends, ticks.length)).map(([tick]) => tick);
}

/** Changes in the ticks that were chosen, which are the first of them. */
function rowsOf(ticks: [tick: string, rows: string][], chosen: string[]): number {
	return ticks.slice(0, chosen.length).reduce((sum, [, rows]) => sum + Number(rows), 0);
}

const min = (a: bigint, b: bigint) => (a < b ? a : b);
export const max = (a: bigint, b: bigint) => (a > b ? a : b);

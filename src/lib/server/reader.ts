/** Reads the log: ticks as they come, and the past by range and filter. */
import type pg from 'pg';
import { MAX_CHANGES, type Change, type Count, type Filter, type Gap, type Op } from '../protocol.ts';
import { nameOf, type Relations } from './catalog.ts';
import { addUp } from './compose.ts';
import { keyOf } from './key.ts';
import {
	BOUNDS,
	CHANGES,
	COUNTS,
	GAPS,
	LARGE,
	MATCHING,
	NAMED,
	RANGE,
	RATES_BOUNDS,
	ROW,
	TICKS,
	TICKS_WITH,
	WRITERS,
	ALONE
} from './queries.ts';
import { readRates } from './rates.ts';
import { lsnOf, seqOf } from './seq.ts';
import type { ChangesQuery, Reader, Scope, Selection, Tick } from './types.ts';
import { compileWhere, scopeOfWhere, tablesOf, type IdsOf } from './where.ts';

const OP_OF: Record<string, Op> = { I: 'INSERT', U: 'UPDATE', D: 'DELETE', T: 'TRUNCATE', R: 'REFERENCE' };

/** PostgreSQL's "char" for an op: its first letter. */
const letterOf = (op: Op) => op[0];

/** A row of `select t.n, COLUMNS`. */
type Row = [
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
const LARGE_TICK = 5_000;
/** Transactions that are walked one by one: 50 us each. */
const MOST_WALKS = 500;
/** How long it is remembered who wrote a large tick: for a million changes it takes a second to find out. */
const WRITERS_MS = 10_000;

/** Past this, a search returns what it found and where to go on. */
const SEARCH_MS = 4_000;

export interface LogReader extends Reader {
	/** Ticks from rows as the query TICKS answers them. */
	ticksOf(rows: unknown[][]): Promise<Tick[]>;
}

export function makeReader(pool: pg.Pool, catalog: Relations): LogReader {
	/** By tick, of large ones; the tick and then the transactions that have changes in it. */
	const writers = new Map<string, { of: string[]; until: number }>();
	/** The epoch that they are of. */
	let writersOf: string | undefined;

	/** Rows as arrays: half the time of pg's objects. */
	async function read<T extends unknown[]>(
		name: string | undefined,
		text: string,
		values: unknown[]
	): Promise<T[]> {
		return (await pool.query<T>({ name, text, values, rowMode: 'array' })).rows;
	}

	/** A table that the catalogue does not know yet was watched a moment ago, perhaps by another server. */
	async function relationOf(id: string) {
		if (!catalog.relation(id)) await catalog.refresh();
		return catalog.relation(id) ?? { schema: '?', table: `dropped (${id})`, primaryKey: [] };
	}

	async function changeOf([
		n,
		lsn,
		xid,
		at,
		relationId,
		letter,
		before,
		after,
		extraText
	]: Row): Promise<Change> {
		const { schema, table, primaryKey } = catalog.relation(relationId) ?? (await relationOf(relationId));
		const row = after ?? before;
		const extra = extraText === null ? null : JSON.parse(extraText);
		const change: Change = {
			seq: seqOf(lsn, xid),
			tick: n,
			tx: xid,
			at,
			schema,
			table,
			op: OP_OF[letter] as Op,
			before,
			after,
			key: row !== null && primaryKey.length > 0 ? keyOf(row, primaryKey) : null
		};
		if (extra?.via) {
			const { relation, ...via } = extra.via;
			const cause = await relationOf(String(relation));
			change.via = { ...via, schema: cause.schema, table: cause.table };
		}
		if (extra?.cut) change.cut = extra.cut;
		if (extra?.partition) change.partition = extra.partition;
		return change;
	}

	async function changesOf(rows: Row[]): Promise<Change[]> {
		const changes: Change[] = [];
		for (const row of rows) changes.push(await changeOf(row));
		return changes;
	}

	async function countOf(relationId: string, letter: string, rows: string | number): Promise<Count> {
		const { schema, table } = catalog.relation(relationId) ?? (await relationOf(relationId));
		return { schema, table, op: OP_OF[letter] as Op, rows: Number(rows) };
	}

	/** The filter's tables and ops as parameters: arrays, or null for all. */
	function scopeOf({ tables, ops }: Filter): Scope {
		return [
			tables?.flatMap((table) => catalog.ids(table)) ?? null,
			ops?.map((op) => letterOf(op) as string) ?? null
		];
	}

	/** What a filter selects, by the names of now: the filter's own tables and ops, and what its condition says of them. */
	async function select(filter: Filter): Promise<Selection> {
		const [relations, ops] = scopeOf(filter);
		const said = scopeOfWhere(filter.where);
		const named = new Map<string, string[]>();
		const tables = tablesOf(filter.where);
		if (tables.length > 0) {
			const names = [tables.map(({ schema }) => schema), tables.map(({ table }) => table)];
			for (const [id, i] of await read<[string, string]>('named', NAMED, names)) {
				const key = nameOf(tables[Number(i) - 1]!);
				named.set(key, [...(named.get(key) ?? []), id]);
			}
		}
		const idsOf: IdsOf = (table) => named.get(nameOf(table)) ?? [];
		const both = (a: string[] | null, b: string[] | undefined) =>
			a && b ? a.filter((each) => b.includes(each)) : (b ?? a);
		const letters = said.ops?.map((op) => letterOf(op) as string);
		return {
			scope: [both(relations, said.tables?.flatMap(idsOf)), both(ops, letters)],
			condition: (first) => compileWhere(filter.where, first, idsOf)
		};
	}

	async function bounds() {
		const [row] = await read<[string, string, string]>('bounds', BOUNDS, []);
		const [epoch, head, oldest] = row as [string, string, string];
		// In another log the numbers of ticks mean others.
		if (epoch !== writersOf) writers.clear();
		writersOf = epoch;
		return { epoch, head: BigInt(head), oldest: BigInt(oldest) };
	}

	async function ticks(after: bigint, until: bigint, most: number): Promise<Tick[]> {
		return ticksOf(await read('ticks', TICKS, [after, until, most, LARGE_TICK]));
	}

	async function ticksOf(rows: unknown[][]): Promise<Tick[]> {
		const result: Tick[] = [];
		let at = 0;
		while (at < rows.length) {
			const [n, time, countsText] = rows[at] as [n: string, at: string, counts: string];
			const of: Row[] = [];
			for (; at < rows.length && rows[at]?.[0] === n; at++) {
				const row = rows[at] as string[];
				// A large tick has its counts alone.
				if (row[3] !== null) of.push([n, ...row.slice(3)] as Row);
			}
			const counts: Count[] = [];
			for (const [relation, letter, count] of JSON.parse(countsText) as [number, string, number][]) {
				counts.push(await countOf(String(relation), letter, count));
			}
			const changes = (await changesOf(of)).reverse();
			const total = counts.reduce((sum, { rows }) => sum + rows, 0);
			const complete = changes.length === total;
			const partial = changes.length > 0 && !complete;
			result.push({
				tick: BigInt(n),
				at: time,
				counts,
				changes,
				complete,
				alone: partial && (await alone(changes[0]!))
			});
		}
		return result;
	}

	async function alone({ tick, tx }: Change): Promise<boolean> {
		const [row] = await read<[boolean]>('alone', ALONE, [tick, tx]);
		return row?.[0] ?? false;
	}

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
	async function search(query: ChangesQuery) {
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

	return {
		ticks,
		ticksOf,
		alone,
		changes: search,

		bounds,

		async counts(filter, after, until) {
			const rows = await read<[string, string, string]>('counts', COUNTS, [after, until, ...scopeOf(filter)]);
			return Promise.all(rows.map((row) => countOf(...row)));
		},

		async matching(filter, after, until) {
			const { scope, condition } = await select(filter);
			const { sql, values } = condition(5);
			const rows = await read<[string, string, string]>(undefined, MATCHING(sql), [
				after,
				until,
				...scope,
				...values
			]);
			return addUp(await Promise.all(rows.map((row) => countOf(...row))));
		},

		async rates(query) {
			return readRates({ read, countOf }, await select(query.filter), query);
		},

		async row({ schema, table, key, limit = MAX_CHANGES }) {
			// What no text of PostgreSQL can hold is no row's key.
			const texts = [...Object.keys(key), ...Object.values(key)].map((text) => text ?? '');
			if (texts.some((text) => text.includes('\0') || !text.isWellFormed())) return [];
			return changesOf(
				await read(undefined, ROW, [catalog.ids({ schema, table }), JSON.stringify(key), limit])
			);
		},

		async range(from, to) {
			const values = [from.toISOString(), to.toISOString(), null];
			const [row] = await read<string[]>('rates_bounds', RATES_BOUNDS, values);
			const [after, until] = row!.slice(0, 2).map(BigInt) as [bigint, bigint];
			return { after, until: max(after, until) };
		},

		async gaps(after) {
			const rows = await read<[string, string]>('gaps', GAPS, [after]);
			return rows.map(([from, until]): Gap => ({ after: from, until, reason: 'capture' }));
		}
	};
}

/** Positions of the log that several transactions may share: at most one each of those that run. */
const TIES = 8;

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
const max = (a: bigint, b: bigint) => (a > b ? a : b);

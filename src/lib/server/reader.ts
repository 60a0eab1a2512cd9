/** Reads the log: ticks as they come, and the past by range and filter. */
import type pg from 'pg';
import { MAX_CHANGES, type Change, type Count, type Filter, type Gap, type Op, type Series } from '../protocol.ts';
import type { Relations } from './catalog.ts';
import { keyOf } from './key.ts';
import { BOUNDS, CHANGES, COUNTS, GAPS, MATCHING, RATES, RATES_BOUNDS, TICKS, TICKS_WITH } from './queries.ts';
import { lsnOf, seqOf } from './seq.ts';
import type { ChangesQuery, Reader, Tick } from './types.ts';
import { compileWhere, type Condition } from './where.ts';

const OP_OF: Record<string, Op> = { I: 'INSERT', U: 'UPDATE', D: 'DELETE', T: 'TRUNCATE', R: 'REFERENCE' };

/** PostgreSQL's "char" for an op: its first letter. */
const letterOf = (op: Op) => op[0];

/** A row of `select t.n, COLUMNS`. */
type Row = [n: string, lsn: string, xid: string, at: string, relation: string, op: string, before: string | null, after: string | null, extra: string | null];

/** How many ticks are asked at once when the counts alone cannot tell how many changes will match. */
const BATCH = 400;

/** Past this, a search returns what it found and where to go on. */
const SEARCH_MS = 4_000;

export function makeReader(pool: pg.Pool, catalog: Relations): Reader {
	/** Rows as arrays: half the time of pg's objects. */
	async function read<T extends unknown[]>(name: string | undefined, text: string, values: unknown[]): Promise<T[]> {
		return (await pool.query<T>({ name, text, values, rowMode: 'array' })).rows;
	}

	/** A table that the catalogue does not know yet was watched a moment ago, perhaps by another server. */
	async function relationOf(id: string) {
		if (!catalog.relation(id)) await catalog.refresh();
		return catalog.relation(id) ?? { schema: '?', table: `dropped (${id})`, primaryKey: [] };
	}

	async function changeOf([n, lsn, xid, at, relationId, letter, before, after, extraText]: Row): Promise<Change> {
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
	function scopeOf({ tables, ops }: Filter): [string[] | null, string[] | null] {
		return [tables?.flatMap((table) => catalog.ids(table)) ?? null, ops?.map((op) => letterOf(op) as string) ?? null];
	}

	async function bounds() {
		const [row] = await read<[string, string, string]>('bounds', BOUNDS, []);
		const [epoch, head, oldest] = row as [string, string, string];
		return { epoch, head: BigInt(head), oldest: BigInt(oldest) };
	}

	async function ticks(after: bigint, until: bigint): Promise<Tick[]> {
		const rows = await read<[n: string, at: string, counts: string, ...rest: string[]]>('ticks', TICKS, [
			after,
			until,
			MAX_CHANGES
		]);
		const result: Tick[] = [];
		let at = 0;
		while (at < rows.length) {
			const [n, time, countsText] = rows[at] as [string, string, string];
			const of: Row[] = [];
			for (; at < rows.length && rows[at]?.[0] === n; at++) {
				const row = rows[at] as string[];
				of.push([n, ...row.slice(3)] as Row);
			}
			const counts: Count[] = [];
			for (const [relation, letter, count] of JSON.parse(countsText) as [number, string, number][]) {
				counts.push(await countOf(String(relation), letter, count));
			}
			const changes = (await changesOf(of)).reverse();
			const total = counts.reduce((sum, { rows }) => sum + rows, 0);
			result.push({ tick: BigInt(n), at: time, counts, changes, complete: changes.length === total });
		}
		return result;
	}

	/** The next ticks, in order, that have a change of the scope, with how many of it. */
	async function ticksWith(
		[relations, ops]: ReturnType<typeof scopeOf>,
		after: bigint,
		until: bigint,
		order: 'asc' | 'desc'
	): Promise<[tick: string, rows: string][]> {
		return read(`ticks_with_${order}`, TICKS_WITH(order), [after, until, relations, ops, BATCH]);
	}

	/** Changes that match the filter and a condition of SQL, tick by tick, until there are enough or time is up. */
	async function search(query: ChangesQuery, condition: (first: number) => Condition) {
		const { filter, order, limit, from } = query;
		const scope = scopeOf(filter);
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
		const { sql, values } = condition(7);
		while (after < until) {
			const candidates = await ticksWith(scope, after, until, order);
			if (candidates.length === 0) break;
			const chosen = sql === 'true' ? enough(candidates, limit - found.length + 1) : candidates.map(([n]) => n);
			const rows = await read<Row>(undefined, CHANGES(order, sql), [
				chosen,
				...scope,
				limit + TIES,
				from?.tick ?? null,
				from ? lsnOf(from.seq) : null,
				...values
			]);
			found.push(...(await changesOf(rows)).filter(beyond));
			if (found.length > limit) {
				found.length = limit;
				const last = found[limit - 1] as Change;
				return { changes: found, next: { tick: last.tick, seq: last.seq } };
			}
			const last = BigInt(chosen.at(-1) as string);
			if (desc) until = last - 1n;
			else after = last;
			if (performance.now() - started > SEARCH_MS && after < until) {
				return { changes: found, next: { tick: String(desc ? last : last + 1n), seq: '0' } };
			}
		}
		return { changes: found, next: null };
	}

	return {
		ticks,
		changes: (query) => search(query, (first) => compileWhere(query.filter.where, first)),

		bounds,

		async counts(filter, after, until) {
			const rows = await read<[string, string, string]>('counts', COUNTS, [after, until, ...scopeOf(filter)]);
			return Promise.all(rows.map((row) => countOf(...row)));
		},

		async matching(filter, after, until) {
			const { sql, values } = compileWhere(filter.where, 5);
			const [row] = await read<[string]>(undefined, MATCHING(sql), [after, until, ...scopeOf(filter), ...values]);
			return Number(row?.[0] ?? 0);
		},

		async rates({ from, to, buckets, filter }) {
			const [bounds] = await read<[string, string]>('rates_bounds', RATES_BOUNDS, [from, to]);
			const [after, tick] = bounds as [string, string];
			const stepMs = Math.max(1, Math.ceil((Date.parse(to) - Date.parse(from)) / buckets));
			const rows = await read<[string, string, string, string]>('rates', RATES, [
				from,
				stepMs,
				after,
				tick,
				...scopeOf(filter)
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
		},

		async row({ schema, table, key, limit = MAX_CHANGES }) {
			const { head, oldest } = await bounds();
			const { changes } = await search(
				{ filter: { tables: [{ schema, table }] }, after: oldest, until: head, order: 'desc', limit },
				(first) => ({
					sql: `(rowcast.has_key(c.after, $${first}) or rowcast.has_key(c.before, $${first}))`,
					values: [JSON.stringify(key)]
				})
			);
			return changes;
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

const min = (a: bigint, b: bigint) => (a < b ? a : b);
const max = (a: bigint, b: bigint) => (a > b ? a : b);

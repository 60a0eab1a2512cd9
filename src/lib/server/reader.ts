/** Reads the log: ticks as they come, and the past by range and filter. */
import type pg from 'pg';
import { keyOf } from '../key.ts';
import { MAX_CHANGES, type Change, type Count, type Filter, type Gap, type Op } from '../protocol.ts';
import { nameOf, type Relations } from './catalog.ts';
import { addUp } from './compose.ts';
import {
	ALONE,
	BOUNDED,
	BOUNDS,
	COUNTS,
	GAPS,
	MATCHING,
	NAMED,
	RATES_BOUNDS,
	ROW,
	TICKS,
	TIME_OF
} from './queries.ts';
import { readRates } from './rates.ts';
import { LARGE_TICK, MAX_PAGE, makeSearch, max, type Paged, type Row } from './search.ts';
import { lsnOf, seqOf } from './seq.ts';
import type { Reader, Scope, Selection, Tick } from './types.ts';
import { compileWhere, scopeOfWhere, tablesOf, type IdsOf } from './where.ts';

const OP_OF: Record<string, Op> = { I: 'INSERT', U: 'UPDATE', D: 'DELETE', T: 'TRUNCATE', R: 'REFERENCE' };

/** PostgreSQL's "char" for an op: its first letter. */
const letterOf = (op: Op) => op[0];

/** What a relation is called now, as far as that is told. */
type Called = [relation: number, called: string | null | undefined];

export interface LogReader extends Reader {
	/** Ticks from rows as the query TICKS answers them. */
	ticksOf(rows: unknown[][]): Promise<Tick[]>;
}

export function makeReader(pool: pg.Pool, catalog: Relations): LogReader {
	/** The epoch of the log that was read last. */
	let readOf: string | undefined;

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

	/** What a tick tells of its tables is newer than the catalogue, which is looked at every second. */
	async function follow(names: Called[]): Promise<void> {
		// One that was dropped has a number for a name, or none.
		const isNew = names.some(
			([relation, called]) =>
				called?.includes('.') && (catalog.relation(String(relation))?.called ?? called) !== called
		);
		if (isNew) await catalog.refresh();
	}

	/** As changesOf(), of changes that were just made: a key that they lack is one whose column was renamed. */
	async function newChangesOf(rows: Row[]): Promise<Change[]> {
		const changes = await changesOf(rows);
		const lack = changes.some(({ key }) => key !== null && Object.values(key).includes(null));
		return lack && (await catalog.refresh()) ? changesOf(rows) : changes;
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
		// In the encoding of the database there may be no such text. Asked at once, for a condition may be long in use before
		// it is compared with anything.
		if (/[^\0-\x7f]/.test(filter.where ?? '')) await read('readable', 'select $1::text', [filter.where]);
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
		if (epoch !== readOf) search.forget();
		readOf = epoch;
		return { epoch, head: BigInt(head), oldest: BigInt(oldest) };
	}

	async function ticks(after: bigint, until: bigint, most: number): Promise<Tick[]> {
		return ticksOf(await read('ticks', TICKS, [after, until, most, LARGE_TICK]));
	}

	async function ticksOf(rows: unknown[][]): Promise<Tick[]> {
		const result: Tick[] = [];
		let at = 0;
		while (at < rows.length) {
			const [n, time] = rows[at] as [n: string, at: string];
			// A leader's step tells what a table is called with its count, TICKS with its first tick for all.
			const told = JSON.parse(rows[at]![2] as string) as [number, string, number, string?][];
			const names = rows[at]![11] as string | null | undefined;
			await follow(names ? JSON.parse(names) : told.map(([relation, , , called]) => [relation, called]));
			const of: Row[] = [];
			for (; at < rows.length && rows[at]?.[0] === n; at++) {
				const row = rows[at] as string[];
				// A large tick has its counts alone.
				if (row[3] !== null) of.push([n, ...row.slice(3, 11)] as Row);
			}
			const counts: Count[] = [];
			for (const [relation, letter, count] of told) {
				counts.push(await countOf(String(relation), letter, count));
			}
			const changes = (await newChangesOf(of)).reverse();
			const total = counts.reduce((sum, { rows }) => sum + rows, 0);
			const complete = changes.length === total;
			result.push({
				tick: BigInt(n),
				at: time,
				counts,
				changes,
				complete,
				alone: !complete && (await alone(changes))
			});
		}
		return result;
	}

	async function alone(changes: readonly Change[]): Promise<boolean> {
		const [first] = changes;
		// What was read mostly tells: at 10,000 single rows a second the query would be made 30 times.
		if (!first || changes.some(({ tick, tx }) => tick === first.tick && tx !== first.tx)) return false;
		const [row] = await read<[boolean]>('alone', ALONE, [first.tick, first.tx]);
		return row?.[0] ?? false;
	}

	const search = makeSearch({ read, select, changesOf });

	return {
		ticks,
		ticksOf,
		alone,
		changes: search.changes,

		bounds,

		async timeOf(tick) {
			const [row] = await read<[string]>('time_of', TIME_OF, [tick]);
			return row?.[0] ?? '';
		},

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

		async row({ schema, table, key, before, limit = MAX_CHANGES }) {
			// What no text of PostgreSQL can hold is no row's key.
			const texts = [...Object.keys(key), ...Object.values(key)].map((text) => text ?? '');
			if (texts.some((text) => text.includes('\0') || !text.isWellFormed()))
				return { changes: [], next: null };
			// Two beyond the page: the one that it begins after, and one that tells that there are more.
			const rows = await read<Paged>(undefined, BOUNDED(ROW, 'desc', MAX_PAGE, 2), [
				catalog.ids({ schema, table }),
				JSON.stringify(key),
				limit + 2,
				before ? lsnOf(before.seq) : null
			]);
			const found = (await changesOf(rows as unknown[] as Row[])).filter(
				({ seq }) => !before || BigInt(seq) < BigInt(before.seq)
			);
			const changes = found.slice(0, limit);
			const full = Number(rows.at(-1)?.[9] ?? 0) >= MAX_PAGE;
			const { tick, seq } = changes.at(-1) ?? {};
			const more = tick !== undefined && seq !== undefined && (full || found.length > limit);
			return { changes, next: more ? { tick, seq } : null };
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

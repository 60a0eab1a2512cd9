/** The tables of the database: what a person sees of them, and which number stands for each in the log. */
import type pg from 'pg';
import type { TableInfo, TableName } from '../protocol.ts';
import { RELATIONS } from './queries.ts';
import type { Relations } from './types.ts';
import type { NamedTable } from './where.ts';

export type { Relations };

/** A table as a key. */
export const nameOf = ({ schema, table }: TableName | NamedTable) => JSON.stringify([schema, table]);

/** Reads nothing until the first `refresh()`. `changed`: told of each that found something new, whoever asked for it. */
export function makeCatalog(pool: Pick<pg.Pool, 'query'>, changed = () => {}): Relations {
	let fingerprint = '';
	let shape = '';
	let unindexed = new Map<string, string>();
	let unindexedAt = -Infinity;
	let tables: TableInfo[] = [];
	let byId = new Map<string, ReturnType<Relations['relation']>>();
	let byName = new Map<string, string[]>();
	let parents = new Set<string>();
	const problems = new Map<string, string>();
	/** One look at a time: what an earlier one found must not replace what a later one did. */
	let before = Promise.resolve(false);

	return {
		problems,
		tables: () => tables,
		relation: (id) => byId.get(id),
		referenced: (table) => parents.has(nameOf(table)),
		ids: (table) => byName.get(nameOf(table)) ?? [],
		refresh() {
			const turn = before.then(look);
			before = turn.catch(() => false);
			return turn;
		}
	};

	async function look(): Promise<boolean> {
		const { rows: shapes } = await pool.query(FINGERPRINT);
		if (shapes[0].fingerprint !== shape || performance.now() > unindexedAt + UNINDEXED_MS) {
			unindexed = new Map((await pool.query(UNINDEXED)).rows.map((row) => [nameOf(row), row.problem]));
			unindexedAt = performance.now();
		}
		shape = shapes[0].fingerprint;
		const now = JSON.stringify([shape, ...problems, ...unindexed]);
		if (now === fingerprint) return false;
		const { rows } = await pool.query(TABLES_AND_RELATIONS);
		// All is replaced at once: whoever reads the log meanwhile would find nothing of a table without a number.
		const relations = rows.filter(({ info }) => info === null);
		tables = rows.flatMap(({ info }) => {
			if (info === null) return [];
			const { state, ...table } = JSON.parse(info);
			const problem = problems.get(nameOf(table)) ?? PROBLEMS[state] ?? unindexed.get(nameOf(table));
			return {
				...table,
				watched: state === 'watched' || state === 'out of date',
				...(problem && { problem })
			};
		});
		parents = new Set(tables.flatMap(({ references }) => references.map(nameOf)));
		const keys = new Map(tables.map((table) => [nameOf(table), table.primaryKey]));
		byId = new Map();
		byName = new Map();
		for (const { id, schema, name, called } of relations) {
			const table = { schema, table: name };
			// One that was dropped had another, if it had the same name.
			byId.set(id, { ...table, called, primaryKey: (called && keys.get(nameOf(table))) ?? [] });
			byName.set(nameOf(table), [...(byName.get(nameOf(table)) ?? []), id]);
		}
		fingerprint = now;
		changed();
		return true;
	}
}

/** A table outgrows being read whole without any change of its shape; to ask takes 0.1 ms a foreign key. */
const UNINDEXED_MS = 10_000;

const PROBLEMS: Record<string, string | undefined> = {
	'trigger missing': 'Its trigger was removed: nothing is recorded. Run: rowcast install',
	'trigger disabled': 'Its trigger is disabled: nothing is recorded. Run: rowcast install'
};

/** Cheap beside the tables themselves: 3 ms over 1,000 tables. Changes with any of them. */
const FINGERPRINT = `
	select concat_ws(' ',
		(select concat(count(*), ' ', sum(xmin::text::bigint)) from pg_namespace),
		(select concat(count(*), ' ', sum(xmin::text::bigint)) from pg_type),
		(select concat(count(*), ' ', sum(xmin::text::bigint)) from pg_class where relkind in ('r', 'p')),
		(select concat(count(*), ' ', sum(xmin::text::bigint)) from pg_attribute where attnum > 0),
		(select concat(count(*), ' ', sum(xmin::text::bigint)) from pg_constraint),
		(select concat(count(*), ' ', sum(xmin::text::bigint)) from pg_trigger where not tgisinternal),
		(select concat(count(*), ' ', sum(xmin::text::bigint)) from rowcast.relation)) as fingerprint`;

const TABLES = `
	select json_build_object(
		'oid', w.oid::bigint, 'schema', w.schema, 'table', w.name, 'state', rowcast.trigger_state(w.oid),
		'columns', coalesce((
			select json_agg(json_strip_nulls(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
				'redacted', a.attnum = any (r.redacted) is true, 'generated', nullif(a.attgenerated <> '', false)))
				order by a.attnum)
			from pg_attribute a where a.attrelid = w.oid and a.attnum > 0 and not a.attisdropped), '[]'),
		'primaryKey', coalesce((
			select json_agg(a.attname order by k.i)
			from pg_index p, unnest(p.indkey::int[]) with ordinality k(attnum, i), pg_attribute a
			where p.indrelid = w.oid and p.indisprimary and k.i <= p.indnkeyatts
				and a.attrelid = w.oid and a.attnum = k.attnum), '[]'),
		'references', coalesce((
			select json_agg(json_strip_nulls(json_build_object('constraint', c.conname, 'schema', n.nspname, 'table', f.relname,
				'onDelete', case c.confdeltype when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default' end,
				'columns', (select json_agg(a.attname order by k.i) from unnest(c.conkey) with ordinality k(attnum, i)
					join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum),
				'referenced', (select json_agg(a.attname order by k.i) from unnest(c.confkey) with ordinality k(attnum, i)
					join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum))) order by c.conname)
			from pg_constraint c join pg_class f on f.oid = c.confrelid join pg_namespace n on n.oid = f.relnamespace
			where c.contype = 'f' and c.conrelid = w.oid and not f.relispartition), '[]')) as info
	from rowcast.watchable() w left join rowcast.relation r on r.oid = w.oid
	order by w.schema, w.name`;

/** Of one moment: a table that was made between the two would be known without its key. */
const TABLES_AND_RELATIONS = `
	select t.info, null::int as id, null as schema, null as name, null as called from (${TABLES}) t
	union all
	select null, r.id, r.schema, r.name, r.called from (${RELATIONS}) r`;

/** Tables that are not searched for rows that reference a changed one: it would mean reading them whole, or guessing. */
const UNINDEXED = `
	select child_schema as schema, child_name as table, format('Its rows are not announced when %s changes: ', parent::regclass) ||
		case when comparable then format('that needs an index. Run: create index concurrently on %s (%s)',
			child::regclass, (select string_agg(format('%I', name), ', ') from unnest(columns) name))
		else format('the log has no text of its key (%s) that can be compared.',
			(select string_agg(format('%I', name), ', ') from unnest(referenced) name)) end as problem
	from rowcast.referencing() where not cheap or not comparable
	union all
	select w.schema, w.name, format('Its rows are not announced by foreign key %s: Rowcast follows none over a period, nor of or to a single partition.', f.conname)
	from pg_constraint f
	join rowcast.watchable() w on w.oid = coalesce(pg_partition_root(f.conrelid), f.conrelid)
	join rowcast.relation r on r.oid = coalesce(pg_partition_root(f.confrelid), f.confrelid)
	where f.contype = 'f' and f.conparentid = 0 and r.watched and r."references" and rowcast.is_special(f)`;

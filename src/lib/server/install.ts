/** Installing and removing as SQL: the same for the command line, which runs it, and for the first screen, which shows it. */
import pg from 'pg';
import type { Installing } from '../install.ts';
import type { TableName } from '../protocol.ts';
import { ConfigError, RequestError } from './errors.ts';
import type { Config } from './types.ts';
import { LOCK_TIMEOUT_MS, matches } from './watch.ts';

export interface Step {
	/** The table that it is about. */
	schema: string;
	table: string;
	sql: string;
}

interface Target extends TableName {
	oid: string;
	/** Its name as SQL has it, in quotes. */
	literal: string;
	/** What is redacted first. */
	redact: string | undefined;
	/** None where it is watched already. */
	step: Step | undefined;
}

/** A step as a transaction of its own: whoever comes after it in a table's queue waits as long as it does at most. */
function step(schema: string, table: string, ...statements: string[]): Step {
	const lines = ['begin', `set local lock_timeout = '${LOCK_TIMEOUT_MS}ms'`, ...statements, 'commit'];
	return { schema, table, sql: lines.map((line) => `${line};`).join('\n') };
}

export const unwatchStep = ({ schema, table, literal }: TableName & { literal: string }): Step =>
	step(schema, table, `select rowcast.unwatch(${literal})`);

export const UNINSTALL: Step = step('rowcast', '*', 'select rowcast.uninstall()');

/** As people write it: `public.book`. */
export const label = ({ schema, table }: TableName) => `${schema}.${table}`;

/** A step for people to read. A name may hold anything, and must not end the comment. */
export const script = (each: Step) => `-- ${label(each).replace(/[\r\n]+/g, ' ')}\n${each.sql}`;

type Database = Pick<pg.ClientBase, 'query'>;

/** What is to be done for each table. Asks the catalogue only, because nothing may be installed yet. */
export async function planInstall(
	db: Database,
	{ watch, redact }: Pick<Config, 'watch' | 'redact'>
): Promise<Target[]> {
	const installed = (
		await db.query(`select to_regprocedure('rowcast.trigger_state(regclass)') is not null as yes`)
	).rows[0].yes;
	const { rows } = await db.query<{
		schema: string;
		table: string;
		name: string;
		oid: string;
		columns: string;
		state: string;
		redacted: string;
	}>(`
		select n.nspname as schema, c.relname as table, format('%I.%I', n.nspname, c.relname) as name, c.oid,
			${installed ? 'rowcast.trigger_state(c.oid)' : `'not watched'`} as state,
			(select json_agg(attname order by attnum) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns,
			${
				installed
					? `(select json_agg(a.attname order by a.attnum) from rowcast.relation r join pg_attribute a on a.attrelid = r.oid
				and a.attnum = any (r.redacted) where r.oid = c.oid)`
					: 'null'
			} as redacted
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
			and n.nspname not in ('rowcast', 'information_schema') and n.nspname !~ '^pg_'
		order by 1, 2`);
	const named = (each: TableName) =>
		!Array.isArray(watch) ||
		watch.some(({ schema, table }) => schema === each.schema && table === each.table);
	const missing =
		Array.isArray(watch) && watch.find((each) => !rows.some((row) => label(row) === label(each)));
	if (missing)
		throw new ConfigError(`There is no table ${label(missing)} in this database that could be watched.`);

	return rows.filter(named).map(({ schema, table, name, oid, columns, state, redacted }) => {
		const names = (JSON.parse(columns) ?? []) as string[];
		const secret = names.filter((column) =>
			redact.some((pattern) => matches(pattern, { schema, table }) && ['*', column].includes(pattern.column))
		);
		const literal = pg.escapeLiteral(name);
		const redacts =
			secret.length > 0 &&
			// Where it is not watched yet, to be read with the rest.
			(state === 'not watched' || JSON.stringify(secret) !== JSON.stringify(JSON.parse(redacted) ?? []))
				? `select rowcast.redact(${[literal, ...secret.map(pg.escapeLiteral)].join(', ')})`
				: undefined;
		const statements = [...(redacts ? [redacts] : []), `select rowcast.watch(${literal})`];
		const due = state !== 'watched' || redacts;
		return {
			schema,
			table,
			oid,
			literal,
			redact: redacts,
			step: due ? step(schema, table, ...statements) : undefined
		};
	});
}

/** What watching these tables would run, where Rowcast is installed. */
export async function describeInstall(
	pool: pg.Pool,
	redact: Config['redact'],
	watch: 'all' | TableName[]
): Promise<Installing> {
	const targets = await planInstall(pool, { watch, redact }).catch((err) => {
		throw err instanceof ConfigError ? new RequestError('NOT_FOUND', err.message) : err;
	});
	const due = targets.filter((each) => each.step);
	return {
		role: await roleOf(pool, targets),
		watch: due.map((each) => script(each.step!)).join('\n'),
		triggers: await triggersOf(pool, due),
		unwatch: targets.map((each) => script(unwatchStep(each))).join('\n'),
		uninstall: script(UNINSTALL),
		test: await testOf(pool, targets)
	};
}

/** The owner of the functions is the only one who may call them, and making triggers takes the owner of the tables. */
async function roleOf(db: Database, targets: Target[]): Promise<string | null> {
	const { rows } = await db.query<{ role: string }>(
		`select pg_get_userbyid(n.nspowner) as role from pg_namespace n where n.nspname = 'rowcast' and not exists (
			select from unnest($1::oid[]) t(oid)
			cross join lateral (select t.oid union select relid from pg_partition_tree(t.oid)) p(oid)
			join pg_class c on c.oid = p.oid where not pg_has_role(n.nspowner, c.relowner, 'usage'))`,
		[targets.map(({ oid }) => oid)]
	);
	return rows[0]?.role ?? null;
}

const MAY_NOT = '42501';

async function triggersOf(pool: pg.Pool, targets: Target[]): Promise<Installing['triggers']> {
	const client = await pool.connect();
	const ask = () =>
		client.query<{ run: string; undo: string | null }>(
			`select w.run, w.undo from unnest($1::oid[]) with ordinality t(oid, i)
			cross join lateral rowcast.watch_sql(t.oid) with ordinality w(run, undo, j) order by i, j`,
			[targets.map(({ oid }) => oid)]
		);
	try {
		// Once for the numbers that tables get for good; then with what is redacted, which is not for a look to decide.
		await ask();
		await client.query('begin');
		for (const each of targets) if (each.redact) await client.query(each.redact);
		const { rows } = await ask();
		const drops = rows.flatMap(({ undo }) => undo ?? []);
		return {
			create: rows.map(({ run }) => `${run};`).join('\n'),
			drop: drops.map((drop) => `${drop};`).join('\n')
		};
	} catch (err) {
		if ((err as { code?: string }).code !== MAY_NOT) throw err;
		return null;
	} finally {
		await client.query('rollback').then(
			() => client.release(),
			(err) => client.release(err)
		);
	}
}

/** Of the first table that has rows. */
async function testOf(db: Database, targets: Target[]): Promise<Installing['test']> {
	const { rows } = await db.query<{
		name: string;
		schema: string;
		table: string;
		column: string;
		row: string;
		empty: boolean;
	}>(
		`select n.nspname as schema, c.relname as table, format('%I.%I', n.nspname, c.relname) as name, s.column, not s.filled as empty,
			coalesce(k.columns, case c.relkind when 'p' then 'tableoid, ctid' else 'ctid' end) as row
		from unnest($1::oid[]) with ordinality t(oid, i) join pg_class c using (oid) join pg_namespace n on n.oid = c.relnamespace
		left join lateral (
			select string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns, array_agg(a.attnum) as numbers
			from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::smallint[])
			where i.indrelid = c.oid and i.indisprimary) k on true
		cross join lateral (select
			(select quote_ident(a.attname) from pg_attribute a
				where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity <> 'a'
				order by coalesce(a.attnum = any (k.numbers), false), a.attnum limit 1) as column,
			(select sum(pg_relation_size(oid)) > 0 from (select c.oid union select relid from pg_partition_tree(c.oid)) p(oid)) as filled) s
		where s.column is not null
		order by not s.filled, t.i limit 1`,
		[targets.map(({ oid }) => oid)]
	);
	const [found] = rows;
	if (!found) return null;
	const { schema, table, name, column, row, empty } = found;
	const tuple = row.includes(', ') ? `(${row})` : row;
	return {
		schema,
		table,
		empty,
		sql: `update ${name} set ${column} = ${column}\nwhere ${tuple} = (select ${row} from ${name} limit 1);`
	};
}

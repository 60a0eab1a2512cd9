/** The script that undoes what was done brings every table back, or does nothing. */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change, TableInfo } from '../../src/lib/protocol.ts';
import { makeCatalog } from '../../src/lib/server/catalog.ts';
import type { Relations } from '../../src/lib/server/types.ts';
import { connectionOptions } from '../../src/lib/server/pool.ts';
import { redoSql } from '../../src/lib/sql.ts';
import { conflictText, isConflict, keyNow, planUndo, undoScript } from '../../src/lib/undo.ts';
import { majors, useDatabase } from '../support/database.ts';
import { openLog, watchAll, type Log } from '../support/follow.ts';

const TABLES = `
	create table author (id int primary key, name text, manager int references author);
	create table "Book" (id int generated always as identity primary key, author int references author on delete cascade,
		title text, price numeric, doc json, tags text[], at timestamptz, big float8, flags bit(3), place point);
	create table review (book int references "Book" on delete cascade on update cascade, n int, body text, primary key (book, n));
	create table loose (x int, y text)`;

const id = fc.integer({ min: 1, max: 6 });
const text = fc
	.constantFrom(
		`it's`,
		'back\\slash',
		'$undo$',
		'日本',
		'',
		'two\nlines',
		'"quoted"',
		`'; drop table author; --`
	)
	.map((value) => pg.escapeLiteral(value));
const book = fc.tuple(
	id,
	text,
	fc.constantFrom('0.10', '9007199254740993.5', 'null', `'NaN'`),
	fc.constantFrom('null', `'{"a": [1, "x"]}'`),
	fc.constantFrom('null', `'{}'`, `'{a,"b,c",null}'`),
	fc.constantFrom('null', `'2026-01-31 12:00:00.123456+00'`, `'infinity'`),
	fc.constantFrom('1e300', '0.1', `'-Infinity'`, 'null'),
	fc.constantFrom('null', `B'101'`),
	fc.constantFrom('null', `'(1,2)'`)
);
const write = fc.oneof(
	fc
		.tuple(id, text, fc.option(id))
		.map(
			([id, name, manager]) => `insert into author values (${id}, ${name}, ${manager}) on conflict do nothing`
		),
	fc.tuple(id, text).map(([id, name]) => `update author set name = ${name} where id = ${id}`),
	id.map(
		(id) => `delete from author a where id = ${id} and not exists (select from author where manager = a.id)`
	),
	fc
		.tuple(id, book)
		.map(
			([id, values]) =>
				`insert into "Book" (id, author, title, price, doc, tags, at, big, flags, place) overriding system value values (${[id, ...values].join(', ')}) on conflict do nothing`
		),
	fc
		.tuple(id, book)
		.map(
			([id, [, title, price, doc, tags, at, big, flags, place]]) =>
				`update "Book" set title = ${title}, price = ${price}, doc = ${doc}, tags = ${tags}, at = ${at}, big = ${big}, flags = ${flags}, place = ${place} where id = ${id}`
		),
	id.map((id) => `delete from "Book" where id = ${id}`),
	fc
		.tuple(id, id, text)
		.map(([book, n, body]) => `insert into review values (${book}, ${n}, ${body}) on conflict do nothing`),
	fc
		.tuple(id, id, text)
		.map(
			([book, n, body]) => `update review set body = ${body}, n = n + 10 where book = ${book} and n = ${n}`
		),
	fc
		.tuple(id, text)
		.map(
			([x, y]) =>
				`insert into loose select ${x}, ${y} where not exists (select from loose where x = ${x} and y = ${y})`
		),
	id.map((x) => `delete from loose where x = ${x}`)
);

/** What once was not undone: tables, what is in them, and what a transaction then does. */
const AWKWARD: Record<string, { tables: string; rows: string; writes: string[] }> = {
	'scalars of json': {
		tables: 'create table scalar (id int primary key, j json, jb jsonb, js jsonb[])',
		rows: `insert into scalar select row_number() over (), v::json, v::jsonb, array[v::jsonb]
			from unnest('{"\\"1\\"","\\"true\\"","\\"a\\"",5,true,"\\"null\\"",1e2}'::text[]) v`,
		writes: [
			`update scalar set j = '"b"', jb = '"b"' where id > 4`,
			'delete from scalar where id < 4',
			`insert into scalar values (9, '"x"', '6', '{1}'), (10, 'false', 'false', '{}')`
		]
	},
	'generated columns': {
		tables: `create table made (id int primary key, n int, twice int generated always as (n * 2) stored);
			do $$ begin if current_setting('server_version_num')::int >= 180000 then
				execute 'alter table made add column thrice int generated always as (n * 3) virtual'; end if; end $$`,
		rows: 'insert into made values (1, 1), (2, 2)',
		writes: ['delete from made where id = 1', 'update made set n = 5', 'insert into made values (3, 3)']
	},
	'a real': {
		tables: 'create table measure (id int primary key, r real, big float8)',
		rows: 'insert into measure values (1, 1.1, 0.1), (2, 1e30, 1e300)',
		writes: ['insert into measure values (3, 2.2, 0.3)', 'update measure set r = 3.3, big = 0.7 where id < 3']
	},
	'arrays of what has no equality': {
		tables: 'create table places (id int primary key, at point[], docs json[])',
		rows: `insert into places values (1, array[point(1, 2)], array['{"a":  1}'::json])`,
		writes: [
			`update places set at = array[point(3, 4)], docs = '{1}'`,
			'insert into places values (2, array[point(5, 6)], null)'
		]
	},
	'a tree, deleted and planted in one statement each': {
		tables: 'create table tree (id int primary key, parent int references tree)',
		rows: 'insert into tree values (1, null), (2, 1), (3, 2), (4, 3), (5, 1)',
		writes: ['delete from tree', 'insert into tree values (7, 6), (6, null), (8, 7)']
	},
	'a tree with leaves in another table, on delete cascade': {
		tables: `create table branch (id int primary key, parent int references branch on delete cascade);
			create table fruit (id int primary key, branch int references branch on delete cascade)`,
		rows: `insert into branch values (1, null), (2, 1), (3, 2); insert into fruit values (1, 1), (2, 2), (3, 3)`,
		writes: ['delete from branch']
	},
	'a unique value, freed and used again': {
		tables: 'create table seat (id int primary key, name text unique)',
		rows: `insert into seat values (1, 'a'), (2, 'b'), (5, 'e')`,
		writes: [
			'delete from seat where id = 1',
			`insert into seat values (3, 'a')`,
			`update seat set name = 't' where id = 2`,
			`update seat set name = 'b' where id = 5`,
			`update seat set name = 'e' where id = 2`
		]
	},
	'two tables that point at each other': {
		tables: `create table hen (id int primary key, egg int);
			create table egg (id int primary key, hen int references hen);
			alter table hen add foreign key (egg) references egg`,
		rows: `insert into hen values (1, null); insert into egg values (1, 1); update hen set egg = 1`,
		writes: [
			'update hen set egg = null',
			'delete from egg',
			'delete from hen',
			'insert into hen values (2, null)',
			'insert into egg values (2, 2)',
			'update hen set egg = 2'
		]
	},
	'on update cascade, over three tables': {
		tables: `create table country (code text primary key);
			create table city (country text references country on update cascade, n int, primary key (country, n));
			create table street (id int primary key, country text, city int,
				foreign key (country, city) references city on update cascade on delete set null)`,
		rows: `insert into country values ('a'), ('b'); insert into city values ('a', 1), ('b', 1);
			insert into street values (1, 'a', 1), (2, 'b', 1)`,
		writes: [
			`update country set code = 'c' where code = 'a'`,
			`update country set code = 'd' where code = 'c'`,
			`delete from city where country = 'd'`
		]
	},
	'keys that are swapped in one statement': {
		tables: 'create table pair (id int primary key deferrable, v text)',
		rows: `insert into pair values (1, 'a'), (2, 'b')`,
		writes: ['update pair set id = 3 - id']
	},
	'a trigger that sets a time, and one that writes another table first': {
		tables: `create table note (id int primary key, body text, touched timestamptz);
			create table trail (id int generated always as identity primary key, note int references note on delete cascade);
			create function touch() returns trigger language plpgsql as $$ begin new.body := new.body || '.'; return new; end $$;
			create function trace() returns trigger language plpgsql as $$ begin insert into trail (note) values (new.id); return null; end $$;
			create trigger a_touch before update on note for each row execute function touch();
			create trigger a_trace after insert on note for each row execute function trace()`,
		rows: `select 1`,
		writes: [
			`insert into note values (1, 'x', null)`,
			`update note set body = 'y'`,
			`update note set body = 'z'`
		]
	},
	'a large value that came and went': {
		tables: 'create table guest (id int primary key, name text)',
		rows: 'select 1',
		writes: [
			`insert into guest values (1, repeat('x', 100000))`,
			`update guest set name = 'y'`,
			'delete from guest',
			`insert into guest values (1, 'z')`
		]
	},
	'an identity, and json without a key': {
		tables: 'create table heap (n int generated always as identity, j json, x xml)',
		rows: `insert into heap (j, x) values ('{"a": 1}', '<a/>'), ('5', null), ('5', null)`,
		writes: [`update heap set j = '"1"' where n = 1`, 'delete from heap where n = 2']
	}
};

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });
	let client: pg.Client;
	let log: Log;
	let catalog: Relations;
	let tables: TableInfo[];

	beforeAll(async () => {
		client = new pg.Client(connectionOptions({ connectionString: database().url }));
		await client.connect();
		await client.query(TABLES);
		await watchAll(database().url);
		log = await openLog(database().url);
		catalog = makeCatalog(client as never);
		await catalog.refresh();
		tables = catalog.tables();
	});
	afterAll(async () => {
		await log?.close();
		await client?.end();
	});

	const attempt = async (sql: string) => {
		await client.query('savepoint one');
		// A foreign key that points at nothing: this write is simply not made.
		await client.query(sql).catch(() => client.query('rollback to one'));
	};

	async function transaction(writes: string[]): Promise<Change[]> {
		await log.changes();
		await client.query('begin');
		for (const sql of writes) await attempt(sql);
		await client.query('commit');
		return log.changes();
	}

	async function state(): Promise<string[]> {
		const rows: string[] = [];
		for (const name of ['author', '"Book"', 'review', 'loose'])
			rows.push(
				...(await client.query(`select '${name} ' || t::text as row from ${name} t order by 1`)).rows.map(
					({ row }) => row
				)
			);
		return rows;
	}

	test('a transaction is undone to the row', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(write, { maxLength: 12 }),
				fc.array(write, { minLength: 1, maxLength: 15 }),
				async (first, writes) => {
					await transaction(first);
					const before = await state();
					const changes = await transaction(writes);
					const plan = planUndo(changes, tables);
					expect(plan.problems).toEqual([]);
					await client.query(undoScript(plan)).catch(async (error) => {
						await client.query('rollback');
						throw error;
					});
					expect(await state()).toEqual(before);
				}
			),
			{ numRuns: 60 }
		);
	});

	test.each(Object.entries(AWKWARD))('undone: %s', async (_, { tables: ddl, rows, writes }) => {
		await client.query(
			'drop schema if exists awkward cascade; create schema awkward; set search_path = awkward'
		);
		try {
			await client.query(ddl);
			await client.query('select rowcast.watch_all()');
			await catalog.refresh();
			await client.query(rows);
			await log.changes();
			const state = async () => {
				const found: string[] = [];
				for (const { schema, table } of catalog.tables())
					if (schema === 'awkward') {
						const { rows } = await client.query(
							`select to_json(t)::text as row from "${table}" t order by 1`
						);
						found.push(table, ...rows.map(({ row }) => row));
					}
				return found;
			};
			const before = await state();
			await client.query('begin');
			for (const sql of writes) await client.query(sql);
			await client.query('commit');
			expect(await state()).not.toEqual(before);
			const plan = planUndo(await log.changes(), catalog.tables());
			expect(plan.problems).toEqual([]);
			await client.query(undoScript(plan));
			expect(await state()).toEqual(before);
		} finally {
			await client.query('rollback; reset search_path');
		}
	});

	test('rows that only one statement could bring back together are told', async () => {
		await client.query(`drop schema if exists awkward cascade; create schema awkward; set search_path = awkward;
			create table one (id int primary key, two int);
			create table two (id int primary key, one int references one on delete cascade);
			alter table one add foreign key (two) references two on delete cascade;
			reset search_path`);
		await client.query('select rowcast.watch_all()');
		await catalog.refresh();
		await client.query(
			'insert into awkward.one values (1, null); insert into awkward.two values (1, 1); update awkward.one set two = 1'
		);
		const changes = await transaction(['delete from awkward.one']);
		expect(planUndo(changes, catalog.tables()).problems).toEqual([
			'awkward.one 1 and awkward.two 1 point at each other: the script can run only where such a foreign key is deferrable.'
		]);
	});

	test('what changed a row in between is told, and stops the script', async () => {
		await client.query(`delete from loose; insert into author values (21, 'a'), (22, 'a')`);
		await log.changes();
		const first = await transaction([`update author set name = 'b' where id in (21, 22)`]);
		await transaction([`update author set name = 'c' where id = 22`]);
		const last = await transaction([`update author set name = 'd' where id in (21, 22)`]);
		const plan = planUndo([...first, ...last], tables);
		expect(plan.problems).toEqual(['author 22 changed in between by something that is not in the set.']);
		await expect(client.query(undoScript(plan))).rejects.toThrow('author 22 is no longer as it was left');
		await client.query('rollback');
	});

	test('one change is undone, and done again', async () => {
		await client.query(`drop schema if exists awkward cascade; create schema awkward; set search_path = awkward;
			create table one (id int generated always as identity, j json, r real, twice int generated always as (id * 2) stored);
			reset search_path`);
		await client.query('select rowcast.watch_all()');
		await catalog.refresh();
		const info = catalog.tables().find(({ schema }) => schema === 'awkward')!;
		await log.changes();
		await client.query(`insert into awkward.one (j, r) values ('"1"', 1.1), ('{"a":  1}', null)`);
		const state = async () =>
			(await client.query('select to_json(one)::text from awkward.one order by 1')).rows;
		const both = await state();
		const [change] = await log.changes();
		await client.query(undoScript(planUndo([change!], [info])));
		expect(await state()).toEqual(both.filter(({ to_json }) => !to_json.includes('1.1')));
		await client.query(redoSql(change!, info)!);
		expect(await state()).toEqual(both);
		const [removed] = await transaction(['delete from awkward.one where r = 1.1::real']);
		await client.query(undoScript(planUndo([removed!], [info])));
		expect(await state()).toEqual(both);
		await client.query(redoSql(removed!, info)!);
		expect(await state()).toHaveLength(1);
	});

	test('what changed since is a conflict: nothing is done, and the row is named', async () => {
		await transaction([
			'delete from loose',
			'delete from "Book"',
			'delete from author where manager is not null',
			'delete from author'
		]);
		const changes = await transaction([
			`insert into author values (1, 'A'), (2, 'B')`,
			`update author set name = 'C' where id = 2`
		]);
		const [newer] = await transaction([`update author set name = 'D' where id = 2`]);
		const before = await state();
		const plan = planUndo(changes, tables);
		expect(plan.steps.map(({ kind, change }) => [kind, change.key!.id])).toEqual([
			['update', '2'],
			['delete', '2'],
			['delete', '1']
		]);
		const conflicts = plan.rows.filter((row) =>
			isConflict(row, keyNow(row)!.id === newer!.key!.id ? newer : undefined)
		);
		expect(conflicts.map((row) => conflictText(row, newer!).split(' at ')[0])).toEqual(['author 2: update']);
		await expect(client.query(undoScript(plan))).rejects.toThrow(
			'author 2 is no longer as it was left; nothing was undone'
		);
		await client.query('rollback');
		expect(await state()).toEqual(before);
	});

	test('what foreign keys take along of rows that came since is said, and so it is', async () => {
		await client.query(`drop schema if exists along cascade; create schema along; set search_path = along;
			create table trunk (id int primary key);
			create table branch (id int primary key, trunk int references trunk on delete cascade);
			create table leaf (id int primary key, branch int references branch on delete set null);
			create table nest (id int primary key, branch int default null references branch on delete set default);
			create table fence (id int primary key, trunk int references trunk);
			reset search_path`);
		await client.query('select rowcast.watch_all()');
		await catalog.refresh();
		await log.changes();
		const changes = await transaction(['insert into along.trunk values (1)']);
		await client.query(`insert into along.branch values (1, 1); insert into along.leaf values (1, 1);
			insert into along.nest values (1, 1)`);
		const plan = planUndo(changes, catalog.tables());
		expect(plan.problems).toEqual([]);
		expect(plan.notes).toEqual([
			'Rows of along.branch that point at a deleted row of along.trunk by then are deleted with it: on delete cascade.',
			'Rows of along.leaf that point at a deleted row of along.branch by then are changed with it: on delete set null.',
			'Rows of along.nest that point at a deleted row of along.branch by then are changed with it: on delete set default.'
		]);
		await client.query(undoScript(plan));
		const { rows } = await client.query(
			`select (select count(*) from along.branch) as branches, leaf.branch, nest.branch as nested from along.leaf, along.nest`
		);
		expect(rows).toEqual([{ branches: '0', branch: null, nested: null }]);
		await client.query('drop schema along cascade');
		await catalog.refresh();
	});

	test('what the log cannot bring back is said', async () => {
		await transaction([`insert into author values (9, repeat('x', 100000), null)`]);
		const changes = await transaction([`update author set name = 'short' where id = 9`, 'truncate loose']);
		const { steps, problems } = planUndo(changes, tables);
		expect(steps).toEqual([]);
		expect(problems.sort()).toEqual([
			'The rows that were in loose when it was truncated are not in the log.',
			'author 9 keeps its name: the log lacks what it was.'
		]);
	});
});

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { catalogueOf } from '../support/catalogue.ts';
import { majors, useDatabase } from '../support/database.ts';
import { follow, watchAll } from '../support/follow.ts';
import { systemMajors, withClient } from '../support/postgres.ts';
import { useRecording } from '../support/recording.ts';
import { root } from '../support/rowcast.ts';

/** A change without what differs from run to run. */
const brief = ({ schema, table, op, before, after, key }: Change) => ({
	table: schema === 'public' ? table : `${schema}.${table}`,
	op,
	before: before && JSON.parse(before),
	after: after && JSON.parse(after),
	key
});

describe.each(majors())('PostgreSQL %i', (major) => {
	const { database, log, query, record } = useRecording(major);

	test('insert, update, delete and truncate are recorded with the row before and after', async () => {
		const changes = await record(
			'create table book (id int primary key, title text)',
			`insert into book values (1, 'Emma'), (2, 'Persuasion')`,
			`update book set title = 'Emma, again' where id = 1`,
			'delete from book where id = 2',
			'truncate book'
		);
		expect(changes.map(brief)).toEqual([
			{ table: 'book', op: 'INSERT', before: null, after: { id: 1, title: 'Emma' }, key: { id: '1' } },
			{ table: 'book', op: 'INSERT', before: null, after: { id: 2, title: 'Persuasion' }, key: { id: '2' } },
			{
				table: 'book',
				op: 'UPDATE',
				before: { id: 1, title: 'Emma' },
				after: { id: 1, title: 'Emma, again' },
				key: { id: '1' }
			},
			{ table: 'book', op: 'DELETE', before: { id: 2, title: 'Persuasion' }, after: null, key: { id: '2' } },
			{ table: 'book', op: 'TRUNCATE', before: null, after: null, key: null }
		]);
	});

	test('what was rolled back, wholly or to a savepoint, never appears', async () => {
		const changes = await record(
			'create table draft (id int primary key, text text)',
			`begin; insert into draft values (1, 'aborted'); rollback`,
			`begin; insert into draft values (2, 'kept'); savepoint a; insert into draft values (3, 'undone');
			update draft set text = 'undone' where id = 2; rollback to a; savepoint b; insert into draft values (4, 'kept');
			release b; update draft set text = 'kept, twice' where id = 2; commit`,
			`do $$ begin
				insert into draft values (5, 'kept');
				begin
					insert into draft values (6, 'undone'), (1 / 0, 'fails');
				exception when division_by_zero then null;
				end;
			end $$`
		);
		expect(changes.map(({ op, after }) => [op, JSON.parse(after!)])).toEqual([
			['INSERT', { id: 2, text: 'kept' }],
			['INSERT', { id: 4, text: 'kept' }],
			['UPDATE', { id: 2, text: 'kept, twice' }],
			['INSERT', { id: 5, text: 'kept' }]
		]);
		expect(changes[1]!.tx).toBe(changes[0]!.tx);
	});

	test('a row of a partitioned table is recorded once, whichever way it is written', async () => {
		const changes = await record(
			`create table event (id int, day int, text text, primary key (id, day)) partition by range (day);
			create table event_1 partition of event for values from (0) to (10);
			create table event_2 (text text, gone int, day int not null, id int not null) partition by range (id);
			alter table event_2 drop column gone;
			create table event_2a partition of event_2 for values from (0) to (100);
			alter table event attach partition event_2 for values from (10) to (20)`,
			`insert into event values (1, 1, 'through the parent'), (2, 11, 'through the parent')`,
			`insert into event_1 values (3, 3, 'straight into a leaf')`,
			`insert into event_2a values ('straight into a deep leaf', 12, 4)`,
			`update event_1 set text = 'changed' where id = 3`,
			`update event set day = 12 where id = 1`,
			'delete from event_2 where id = 2'
		);
		expect(
			changes.map(brief).map(({ op, before, after, key, table }) => [table, op, key, before?.day, after?.day])
		).toEqual([
			['event', 'INSERT', { id: '1', day: '1' }, undefined, 1],
			['event', 'INSERT', { id: '2', day: '11' }, undefined, 11],
			['event', 'INSERT', { id: '3', day: '3' }, undefined, 3],
			['event', 'INSERT', { id: '4', day: '12' }, undefined, 12],
			['event', 'UPDATE', { id: '3', day: '3' }, 3, 3],
			['event', 'DELETE', { id: '1', day: '1' }, 1, undefined],
			['event', 'INSERT', { id: '1', day: '12' }, undefined, 12],
			['event', 'DELETE', { id: '2', day: '11' }, 11, undefined]
		]);
	});

	test('a truncate is recorded once, with the partition where it was one only', async () => {
		const changes = await record(
			`create table place (id int, text text) partition by list (id);
			create table place_1 partition of place for values in (1);
			create table place_2 partition of place for values in (2, 3) partition by list (id);
			create table place_2a partition of place_2 for values in (2);
			create table place_2b partition of place_2 for values in (3);
			create table other (id int)`,
			'truncate place',
			'truncate place_1',
			'truncate place_2',
			'truncate place_2a, other',
			'begin; truncate place; truncate place_1; truncate place_2b; commit',
			'do $$ begin truncate place; truncate place_2b; end $$',
			`do $$ begin truncate place_1, place; insert into place values (1); truncate place_1; insert into place values (1);
				truncate place_1; end $$`,
			'alter table place detach partition place_1; truncate place_1'
		);
		const whole = ['place', undefined];
		expect(
			changes.map(({ table, op, partition }) => [table, partition?.table].concat(op === 'TRUNCATE' ? [] : op))
		).toEqual([
			whole,
			['place', 'place_1'],
			['place', 'place_2'],
			['place', 'place_2a'],
			['other', undefined],
			whole,
			['place', 'place_1'],
			['place', 'place_2b'],
			whole,
			['place', 'place_2b'],
			['place', 'place_1'],
			whole,
			['place', undefined, 'INSERT'],
			['place', 'place_1'],
			['place', undefined, 'INSERT'],
			['place', 'place_1']
		]);
	});

	test('a watched table can become a partition, and be one no more', async () => {
		const changes = await record(
			`create table year (y int not null, text text) partition by list (y);
			create table year_1 (text text, y int not null)`,
			`insert into year_1 values ('alone', 1)`,
			'alter table year attach partition year_1 for values in (1)',
			'select rowcast.watch_all()',
			`insert into year values (1, 'within')`,
			`update year_1 set text = 'changed'`,
			'truncate year',
			'alter table year detach partition year_1',
			'select rowcast.watch_all()',
			`insert into year_1 values ('alone again', 1)`,
			'truncate year_1'
		);
		expect(changes.map(({ table, op }) => [table, op])).toEqual([
			['year_1', 'INSERT'],
			['year', 'INSERT'],
			['year', 'UPDATE'],
			['year', 'UPDATE'],
			['year', 'TRUNCATE'],
			['year_1', 'INSERT'],
			['year_1', 'TRUNCATE']
		]);
	});

	test('the changes of a row keep their order when triggers of the application change it again', async () => {
		const changes = await record(
			`create table page (id int primary key, text text, edits int default 0);
			create function count_edits() returns trigger language plpgsql as $$ begin
				update page set edits = edits + 1 where id = new.id; return null;
			end $$;
			create trigger a_trigger_that_fires_early after insert or update of text on page
				for each row execute function count_edits()`,
			`insert into page values (1, 'first')`,
			`update page set text = 'second'`
		);
		expect(changes.map(({ op, after }) => [op, JSON.parse(after!).text, JSON.parse(after!).edits])).toEqual([
			['INSERT', 'first', 0],
			['UPDATE', 'first', 1],
			['UPDATE', 'second', 1],
			['UPDATE', 'second', 2]
		]);
	});

	test('tables and columns of any name and any schema', async () => {
		const names = [
			'Mixed Case',
			'quo"te',
			`apo'strophe`,
			'percent%s%I',
			'back\\slash',
			'__proto__',
			'constructor',
			'naïve 表 🐘',
			'x'.repeat(63),
			'$1',
			'a.b',
			'new',
			'old',
			'select',
			' '
		];
		for (const name of names) {
			const id = pg.escapeIdentifier(name);
			const changes = await record(
				`create schema ${id}; create table ${id}.${id} (${id} int primary key, "other ""one""" text)`,
				`insert into ${id}.${id} values (1, 'x')`,
				`update ${id}.${id} set "other ""one""" = 'y'`
			);
			expect(
				changes.map(({ op, schema, table, key }) => ({ op, schema, table, key: Object.entries(key!) })),
				name
			).toEqual([
				{ op: 'INSERT', schema: name, table: name, key: [[name, '1']] },
				{ op: 'UPDATE', schema: name, table: name, key: [[name, '1']] }
			]);
			expect(Object.entries(JSON.parse(changes[1]!.after!))).toEqual([
				[name, 1],
				['other "one"', 'y']
			]);
			await query(`drop schema ${id} cascade`);
		}
	});

	test('a composite key is named in its own order, and a table without a key has none', async () => {
		const changes = await record(
			`create table seat (row int, hall text, "Number" numeric, primary key (hall, "Number", row));
			create table "log line" (text text)`,
			`insert into seat values (7, 'Große "Halle"', 1.50)`,
			`insert into "log line" values ('a'), ('a')`
		);
		expect(changes.map(({ key }) => key && Object.entries(key))).toEqual([
			[
				['hall', 'Große "Halle"'],
				['Number', '1.50'],
				['row', '7']
			],
			null,
			null
		]);
	});

	test('tables of the same name in several schemas, and a table that moved, are told apart', async () => {
		const changes = await record(
			`create schema a; create schema b; create table a.thing (id int primary key); create table b.thing (id int primary key)`,
			'insert into a.thing values (1)',
			'insert into b.thing values (2)'
		);
		expect(changes.map(({ schema, after }) => [schema, after])).toEqual([
			['a', '{"id":1}'],
			['b', '{"id":2}']
		]);
	});

	test('unwatch stops recording, watch begins again, and both say whether they changed anything', async () => {
		const ask = async (sql: string) => Object.values((await query(sql)).rows[0])[0];
		await record('create table lamp (id int primary key)');
		expect(await ask(`select rowcast.watch('lamp')`)).toBe(false);
		expect(await ask(`select rowcast.unwatch('lamp')`)).toBe(true);
		expect(await ask(`select rowcast.unwatch('lamp')`)).toBe(false);
		await query('insert into lamp values (1)');
		expect(await ask(`select rowcast.watch('lamp')`)).toBe(true);
		await query('insert into lamp values (2)');
		expect((await log().changes()).map(({ after }) => after)).toEqual(['{"id":2}']);
		await expect(query(`select rowcast.watch('rowcast.change')`)).rejects.toThrow('cannot be watched');
		await expect(query(`select rowcast.watch('pg_catalog.pg_class')`)).rejects.toThrow('cannot be watched');
		await query('create view lamps as select * from lamp');
		await expect(query(`select rowcast.watch('lamps')`)).rejects.toThrow('cannot be watched');
	});

	test.skipIf(!psql)(
		'psql runs the files as they are, as often as one likes, and loses nothing',
		async () => {
			const before = await record('create table kept (id int primary key)', 'insert into kept values (1)');
			expect(before).toHaveLength(1);
			for (let i = 0; i < 2; i++)
				for (const file of files)
					await promisify(execFile)(psql!, [
						'-X',
						'-q',
						'-v',
						'ON_ERROR_STOP=1',
						'-d',
						database().url,
						'-f',
						file
					]);
			await query('insert into kept values (2)');
			expect((await log().changes()).map(({ after }) => after)).toEqual(['{"id":2}']);
			const { head } = await log().reader.bounds();
			const { changes } = await log().reader.changes({
				filter: { tables: [{ schema: 'public', table: 'kept' }] },
				after: 0n,
				until: head,
				order: 'asc',
				limit: 10
			});
			expect(changes.map(({ after }) => after)).toEqual(['{"id":1}', '{"id":2}']);
		}
	);
});

describe.each(majors())('a new database of PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	test('several servers that start at once install it once, and all follow', async () => {
		const { url } = database();
		await withClient(url, (db) =>
			db.query('create table first (id int primary key); create table second (id int)')
		);
		const servers = await Promise.all([1, 2, 3, 4].map(() => follow(url)));
		await withClient(url, (db) => db.query('insert into first values (1); insert into second values (2)'));
		for (const server of servers) {
			await server.until('both changes', ({ ticks }) => ticks.flatMap(({ changes }) => changes).length >= 2);
			expect(server.ticks.flatMap(({ changes }) => changes).map(({ after }) => after)).toEqual([
				'{"id":1}',
				'{"id":2}'
			]);
		}
		await Promise.all(servers.map((server) => server.close()));
	});

	test('uninstall leaves the catalogue as it was', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await db.query('select rowcast.uninstall()').catch(() => {});
			await db.query('create table third (id int primary key, p int references third)');
			const before = await catalogueOf(db);
			await watchAll(url);
			await db.query('insert into third values (1, 1)');
			expect(await catalogueOf(db)).not.toEqual(before);
			await db.query('select rowcast.uninstall()');
			expect(await catalogueOf(db)).toEqual(before);
		});
	});
});

const files = readdirSync(path.join(root, 'sql'))
	.sort()
	.map((name) => path.join(root, 'sql', name));
const psql = systemMajors()
	.map((major) => `/usr/lib/postgresql/${major}/bin/psql`)
	.at(-1);

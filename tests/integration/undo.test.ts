/** The script that undoes what was done brings every table back, or does nothing. */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change, TableInfo } from '../../src/lib/protocol.ts';
import { makeCatalog } from '../../src/lib/server/catalog.ts';
import { connectionOptions } from '../../src/lib/server/pool.ts';
import { isConflict, planUndo, undoScript } from '../../src/lib/undo.ts';
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

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });
	let client: pg.Client;
	let log: Log;
	let tables: TableInfo[];

	beforeAll(async () => {
		client = new pg.Client(connectionOptions({ connectionString: database().url }));
		await client.connect();
		await client.query(TABLES);
		await watchAll(database().url);
		log = await openLog(database().url);
		const catalog = makeCatalog(client as never);
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
		expect(
			plan.steps.map((step) => [
				step.kind,
				step.label,
				isConflict(step, newer!.key!.id === step.key!.id ? newer : undefined)
			])
		).toEqual([
			['delete', 'author 2', true],
			['delete', 'author 1', false]
		]);
		await expect(client.query(undoScript(plan))).rejects.toThrow(
			'author 2 is no longer as it was left; nothing was undone'
		);
		await client.query('rollback');
		expect(await state()).toEqual(before);
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

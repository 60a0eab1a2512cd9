/** Foreign keys of every kind: which rows each announces, and by which key. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { majors, useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';
import { useRecording } from '../support/recording.ts';
import { connect, startRowcast, type Rowcast, type Viewer } from '../support/rowcast.ts';

const database = useDatabase();
let server: Rowcast;
let viewer: Viewer;
const run = (sql: string) => withClient(database().url, (client) => client.query(sql));

beforeAll(async () => {
	await run(`
		create schema shop;
		create table mark (id int primary key);
		create table pair (a int, b int, n int, primary key (a, b));
		create table of_pair (id int primary key, y int, x int, constraint both_columns foreign key (x, y) references pair (a, b));
		create index on of_pair (x, y);
		insert into pair values (1, 2), (2, 1);
		insert into of_pair values (1, 2, 1), (2, 1, 2), (3, null, 1);

		create table person (id int primary key, name text, boss int constraint boss references person);
		create index on person (boss);
		insert into person values (1, 'Ada', 1), (2, 'Bo', 1), (3, 'Cy', 2);
		create table letter (id int primary key, sender int constraint sender references person,
			receiver int constraint receiver references person);
		create index on letter (sender); create index on letter (receiver);
		insert into letter values (1, 3, 2), (2, 2, 3), (3, 3, 3);

		create table shop.offer (id int primary key, pair_a int, pair_b int,
			constraint across foreign key (pair_a, pair_b) references pair);
		create index on shop.offer (pair_a, pair_b);
		insert into shop.offer values (7, 2, 1);

		create table country (code text primary key, n int);
		create table city (id int primary key, code text constraint country references country on update cascade);
		create index on city (code);
		insert into country values ('a', 0), ('b', 0);
		insert into city values (1, 'a'), (2, 'a'), (3, 'b');

		create table account (id int primary key, n int) partition by range (id);
		create table account_1 partition of account for values from (0) to (10);
		create table account_2 partition of account for values from (10) to (20);
		create table entry (id int primary key, account int constraint account references account) partition by range (id);
		create table entry_1 partition of entry for values from (0) to (10);
		create table entry_2 partition of entry for values from (10) to (20);
		create index on entry (account);
		insert into account values (1, 0), (11, 0);
		insert into entry values (1, 1), (2, 11), (12, 1)`);
	server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all' } });
	viewer = await connect(server.url);
	await viewer.subscribe({});
});
afterAll(async () => {
	viewer?.close();
	await server?.stop();
});

let marks = 0;
/** Waits until the viewer was told all that was written so far. */
async function caughtUp() {
	const id = ++marks;
	await run(`insert into mark values (${id})`);
	await viewer.until('the mark', ({ changes }) =>
		changes.some(({ table, key }) => table === 'mark' && key?.id === `${id}`)
	);
}

/** What the viewer is told of a statement: its changes, and the rows that reference them with the foreign key. */
async function told(statement: string): Promise<string[]> {
	const before = viewer.changes.length;
	await run(statement);
	await caughtUp();
	await expect
		.poll(
			async () =>
				(await run('select referenced = (select max(n) from rowcast.tick) as done from rowcast.state')).rows,
			{ timeout: 15_000 }
		)
		.toEqual([{ done: true }]);
	await caughtUp();
	return viewer.changes
		.slice(before)
		.filter(({ table }) => table !== 'mark')
		.map(({ op, schema, table, key, via }) =>
			[op, ...(schema === 'public' ? [] : [schema]), table, ...Object.values(key!), via?.constraint]
				.filter((part) => part !== undefined)
				.join(' ')
		)
		.sort();
}

test.each([
	[
		'of several columns, in whatever order, also from another schema',
		'update pair set n = 1',
		[
			'REFERENCE of_pair 1 both_columns',
			'REFERENCE of_pair 2 both_columns',
			'REFERENCE shop offer 7 across',
			'UPDATE pair 1 2',
			'UPDATE pair 2 1'
		]
	],
	[
		'from a table to itself, and two between the same tables',
		`update person set name = 'Di' where id = 2`,
		['REFERENCE letter 1 receiver', 'REFERENCE letter 2 sender', 'REFERENCE person 3 boss', 'UPDATE person 2']
	],
	[
		'by which one row references another twice',
		`update person set name = 'Ed' where id = 3`,
		[
			'REFERENCE letter 1 sender',
			'REFERENCE letter 2 receiver',
			'REFERENCE letter 3 receiver',
			'REFERENCE letter 3 sender',
			'UPDATE person 3'
		]
	],
	[
		'that cascade: rows that changed themselves are not told twice',
		`update country set code = 'c' where code = 'a'`,
		['UPDATE city 1', 'UPDATE city 2', 'UPDATE country c']
	],
	[
		'of partitioned tables, in both directions',
		'update account set n = n + 1',
		[
			'REFERENCE entry 1 account',
			'REFERENCE entry 12 account',
			'REFERENCE entry 2 account',
			'UPDATE account 1',
			'UPDATE account 11'
		]
	]
])('foreign keys %s', async (_, statement, expected) => {
	expect(await told(statement)).toEqual(expected);
});

test('one that is not followed is told', async () => {
	await run(`
		create table of_part (id int primary key, account int constraint to_part references account_1);
		create table region (code text) partition by list (code);
		create table era (room int4range, span daterange, primary key (room, span without overlaps));
		create table of_era (id int primary key, room int4range, span daterange,
			constraint of_period foreign key (room, period span) references era (room, period span));
		create table region_1 partition of region (constraint of_part foreign key (code) references country) for values in ('b')`);
	const problemOf = (name: string) => viewer.tables.find(({ table }) => table === name)?.problem;
	await viewer.until('all', () => ['of_part', 'of_era', 'region'].every((name) => problemOf(name)));
	expect(problemOf('of_part')).toMatch(/not announced by foreign key to_part: .* single partition/);
	expect(problemOf('region')).toMatch(/not announced by foreign key of_part: /);
	expect(problemOf('of_era')).toMatch(/not announced by foreign key of_period: .* over a period/);
	expect(viewer.tables.filter(({ problem }) => problem)).toHaveLength(3);
});

test('one table is turned off, and on again', async () => {
	await run(`select rowcast.announce_references('person', false)`);
	expect(await told(`update person set name = 'Fi' where id = 2`)).toEqual(['UPDATE person 2']);
	await run(`select rowcast.announce_references('person', true)`);
	expect(await told(`update person set name = 'Gi' where id = 1`)).toEqual([
		'REFERENCE person 1 boss',
		'REFERENCE person 2 boss',
		'UPDATE person 1'
	]);
});

describe.each(majors())('by hand on PostgreSQL %i', (major) => {
	const { query, record } = useRecording(major);

	test('a row of a table that inherits from the referencing one has no such key', async () => {
		const changes = await record(
			`create table parent (id int primary key, n int); create table child (id int primary key, parent int references parent);
			create table heir () inherits (child); insert into parent values (1, 1); insert into child values (1, 1); insert into heir values (2, 1)`,
			'update parent set n = 2',
			'select rowcast.advance()',
			'select rowcast.announce((select max(n) from rowcast.tick), 1000, 100)'
		);
		expect(changes.map(({ op, table, key }) => [op, table, key!.id])).toEqual([
			['UPDATE', 'parent', '1'],
			['REFERENCE', 'child', '1']
		]);
	});

	test('only an index by which the key can be looked up makes that cheap', async () => {
		await query(`create table code (code text primary key); create table num (num int primary key)`);
		const indexes = [
			'(code)',
			'using hash (code)',
			'(code collate "C")',
			'(code text_pattern_ops)',
			'using brin (code)'
		]
			.map((index) => ['code text', 'code', index])
			.concat([
				['code varchar(9)', 'code', '(code)'],
				['code text collate "C"', 'code', '(code)'],
				['num bigint', 'num', '(num, id)'],
				['num bigint', 'num', '(id, num)']
			]);
		for (const [i, [column, parent, index]] of indexes.entries())
			await query(`create table c${i} (id int, ${column} references ${parent}); create index on c${i} ${index};
				insert into c${i} (id) select generate_series(1, 20000)`);
		await query('select rowcast.watch_all()');
		const { rows } = await query(
			`select child_name, cheap from rowcast.referencing() where child_name ~ '^c[0-9]' order by 1`
		);
		expect(rows.map(({ cheap }) => cheap)).toEqual([true, true, false, true, false, true, true, true, false]);
	});
});

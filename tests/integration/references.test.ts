/** Rows that reference a changed row are announced by the leader, after the tick. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast, type Rowcast } from '../support/rowcast.ts';

const database = useDatabase();
let server: Rowcast;
beforeAll(async () => {
	await withClient(database().url, (client) =>
		client.query(`
			create table author (id int primary key, name text);
			create table book (id int primary key, author int references author, title text);
			create index on book (author);
			create table lone (id int primary key, n int);
			insert into author values (1, 'Ada'), (2, 'Bo');
			insert into book select i, 1, 'Book ' || i from generate_series(1, 3) i;
			insert into book select i, 2, 'Book ' || i from generate_series(101, 250) i;
			insert into lone values (1, 0)`)
	);
	server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all' } });
});
afterAll(() => server?.stop());

const run = (sql: string) => withClient(database().url, (client) => client.query(sql));

test('the rows that reference a changed row are announced once, after it, with their cause', async () => {
	const viewer = await connect(server.url);
	await viewer.subscribe();
	await run(`update lone set n = n + 1`);
	await run(`update author set name = 'Ada L.' where id = 1`);
	const of = () => viewer.changes.filter(({ op }) => op === 'REFERENCE');
	await viewer.until('three references', () => of().length === 3);
	const cause = viewer.changes.find(({ table, op }) => table === 'author' && op === 'UPDATE')!;
	for (const change of of()) {
		expect(change.table).toBe('book');
		expect(change.via).toMatchObject({ seq: cause.seq, table: 'author', truncated: false });
		expect(BigInt(change.tick)).toBeGreaterThan(BigInt(cause.tick));
	}
	await run(`update author set name = 'Bo L.' where id = 2`);
	await viewer.until('100 more', () => of().length === 103);
	expect(of().at(-1)!.via!.truncated).toBe(true);
	// Nothing more comes of changes that nobody references.
	await run(`update lone set n = n + 1; insert into author values (3, 'Cy')`);
	await viewer.until('the insert', () =>
		viewer.changes.some(({ op, table }) => op === 'INSERT' && table === 'author')
	);
	await expect
		.poll(
			async () =>
				(await run('select referenced = (select max(n) from rowcast.tick) as done from rowcast.state')).rows
		)
		.toEqual([{ done: true }]);
	expect(of().length).toBe(103);
	viewer.close();
});

test('a row that nobody can select holds up no other reference', async () => {
	await run(`
		create table team (id int primary key, name text);
		create table member (id int primary key, team int references team,
			share int generated always as (100 / (id - 1)) virtual);
		insert into team values (1, 'One');
		insert into member values (1, 1);
		select rowcast.watch_all()`);
	const viewer = await connect(server.url);
	await viewer.subscribe();
	await run(`update team set name = 'Two'`);
	await viewer.until('the update', () => viewer.changes.some(({ table }) => table === 'team'));
	await expect
		.poll(
			async () =>
				(await run('select referenced = (select max(n) from rowcast.tick) as done from rowcast.state')).rows,
			{ timeout: 20_000 }
		)
		.toEqual([{ done: true }]);
	await run(`update author set name = 'Ada' where id = 1`);
	const of = () => viewer.changes.filter(({ op }) => op === 'REFERENCE');
	await viewer.until('three references', () => of().length === 3);
	viewer.close();
});

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

test('a key is followed as it compares, whatever its types; one that cannot be is told, and holds up no other', async () => {
	await run(`
		create table wide (id bigint primary key, n int);
		create table narrow (id int primary key, wide int references wide);
		create table padded (id char(5) primary key, n int);
		create table varying (id int primary key, padded varchar references padded);
		create table pair (a int, b text, n int, primary key (a, b));
		create table pairing (id int primary key, a int, b text, foreign key (a, b) references pair);
		create table node (id int primary key, up int references node, other int references node, n int);
		create schema far; create table far.away (id int primary key, author int references author);
		create table listed (ids int[] primary key, n int);
		create table listing (id int primary key, ids int[] references listed);
		create table hidden (ssn int primary key, n int);
		create table hiding (id int primary key, ssn int references hidden);
		insert into wide values (1, 0), (5000000000, 0); insert into narrow values (1, 1);
		insert into padded values ('ab', 0); insert into varying values (1, 'ab');
		insert into pair values (1, 'x', 0), (1, 'y', 0); insert into pairing values (1, 1, 'x'), (2, 1, 'y'), (3, 1, null);
		insert into node values (1, null, null, 0), (2, 1, 1, 0);
		insert into far.away values (1, 1);
		insert into listed values ('{1,2}', 0); insert into listing values (1, '{1,2}');
		insert into hidden values (1, 0); insert into hiding values (1, 1);
		select rowcast.watch_all(), rowcast.redact('hidden', 'ssn')`);
	const viewer = await connect(server.url);
	await viewer.subscribe();
	await run(`
		begin; update listed set n = 1; update hidden set n = 1; update wide set n = 1; update padded set n = 1;
		update pair set n = 1 where b = 'x'; update node set n = 1 where id = 1; update author set name = 'Ada III' where id = 1; commit`);
	const of = () =>
		viewer.changes
			.filter(({ op }) => op === 'REFERENCE')
			.map(({ table, key, via }) => `${table} ${key!.id} ${via!.constraint}`)
			.sort();
	await viewer.until('the last of them', () => of().length >= 9);
	expect(of()).toEqual([
		'away 1 away_author_fkey',
		'book 1 book_author_fkey',
		'book 2 book_author_fkey',
		'book 3 book_author_fkey',
		'narrow 1 narrow_wide_fkey',
		'node 2 node_other_fkey',
		'node 2 node_up_fkey',
		'pairing 1 pairing_a_b_fkey',
		'varying 1 varying_padded_fkey'
	]);
	const problem = (name: string) => viewer.tables.find(({ table }) => table === name)?.problem;
	await viewer.until('the problems', () => Boolean(problem('listing') && problem('hiding')));
	expect(problem('listing')).toContain('the log has no text of its key (ids) that can be compared');
	expect(problem('hiding')).toContain('the log has no text of its key (ssn)');
	viewer.close();
});

test('a key whose table grows too large to be read whole is told, with the index that is missing, and not followed', async () => {
	await run(`
		create table small (id int primary key, n int);
		create table growing (id serial primary key, small int references small, note text);
		insert into small values (1, 0); insert into growing (small) values (1);
		select rowcast.watch_all()`);
	const viewer = await connect(server.url);
	await viewer.subscribe();
	const of = () => viewer.changes.filter(({ op, table }) => op === 'REFERENCE' && table === 'growing');
	await run('update small set n = 1');
	await viewer.until('the reference', () => of().length === 1);
	await run(`insert into growing (small, note) select 1, repeat('x', 500) from generate_series(1, 2000)`);
	const problem = () => viewer.tables.find(({ table }) => table === 'growing')?.problem;
	await viewer.until('the problem', () => problem() !== undefined);
	expect(problem()).toContain('Run: create index concurrently on growing (small)');
	await run('create index on growing (small); update small set n = 2');
	await viewer.until('a hundred', () => of().length === 101);
	await viewer.until('that it is well', () => problem() === undefined);
	viewer.close();
});

test('where too many rows change at once, the state says that some references are missing', async () => {
	await run(`
		create table crowd (id int primary key, n int);
		create table one (id int primary key, crowd int references crowd);
		create index on one (crowd);
		insert into crowd select i, 0 from generate_series(1, 1200) i; insert into one select i, i from generate_series(1, 1200) i;
		select rowcast.watch_all()`);
	const viewer = await connect(server.url);
	await viewer.until('the table', ({ tables }) => tables.some(({ table }) => table === 'one'));
	await viewer.subscribe({ filter: { tables: [{ schema: 'public', table: 'one' }], ops: ['REFERENCE'] } });
	await run('update crowd set n = 1');
	await viewer.until('the state', ({ state }) => /Not all rows that reference/.test(state?.message ?? ''));
	const told = () => viewer.ticks.flatMap(({ counts }) => counts).reduce((sum, { rows }) => sum + rows, 0);
	await viewer.until('1,000 references', () => told() === 1000);
	viewer.close();
});

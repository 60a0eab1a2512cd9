import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildIfStale } from '../../bin/build.js';
import type { Change } from '../../src/lib/protocol.ts';
import { migrate } from '../../src/lib/server/migrate.ts';
import { catalogueOf } from '../support/catalogue.ts';
import { runCli as rowcast, startCli as start } from '../support/cli.ts';
import { clusterUrl, majors, useDatabase } from '../support/database.ts';
import { eventually, follow } from '../support/follow.ts';
import { createDatabase, withClient } from '../support/postgres.ts';

beforeAll(() => buildIfStale(() => {}), 120_000);

const SHOP = `
	create table "User" (id int primary key, name text, secret text);
	create table book (id int primary key, author int references "User");
	create schema other; create table other."Odd ""one" (id int);
	create table part (id int primary key) partition by range (id);
	create table part_1 partition of part for values from (0) to (10)`;

describe.each(majors().filter((major) => [18, 13].includes(major)))(
	'the command line on PostgreSQL %i',
	(major) => {
		const database = useDatabase({ major });
		let before: string[];

		beforeAll(() =>
			withClient(database().url, async (db) => {
				await db.query(SHOP);
				before = await catalogueOf(db);
			})
		);

		test('status, tail and uninstall say so where nothing is installed', async () => {
			const { url } = database();
			expect(await rowcast(url, ['status', '--json'])).toMatchObject({
				code: 0,
				stdout: '{"installed":false}\n'
			});
			expect((await rowcast(url, ['status'])).stdout).toBe('Rowcast is not installed in this database.\n');
			expect(await rowcast(url, ['uninstall'])).toMatchObject({ code: 0 });
			expect(await rowcast(url, ['tail'])).toMatchObject({
				code: 1,
				stderr: 'Rowcast is not installed in this database; run: rowcast install\n'
			});
		});

		test('install --dry-run prints the very SQL, and changes nothing', async () => {
			const { url } = database();
			const { code, stdout } = await rowcast(url, ['install', '--dry-run'], { ROWCAST_REDACT: '*.*.secret' });
			expect(code).toBe(0);
			expect(stdout).toContain(`select rowcast.watch('public."User"');`);
			expect(stdout).toContain(`select rowcast.redact('public."User"', 'secret');`);
			await withClient(url, async (db) => {
				expect(await catalogueOf(db)).toEqual(before);
				// What it prints is enough to do it by hand.
				await db.query(stdout);
				const { rows } = await db.query(`select schema, name, state, redacted from rowcast.tables()`);
				expect(rows).toEqual([
					{ schema: 'other', name: 'Odd "one', state: 'watched', redacted: [] },
					{ schema: 'public', name: 'User', state: 'watched', redacted: ['secret'] },
					{ schema: 'public', name: 'book', state: 'watched', redacted: [] },
					{ schema: 'public', name: 'part', state: 'watched', redacted: [] }
				]);
			});
			const again = await rowcast(url, ['install', '--dry-run', '--json'], { ROWCAST_REDACT: '*.*.secret' });
			expect(JSON.parse(again.stdout).sql, 'nothing left to do').toHaveLength(1);
		});

		test('uninstall removes all of it, a table at a time', async () => {
			const { url } = database();
			const dry = await rowcast(url, ['uninstall', '--dry-run']);
			expect(dry.stdout).toContain(`select rowcast.unwatch('public.part');`);
			expect(await rowcast(url, ['uninstall'])).toMatchObject({
				code: 0,
				stdout: 'Rowcast is removed from this database.\n'
			});
			await withClient(url, async (db) => expect(await catalogueOf(db)).toEqual(before));
		});

		test('install watches the tables that are named, tells of one in use, and does not make others wait for long', async () => {
			const { url } = database();
			expect(await rowcast(url, ['install', '--tables', 'public.nope'])).toMatchObject({
				code: 1,
				stderr: 'There is no table public.nope in this database that could be watched.\n'
			});
			await withClient(url, async (busy) => {
				await busy.query('begin; insert into book values (1)');
				const installing = rowcast(url, ['install', '--tables', 'public.book,other."Odd ""one"', '--json']);
				// Another writer, all the while.
				let longest = 0;
				let done = false;
				void installing.then(() => (done = true));
				await withClient(url, async (other) => {
					for (let id = 1000; !done; id++) {
						const started = performance.now();
						await other.query('insert into book values ($1)', [id]);
						longest = Math.max(longest, performance.now() - started);
					}
				});
				const { code, stdout } = await installing;
				expect(code).toBe(1);
				expect(JSON.parse(stdout)).toMatchObject({
					watched: [{ schema: 'other', table: 'Odd "one' }],
					failed: [{ schema: 'public', table: 'book', reason: expect.stringContaining('long transaction') }]
				});
				expect(longest).toBeLessThan(1_500);
				await busy.query('commit');
			});
			const again = await rowcast(url, ['install', '--tables', 'public.book', '--json']);
			expect(JSON.parse(again.stdout)).toMatchObject({
				watched: [{ schema: 'public', table: 'book' }],
				failed: []
			});
		});

		test('install warns of a publication for all tables, whose subscribers would stop', async () => {
			const { url } = database();
			const once = (sql: string) => withClient(url, (db) => db.query(sql));
			await once('create publication "All" for all tables; create publication one for table book');
			const { code, stderr } = await rowcast(url, ['install', '--tables', 'public.book']);
			expect([code, stderr]).toEqual([0, expect.stringContaining('Publication "All" is for all tables')]);
			await once('drop publication "All"');
			expect((await rowcast(url, ['install', '--tables', 'public.book'])).stderr).toBe('');
			await once('drop publication one');
		});

		test('status tells of each table whether it is captured, and of the log', async () => {
			const { url } = database();
			await withClient(url, async (db) => {
				await db.query('insert into book values (7), (8); update book set author = null where id = 7');
				await db.query('select rowcast.advance()');
				await db.query(`alter table other."Odd ""one" disable trigger user`);
			});
			const { stdout } = await rowcast(url, ['status', '--json']);
			const { log, tables, installed } = JSON.parse(stdout);
			expect(installed).toBe(true);
			expect(log).toMatchObject({ limit: 2 ** 30, head: '1', oldest: '0', followed: false, gaps: [] });
			expect(log.bytes).toBeGreaterThan(8192);
			expect(tables).toMatchObject([
				{
					schema: 'other',
					table: 'Odd "one',
					state: 'not captured: trigger disabled',
					watched: false,
					rows: '0'
				},
				{ schema: 'public', table: 'User', state: 'not watched', watched: false },
				{ schema: 'public', table: 'book', state: 'watched', watched: true, rows: '3', oldestTick: '1' },
				{ schema: 'public', table: 'part', state: 'not watched' }
			]);
			const { stdout: text } = await rowcast(url, ['status']);
			expect(text).toMatch(/^public\.book +watched +3 +1$/m);
		});

		test('tail prints each change once as a line of JSON, with and without a server', async () => {
			const { url } = database();
			const tail = start(url, ['tail', '--tables', 'public.book', '--ops', 'insert,delete', '--after', '0']);
			const lines: Change[] = [];
			createInterface({ input: tail.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
			const ids = () => lines.map(({ op, key }) => `${op} ${key!.id}`);
			const has = (n: number) =>
				eventually(
					async () => ids().length,
					(length) => length >= n
				);
			await has(2);
			await withClient(url, async (db) => {
				await db.query(
					'insert into book values (9); update book set author = null; delete from book where id = 9'
				);
				await has(4);
				const server = await follow(url, { watch: null });
				await db.query('insert into book values (10)');
				await has(5);
				await server.close();
				await db.query('insert into book values (11)');
				await has(6);
			});
			tail.kill('SIGINT');
			const [code] = await once(tail, 'close');
			expect(code).toBe(0);
			expect(ids()).toEqual(['INSERT 7', 'INSERT 8', 'INSERT 9', 'DELETE 9', 'INSERT 10', 'INSERT 11']);
			expect(lines[0]).toMatchObject({
				schema: 'public',
				table: 'book',
				before: null,
				after: expect.any(String),
				tick: '1'
			});
		});

		test('uninstall waits for nobody who follows, and says so', async () => {
			const { url } = database();
			const server = await follow(url, { watch: null });
			await eventually(
				async () => (await rowcast(url, ['status', '--json'])).stdout,
				(out) => JSON.parse(out).log.followed
			);
			expect(await rowcast(url, ['uninstall'])).toMatchObject({
				code: 1,
				stderr: expect.stringContaining('stop it first')
			});
			await server.close();
			expect(await rowcast(url, ['uninstall', '--json'])).toMatchObject({ code: 0 });
			await withClient(url, async (db) => {
				await db.query(`alter table other."Odd ""one" enable trigger user`);
				expect(await catalogueOf(db)).toEqual(before);
			});
		});
	}
);

describe('the command line', () => {
	const database = useDatabase();

	test('explains itself, and refuses what it does not know in one line', async () => {
		for (const command of ['install', 'uninstall', 'status', 'tail']) {
			const { code, stdout } = await rowcast('', [command, '--help']);
			expect([code, stdout]).toEqual([0, expect.stringContaining(`Usage: rowcast ${command}`)]);
			const wrong = await rowcast(database().url, [command, '--wrong']);
			expect(wrong.code).toBe(1);
			expect(wrong.stderr).toBe(`Unknown option '--wrong'. See "rowcast ${command} --help".\n`);
		}
		expect(await rowcast('', ['status'])).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(/^Which database\?.*\n$/)
		});
		expect(await rowcast('postgres://x@127.0.0.1:1/x', ['status'])).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(/^Nothing answers.*\n$/)
		});
		expect(await rowcast(database().url, ['install', '--tables', 'x'])).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(/^--tables must .*\n$/)
		});
	});

	test('an owner who is no superuser installs; a role that only reads follows, and can do no more', async () => {
		const { url } = database();
		const [owner, reader, app] = ['owner', 'reader', 'app'].map(
			(name) => `${name}_${database().name.slice(-8)}`
		);
		const as = (role: string) => Object.assign(new URL(url), { username: role, password: 'p' }).href;
		await withClient(url, (db) =>
			db.query(`create role ${owner} login password 'p'; create role ${reader} login password 'p'; create role ${app} login password 'p';
				grant create on database ${database().name} to ${owner}; create schema shop authorization ${owner}`)
		);
		await withClient(as(owner!), (db) =>
			db.query(`create table shop.item (id int primary key, secret text); grant usage on schema shop to ${app}, ${reader};
				grant select, insert, update on shop.item to ${app}`)
		);
		expect(await rowcast(as(owner!), ['install'], { ROWCAST_REDACT: 'shop.item.secret' })).toMatchObject({
			code: 0
		});
		await withClient(as(owner!), (db) => db.query(`select rowcast.grant_reading('${reader}')`));
		const server = await follow(as(reader!), { watch: null });
		await withClient(as(app!), async (db) => {
			await db.query(`insert into shop.item values (1, 'hidden')`);
			await expect(db.query('select * from rowcast.change')).rejects.toThrow('permission denied');
		});
		await server.until('the change', ({ ticks }) => ticks.some(({ changes }) => changes.length > 0));
		expect(server.ticks.flatMap(({ changes }) => changes)[0]!.after).toBe('{"id":1,"secret":"[redacted]"}');
		await server.close();
		await withClient(as(reader!), async (db) => {
			for (const sql of [
				`insert into rowcast.setting values ('x', 'x', 'x')`,
				'delete from rowcast.change',
				`select rowcast.configure('max_log', '1')`,
				`select rowcast.redact('shop.item', 'id')`,
				`select rowcast.set_redacted('shop.item', '{}')`,
				`select rowcast.unwatch('shop.item')`,
				'select rowcast.uninstall()'
			])
				await expect(db.query(sql), sql).rejects.toThrow(/permission denied|must be owner/);
		});
		expect((await rowcast(as(reader!), ['status', '--json'])).code).toBe(0);
		expect((await rowcast(as(owner!), ['uninstall'])).code).toBe(0);
		await withClient(url, (db) =>
			db.query(`drop owned by ${owner}, ${reader}, ${app}; drop role ${owner}, ${reader}, ${app}`)
		);
	});
});

test.each(majors())(
	'databases of one cluster install and uninstall beside each other on PostgreSQL %i',
	async (major) => {
		const databases = await Promise.all(Array.from({ length: 4 }, () => createDatabase(clusterUrl(major))));
		// They share two roles. Where dropping them waited for an install, 1 of 4 rounds ended in a deadlock.
		const rounds = databases.map(({ url }) =>
			withClient(url, async (db) => {
				for (let round = 0; round < 8; round++) {
					await migrate(db);
					await db.query('select rowcast.uninstall()');
				}
				return (await db.query(`select to_regnamespace('rowcast') as schema`)).rows[0].schema;
			})
		);
		expect(await Promise.allSettled(rounds)).toEqual(
			databases.map(() => ({ status: 'fulfilled', value: null }))
		);
		for (const database of databases) await database.drop();
	}
);

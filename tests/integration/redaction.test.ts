import { exec } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { majors, useDatabase } from '../support/database.ts';
import { follow, openLog, watchAll } from '../support/follow.ts';
import { startPostgres, systemMajors, withClient, type Cluster } from '../support/postgres.ts';

const bin = `/usr/lib/postgresql/${systemMajors().at(-1)}/bin`;

describe.skipIf(systemMajors().length === 0)('a dump that is restored', () => {
	const [major] = systemMajors().slice(-1);
	const source = useDatabase({ major });
	const target = useDatabase({ major });

	test('is another log, of the same tables, and redacts the same columns', async () => {
		await withClient(source().url, async (db) => {
			await db.query(
				'create table other (id int); create table person (gone int, id int primary key, name text, secret text)'
			);
			await db.query('alter table person drop column gone; drop table other');
			await watchAll(source().url);
			await db.query(`select rowcast.redact('person', 'secret')`);
			await db.query('alter table person rename secret to secrets');
			await db.query('select rowcast.begin_epoch(), rowcast.maintain()');
			await db.query(`insert into person values (1, 'n', 'hidden')`);
		});
		await withClient(target().url, (db) => db.query('create table makes_other_oids (id int)'));
		await promisify(exec)(
			`${bin}/pg_dump -d "${source().url}" | ${bin}/psql -q -v ON_ERROR_STOP=1 -d "${target().url}"`
		);
		await withClient(target().url, async (db) => {
			const told: (string | null)[] = [];
			const write = async (id: number) =>
				db.query('insert into person values ($1, repeat($2, 20000), $3)', [id, 'n', 'CANARY']);
			await write(2);
			await db.query(`insert into person values (3, 'n', 'CANARY')`);
			const following = await follow(target().url);
			expect(following.follower.epoch).not.toBe(
				(await withClient(source().url, (db) => db.query('select epoch from rowcast.state'))).rows[0].epoch
			);
			await write(4);
			await db.query(`insert into person values (5, 'n', 'CANARY')`);
			await following.until('the rows', ({ ticks }) => ticks.flatMap(({ changes }) => changes).length >= 2);
			told.push(...following.ticks.flatMap(({ changes }) => changes).map(({ after }) => after));
			expect(
				following.tables.find(({ table }) => table === 'person')?.columns.map(({ redacted }) => redacted)
			).toEqual([false, false, true]);
			await following.close();
			expect(told).toHaveLength(2);
			const { rows } = await db.query('select after from rowcast.change');
			expect(JSON.stringify([told, rows])).not.toContain('CANARY');
		});
	});
});

describe.each(majors().filter((major) => [18, 13].includes(major)))('redaction on PostgreSQL %i', (major) => {
	let cluster: Cluster;
	let db: pg.Client;
	beforeAll(async () => {
		cluster = await startPostgres({ major });
		db = new pg.Client({ connectionString: cluster.connectionString });
		await db.connect();
	});
	afterAll(async () => {
		await db?.end();
		await cluster?.stop();
	});

	/** Files under the data directory that hold a text, without the write-ahead log. */
	function filesWith(text: string): string[] {
		const found: string[] = [];
		const look = (folder: string) => {
			for (const name of readdirSync(folder)) {
				const file = path.join(folder, name);
				const stats = statSync(file);
				if (stats.isDirectory()) look(file);
				else if (readFileSync(file).includes(text)) found.push(file);
			}
		};
		look(path.join(cluster.folder, 'data', 'base'));
		return found;
	}

	/** The files of schema rowcast, tables, indexes and long values alike. */
	async function logFiles(): Promise<Set<string>> {
		const { rows } = await db.query(
			`select pg_relation_filepath(c.oid) as file from pg_class c
			where (c.relnamespace = 'rowcast'::regnamespace or c.oid in (
				select unnest(array[t.reltoastrelid, i.indexrelid]) from pg_class t left join pg_index i on i.indrelid = t.reltoastrelid
				where t.relnamespace = 'rowcast'::regnamespace)) and c.relfilenode <> 0`
		);
		return new Set(rows.map(({ file }) => path.join(cluster.folder, 'data', file)));
	}

	test('no file of the log ever holds a redacted value, however its column is named, placed or filled', async () => {
		await db.query(`
			create table person (id int primary key, name text, password text, card bytea, notes jsonb);
			create table visit (gone int, id int, day int, token text, page text, primary key (id, day)) partition by range (day);
			alter table visit drop column gone;
			create table visit_1 (page text, gone int, token text, day int not null, id int not null);
			alter table visit_1 drop column gone;
			alter table visit attach partition visit_1 for values from (0) to (10);
			create table tenant (id int primary key, secret json);
			create table plain (id int primary key)`);
		const following = await follow(cluster.connectionString, {
			redact: [
				{ schema: '*', table: 'person', column: 'password' },
				{ schema: '*', table: 'person', column: 'card' },
				{ schema: 'public', table: '*', column: 'token' },
				{ schema: '*', table: '*', column: 'pin' },
				{ schema: 'public', table: 'tenant', column: '*' }
			]
		});
		const canary = (n: number) => `CANARY${n}x`;
		const long = (n: number) => `${canary(n)}${'y'.repeat(50)}`.repeat(2000);
		await db.query('insert into person values (1, $1, $2, $3, $4)', [
			'PLAIN0',
			canary(1),
			Buffer.from(canary(2)),
			'{}'
		]);
		await db.query('update person set password = $1', [long(3)]);
		await db.query(String.raw`update person set password = $1, notes = '"\u0041 é"'`, [canary(4)]);
		await db.query(`update person set name = repeat(md5(random()::text), 3000), password = $1`, [canary(5)]);
		await db.query('alter table person rename password to phrase');
		await db.query('update person set phrase = $1', [canary(6)]);
		await db.query('alter table person add column first text; alter table person drop column name');
		await db.query('update person set phrase = $1', [canary(7)]);
		// In the transaction that adds them, and before anybody looks.
		await db.query(`begin; alter table person add column pin text, add column plain text;
			update person set pin = '${canary(14)}'; commit`);
		await db.query(`update person set pin = '${long(15)}', plain = 'PLAIN3'`);
		await db.query('begin; insert into person values (2, $1)'.replace('$1', `'${canary(8)}'`) + '; rollback');
		await db.query('insert into visit (id, day, token, page) values (1, 1, $1, $2)', [canary(9), 'PLAIN1']);
		await db.query('insert into visit_1 (id, day, token, page) values (2, 2, $1, $2)', [
			canary(10),
			'PLAIN2'
		]);
		await db.query('update visit set token = $1', [long(11)]);
		await db.query('alter table visit rename token to ticket');
		await db.query('update visit set ticket = $1', [canary(12)]);
		await db.query('alter table visit add column ip text; alter table visit rename ip to pin');
		await db.query(`insert into visit (id, day, pin, page) values (3, 1, '${canary(16)}', 'PLAIN4')`);
		await db.query(String.raw`insert into tenant values (1, '{"a": "${canary(13)} \u0000"}')`);
		await db.query(`alter table plain add column pin text; insert into plain values (1, '${canary(17)}')`);
		await db.query('delete from person; delete from visit; delete from tenant');
		await db.query(`insert into person (id, first) values (9, 'the last')`);
		await following.until('the last', ({ ticks }) =>
			ticks.some(({ changes }) => changes.some(({ after }) => after?.includes('the last')))
		);
		// The triggers know them by now.
		await expect
			.poll(async () => (await db.query(`select name from rowcast.tables() where state <> 'watched'`)).rows, {
				timeout: 5_000
			})
			.toEqual([]);
		const told = following.ticks.flatMap(({ changes }) => changes);
		await following.close();

		expect(JSON.stringify(told)).not.toContain('CANARY');
		expect(JSON.parse(told.find(({ table, op }) => table === 'visit' && op === 'INSERT')!.after!)).toEqual({
			page: 'PLAIN1',
			token: '[redacted]',
			day: 1,
			id: 1
		});
		await db.query('checkpoint');
		const log = await logFiles();
		const inLog = (text: string) => filesWith(text).filter((file) => log.has(file));
		expect(inLog('PLAIN').length, 'it looks where the log is').toBeGreaterThan(0);
		expect(inLog('CANARY')).toEqual([]);
		expect(inLog(Buffer.from('CANARY').toString('hex'))).toEqual([]);
		const { rows } = await db.query(
			`select count(*)::int as n, count(*) filter (where before like '%[redacted]%' or after like '%[redacted]%')::int as redacted from rowcast.change`
		);
		expect(rows[0].redacted).toBeGreaterThan(15);
		expect(rows[0].n).toBeGreaterThanOrEqual(rows[0].redacted);
	});

	test('it begins and ends by a call in SQL, and stays what it was on the way', async () => {
		await db.query('create table letter (id int primary key, body text)');
		await db.query(`select rowcast.watch('letter')`);
		const log = await openLog(cluster.connectionString);
		await db.query(`insert into letter values (1, 'open')`);
		await db.query(`select rowcast.redact('letter', 'body')`);
		await db.query(`update letter set body = 'sealed'`);
		await db.query(`select rowcast.redact('letter', variadic '{}')`);
		await db.query(`update letter set body = 'open again'`);
		await expect(db.query(`select rowcast.redact('letter', 'nope')`)).rejects.toThrow('has no column nope');
		expect(
			(await log.changes()).map(({ before, after }) =>
				[before, after].map((row) => row && JSON.parse(row).body)
			)
		).toEqual([
			[null, 'open'],
			['[redacted]', '[redacted]'],
			['sealed', 'open again']
		]);
		await log.close();
	});

	test('the role that a superuser makes goes with the last database', async () => {
		await db.query('select rowcast.uninstall()');
		const { rows } = await db.query(`select rolname from pg_roles where rolname = 'rowcast_owner'`);
		expect(rows).toEqual([]);
	});
});

/** Starting and stopping: refusals in one line, the token, an outage of the database, a clean end. */
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { freePort } from '../../src/lib/server/embedded.ts';
import { connect as follow } from '../../src/lib/client/index.ts';
import { clusterUrl, useDatabase } from '../support/database.ts';
import { eventually } from '../support/follow.ts';
import { createDatabase, startPostgres, withClient } from '../support/postgres.ts';
import { connect, startRowcast } from '../support/rowcast.ts';

const database = useDatabase();
const closers: (() => unknown)[] = [];
afterAll(async () => {
	for (const close of closers.reverse()) await close();
});

async function start(env: Record<string, string> = {}) {
	const server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all', ...env } });
	closers.push(() => server.stop('SIGKILL'));
	return server;
}

/** What it says on stderr when it refuses. */
async function refusal(env: Record<string, string>): Promise<string> {
	const error = await start(env).then(
		() => new Error('it started'),
		(error: Error) => error
	);
	expect(error.message).toMatch(/^Rowcast ended with 1\.\n/);
	return error.message.split('\n').slice(1).join('\n').trimEnd();
}

describe('refuses to start with one clear line', () => {
	test.each([
		['PORT', { PORT: 'http' }, /^PORT must be a port/],
		['HOST', { HOST: '0.0.0.0' }, /^HOST 0\.0\.0\.0 .*ROWCAST_TOKEN/],
		[
			'HOST',
			{ HOST: '203.0.113.7', ROWCAST_TOKEN: 'x' },
			/^HOST 203\.0\.113\.7 is no address of this machine/
		],
		['ROWCAST_WATCH', { ROWCAST_WATCH: 'users' }, /^ROWCAST_WATCH must/],
		['ROWCAST_WATCH', { ROWCAST_WATCH: 'public.nope' }, /^ROWCAST_WATCH names public\.nope/],
		['ROWCAST_RETENTION', { ROWCAST_RETENTION: 'a day' }, /^ROWCAST_RETENTION must/],
		['DATABASE_URL', { DATABASE_URL: 'mysql://x' }, /^DATABASE_URL must/],
		[
			'unreachable',
			{ DATABASE_URL: 'postgres://127.0.0.1:1/x' },
			/^Nothing answers at the address of the database/
		]
	])('%s %j', async (_, env: Record<string, string>, line) => {
		const said = await refusal(env);
		expect(said).toMatch(line);
		expect(said).not.toContain('\n');
	});

	test('a wrong password or database', async () => {
		const url = new URL(database().url);
		url.password = 'wrong';
		expect(await refusal({ DATABASE_URL: url.href })).toMatch(/^The database refused the password[^\n]*$/);
		url.href = database().url;
		url.pathname = '/nope';
		expect(await refusal({ DATABASE_URL: url.href })).toMatch(/^There is no such database[^\n]*$/);
	});

	test('TLS with a database that does not speak it', async () => {
		const url = `${database().url}?sslmode=require`;
		expect(await refusal({ DATABASE_URL: url })).toMatch(/^The database does not speak TLS[^\n]*$/);
	});

	test('a port that is in use', async () => {
		const taken = createServer().listen(0, '127.0.0.1');
		await once(taken, 'listening');
		const { port } = taken.address() as { port: number };
		expect(await refusal({ PORT: String(port) })).toBe(
			`PORT ${port} is in use at 127.0.0.1; choose another, or 0 for a free one.`
		);
		taken.close();
	});
});

describe('with a token', () => {
	test('pages, sockets and metrics need it; health does not', async () => {
		const { url } = await start({ ROWCAST_TOKEN: 's3cret', HOST: '0.0.0.0' });
		await expect(connect(url)).rejects.toThrow('UNAUTHORIZED');
		await expect(connect(url, { token: 'wrong' })).rejects.toThrow('UNAUTHORIZED');
		const viewer = await connect(url, { token: 's3cret' });
		viewer.close();

		const page = await fetch(url);
		expect(page.status).toBe(401);
		expect(await page.text()).toContain('ROWCAST_TOKEN');
		expect((await fetch(`${url}/metrics`)).status).toBe(401);
		expect((await fetch(`${url}/healthz`)).status).toBe(200);
		expect((await fetch(`${url}/readyz`)).status).toBe(200);
		const bearer = { headers: { authorization: 'Bearer s3cret' } };
		expect((await fetch(`${url}/metrics`, bearer)).status).toBe(200);

		expect((await fetch(`${url}/?token=wrong`)).status).toBe(401);
		const asked = [
			await fetch(`${url}/?token=s3cret&table=Book`, { redirect: 'manual' }),
			await fetch(`${url}/?table=Book`, {
				method: 'POST',
				redirect: 'manual',
				body: new URLSearchParams({ token: 's3cret' }),
				headers: { origin: url }
			})
		];
		for (const answer of asked) {
			expect(answer.status).toBe(303);
			expect(answer.headers.get('location')).toBe('/?table=Book');
			const cookie = answer.headers.get('set-cookie')!;
			expect(cookie).toMatch(/HttpOnly; SameSite=/);
			expect(cookie).not.toContain('s3cret');
			const headers = { cookie: cookie.split(';')[0]! };
			expect((await fetch(url, { headers })).status).toBe(200);
			const byCookie = await connect(url, { extraHeaders: headers });
			byCookie.close();
		}
	});
});

describe('a database that goes away', () => {
	test('is told, waited for, and followed again without a hole', async () => {
		const folder = await mkdtemp(path.join(tmpdir(), 'rowcast-test-'));
		const at = { folder: path.join(folder, 'postgres'), port: await freePort() };
		// The user who runs PostgreSQL may be another.
		await chmod(folder, 0o755);
		closers.push(() => rm(folder, { recursive: true, force: true }));
		let cluster = await startPostgres(at);
		closers.push(() => cluster.stop());
		await withClient(cluster.connectionString, (db) => db.query('create table t (id int primary key)'));
		const server = await start({ DATABASE_URL: cluster.connectionString });
		const viewer = await connect(server.url);
		closers.push(() => viewer.close());
		await viewer.subscribe();
		const insert = (id: number) =>
			withClient(cluster.connectionString, (db) => db.query('insert into t values ($1)', [id]));
		await insert(1);
		await viewer.until('the first', ({ changes }) => changes.length === 1);

		await withClient(cluster.connectionString, (db) =>
			db.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowcast'`)
		);
		await insert(2);
		await viewer.until('the second', ({ changes }) => changes.length === 2);

		await cluster.stop();
		await viewer.until('the outage', ({ state }) => state?.database === 'disconnected');
		expect(viewer.state!.message).toBeTruthy();
		const ready = await fetch(`${server.url}/readyz`);
		expect(ready.status).toBe(503);
		expect(await ready.json()).toMatchObject({ ready: false, reason: viewer.state!.message });
		expect(await viewer.ask('history', {})).toMatchObject({ ok: false, error: { code: 'UNAVAILABLE' } });
		expect((await fetch(`${server.url}/healthz`)).status).toBe(200);

		cluster = await startPostgres(at);
		await insert(3);
		await viewer.until('the third', ({ changes }) => changes.length === 3);
		expect(viewer.state).toMatchObject({ database: 'live' });
		expect(viewer.gaps).toEqual([]);
		for (const [i, { from }] of viewer.ticks.entries())
			if (i > 0) expect(from).toBe(viewer.ticks[i - 1]!.tick);
	});
});

describe('a database that lets nobody in for a while', () => {
	const on = (text: string) => withClient(clusterUrl(), (db) => db.query(text));
	test.each([
		['is renamed', (name: string) => [`rename to ${name}_away`, `_away rename to ${name}`]],
		['allows no connections', () => ['allow_connections false', ' allow_connections true']]
	])('because it %s: who asks is told to wait, and a subscription begins once it is back', async (_, how) => {
		const { url, drop, name } = await createDatabase(clusterUrl());
		closers.push(drop);
		const [leave, back] = how(name) as [string, string];
		const insert = (id: number) => withClient(url, (db) => db.query('insert into t values ($1)', [id]));
		await withClient(url, (db) => db.query('create table t (id int primary key)'));
		const server = await start({ DATABASE_URL: url });
		const viewer = await connect(server.url);
		closers.push(() => viewer.close());
		await viewer.subscribe();
		await insert(1);
		await viewer.until('the first', ({ changes }) => changes.length === 1);

		const end = `select pg_terminate_backend(pid) from pg_stat_activity
			where application_name = 'rowcast' and datname in ('${name}', '${name}_away')`;
		await on(`${end}; alter database ${name} ${leave}`);
		await on(end);
		await viewer.until('the outage', ({ state }) => state?.database === 'disconnected');
		expect(await viewer.ask('history', {})).toMatchObject({ ok: false, error: { code: 'UNAVAILABLE' } });
		const seen: (string | null | undefined)[] = [];
		const live = follow(server.url);
		closers.push(() => live.close());
		live.subscribe(
			{ mode: 'stream', after: { epoch: viewer.hello.epoch, tick: '0' } },
			{
				tick: ({ changes }) => void seen.push(...changes.map(({ key }) => key?.id)),
				error: ({ message }) => void seen.push(message)
			}
		);
		expect(await live.history({}).catch(({ code }) => code)).toBe('UNAVAILABLE');

		await on(`alter database ${name}${back}`);
		await insert(2);
		await viewer.until('the second', ({ changes }) => changes.length === 2);
		await eventually(
			async () => seen.length,
			(length) => length >= 2
		);
		expect(seen).toEqual(['1', '2']);
	});
});

test('times are in UTC with microseconds, and that of a tick is its own, whoever asks and when', async () => {
	const first = await start();
	const { url } = database();
	await withClient(url, async (db) => {
		await db.query('create table slow (id int primary key)');
		const viewer = await connect(first.url);
		await viewer.until('the table', ({ tables }) =>
			tables.some(({ table, watched }) => table === 'slow' && watched)
		);
		await viewer.subscribe();
		await db.query('begin; insert into slow values (1); select pg_sleep(0.2); commit');
		await viewer.until('the change', ({ changes }) => changes.length === 1);
		await first.stop();
		viewer.close();

		const { url: again } = await start();
		const iso = `to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
		const { rows } = await db.query(
			`select n as tick, ${iso} as at from rowcast.tick order by n desc limit 1`
		);
		for (const mode of ['stream', 'feed'] as const) {
			const late = await connect(again);
			closers.push(() => late.close());
			await late.subscribe({
				mode,
				after: { epoch: late.hello.epoch, tick: '0' },
				filter: { where: 'id:1' }
			});
			await late.until('the change', ({ changes }) => changes.length === 1);
			expect(late.ticks[0]).toMatchObject(rows[0]);
			await late.until('the state', ({ state }) => state !== undefined);
			expect(late.state!.since).toMatch(/T\d\d:\d\d:\d\d\.\d{6}Z$/);
		}
	});
});

describe('SIGTERM and SIGINT', () => {
	test.each(['SIGTERM', 'SIGINT'] as const)('%s: clients are told, exit 0 within 5 s', async (signal) => {
		const server = await start();
		const viewer = await connect(server.url, { reconnection: false });
		await viewer.subscribe();
		const asked = Date.now();
		const code = await server.stop(signal);
		expect(code).toBe(0);
		expect(Date.now() - asked).toBeLessThan(5000);
		await viewer.until('the end', ({ socket }) => !socket.connected);
		expect(viewer.state).toMatchObject({ database: 'disconnected', message: 'Rowcast was stopped.' });
	});
});

/** Starting and stopping: refusals in one line, the token, an outage of the database, a clean end. */
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { freePort } from '../../src/lib/server/embedded.ts';
import { useDatabase } from '../support/database.ts';
import { startPostgres, withClient } from '../support/postgres.ts';
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

	test('a port that is in use', async () => {
		const taken = createServer().listen(0, '127.0.0.1');
	test('TLS with a database that does not speak it', async () => {
		const url = `${database().url}?sslmode=require`;
		expect(await refusal({ DATABASE_URL: url })).toMatch(/^The database does not speak TLS[^\n]*$/);
	});

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

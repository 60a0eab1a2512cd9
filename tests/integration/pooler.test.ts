/** A pooler between Rowcast and its database: noticed, told, and followed through all the same. */
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LOCK } from '../../src/lib/server/locks.ts';
import { sharesSessions } from '../../src/lib/server/pooled.ts';
import { clusterUrl } from '../support/database.ts';
import { stage, type Scene } from '../support/faults.ts';
import { eventually } from '../support/follow.ts';
import { createLedger } from '../support/ledger.ts';
import { PGBOUNCER_EXPECTED, startPgbouncer, type Pooler } from '../support/pgbouncer.ts';
import { createDatabase, withClient, type Database } from '../support/postgres.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';

const ARRIVAL_MS = 15_000;
const TOLD = /pooler in transaction mode/g;

let database: Database;
let pooler: Pooler | undefined;
let scene: Scene | undefined;
let servers: Rowcast[] = [];

beforeEach(async () => {
	database = await createDatabase(clusterUrl());
	await createLedger(database.url);
});
afterEach(async () => {
	await scene?.close();
	await Promise.all(servers.map((server) => server.stop()));
	await pooler?.stop();
	await database.drop();
	[scene, servers, pooler] = [undefined, [], undefined];
});

const start = async (url: string) => {
	const server = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
	servers.push(server);
	return server;
};
/** Lets the writers go on until so many changes were seen. */
const load = async (changes: number) => {
	while (scene!.stream.told < changes) await scene!.caughtUp(ARRIVAL_MS);
};
const sql = (text: string, url = database.url) => withClient(url, async (db) => (await db.query(text)).rows);
/** Session locks that Rowcast has in this database. Those of a transaction are gone in a moment. */
const locks = () =>
	sql(`select l.objid, l.pid from pg_locks l where l.locktype = 'advisory' and l.classid = ${LOCK.leader.split(',')[0]}
		and l.database = (select oid from pg_database where datname = current_database())`);
/** What a server left behind in the sessions that a pooler goes on to lend. */
const sessionOf = async (url: string) =>
	(
		await sql(
			`select current_setting('enable_seqscan') as seqscan, current_setting('jit') as jit, current_setting('statement_timeout') as timeout,
				(select count(*)::int from pg_prepared_statements) as prepared, (select count(*)::int from pg_listening_channels()) as channels`,
			url
		)
	)[0];

const cases = PGBOUNCER_EXPECTED ? describe : describe.skip;
if (!PGBOUNCER_EXPECTED)
	console.warn('Skipped: the tests of poolers need pgbouncer, which Linux alone can get.');

cases('a pooler of transactions', () => {
	test.each([
		['the last session first', { server_round_robin: 0 }],
		['each session in turn, three at most', { server_round_robin: 1, default_pool_size: 3 }]
	])('%s: told once, every change once, nothing left behind', async (_, settings) => {
		pooler = await startPgbouncer(database.url, { mode: 'transaction', settings });
		const url = pooler.through(database.url);
		const clean = await sessionOf(url);
		const [server, other] = [await start(url), await start(url)];
		scene = await stage(database.url, server.url);
		await load(200);
		// Writers through the pooler, too; and a server beside it that has the database itself.
		await start(database.url);
		await sql(
			`insert into item (owner, note) select 7, 'through the pooler' from generate_series(1, 100)`,
			url
		);
		await load(600);
		await scene.settle();

		for (const each of [server, other]) {
			expect((each.stdout() + each.stderr()).match(TOLD)).toHaveLength(1);
			const response = await fetch(`${each.url}/readyz`);
			expect(response.status).toBe(200);
			expect((await response.json()).message).toMatch(TOLD);
			expect(each.process.exitCode).toBeNull();
		}
		expect(scene.stream.states.some(({ message }) => message?.match(TOLD))).toBe(true);
		await scene.close();
		for (const each of servers) expect(await each.stop()).toBe(0);
		servers = [];
		expect(await eventually(locks, (held) => held.length === 0)).toEqual([]);
		for (let session = 0; session < 4; session++) expect(await sessionOf(url)).toEqual(clean);
	});

	test('its sessions terminated under load: it goes on without a hole', async () => {
		pooler = await startPgbouncer(database.url, { mode: 'transaction' });
		const server = await start(pooler.through(database.url));
		scene = await stage(database.url, server.url);
		await load(100);
		await sql(
			`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowcast' and datname = current_database()`
		);
		await load(300);
		await scene.settle();
	});
});

cases('a pooler of sessions', () => {
	test('is as good as none: nothing is told', async () => {
		pooler = await startPgbouncer(database.url, { mode: 'session' });
		const server = await start(pooler.through(database.url));
		scene = await stage(database.url, server.url);
		await load(200);
		await scene.settle();
		expect(server.stdout() + server.stderr()).not.toMatch(TOLD);
		expect((await (await fetch(`${server.url}/readyz`)).json()).message).toBeUndefined();
	});
});

test('without a pooler nothing is suspected', async () => {
	const client = new pg.Client({ connectionString: database.url });
	await client.connect();
	expect(await sharesSessions(client, { connectionString: database.url })).toBe(false);
	await client.end();
});

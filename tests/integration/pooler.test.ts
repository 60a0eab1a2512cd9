/** A pooler between Rowcast and its database: noticed, told, and followed through all the same. */
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { LOCK } from '../../src/lib/server/locks.ts';
import { sharesSessions } from '../../src/lib/server/pooled.ts';
import type { Scene } from '../support/faults.ts';
import { eventually } from '../support/follow.ts';
import { PGBOUNCER_EXPECTED, startPgbouncer, type PoolerOptions } from '../support/pgbouncer.ts';
import { withClient } from '../support/postgres.ts';
import { useServers } from '../support/servers.ts';

const ARRIVAL_MS = 15_000;
const TOLD = /pooler in transaction mode/g;

const servers = useServers();
const { sql, start } = servers;
let scene: Scene;

/** The test's database through a pooler. */
async function through(options: PoolerOptions): Promise<string> {
	const pooler = await startPgbouncer(servers.database.url, options);
	servers.finally(() => pooler.stop());
	return pooler.through(servers.database.url);
}
/** Lets the writers go on until so many changes were seen. */
const load = async (changes: number) => {
	while (scene.stream.told < changes) await scene.caughtUp(ARRIVAL_MS);
};
/** Session locks that Rowcast has in this database. Those of a transaction are gone in a moment. */
const locks = () =>
	sql(`select l.objid, l.pid from pg_locks l where l.locktype = 'advisory' and l.classid = ${LOCK.leader.split(',')[0]}
		and l.database = (select oid from pg_database where datname = current_database())`);
/** What a server left behind in the sessions that a pooler goes on to lend. */
const sessionOf = (url: string) =>
	withClient(url, async (db) => {
		const { rows } = await db.query(
			`select current_setting('enable_seqscan') as seqscan, current_setting('jit') as jit, current_setting('statement_timeout') as timeout,
				(select count(*)::int from pg_prepared_statements) as prepared, (select count(*)::int from pg_listening_channels()) as channels`
		);
		return rows[0];
	});

const cases = PGBOUNCER_EXPECTED ? describe : describe.skip;
if (!PGBOUNCER_EXPECTED)
	console.warn('Skipped: the tests of poolers need pgbouncer, which Linux alone can get.');

cases('a pooler of transactions', () => {
	test.each([
		['the last session first', { server_round_robin: 0 }],
		['each session in turn, three at most', { server_round_robin: 1, default_pool_size: 3 }]
	])('%s: told once, every change once, nothing left behind', async (_, settings) => {
		const url = await through({ mode: 'transaction', settings });
		const clean = await sessionOf(url);
		const [server, other] = [await start(url), await start(url)];
		scene = await servers.stage(server.url);
		await load(200);
		// Writers through the pooler, too; and a server beside it that has the database itself.
		const direct = await start();
		await withClient(url, (db) =>
			db.query(`insert into item (owner, note) select 7, 'through the pooler' from generate_series(1, 100)`)
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
		for (const each of [server, other, direct]) expect(await each.stop()).toBe(0);
		expect(await eventually(locks, (held) => held.length === 0)).toEqual([]);
		for (let session = 0; session < 4; session++) expect(await sessionOf(url)).toEqual(clean);
	});

	test('its sessions terminated under load: it goes on without a hole', async () => {
		const server = await start(await through({ mode: 'transaction' }));
		scene = await servers.stage(server.url);
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
		const server = await start(await through({ mode: 'session' }));
		scene = await servers.stage(server.url);
		await load(200);
		await scene.settle();
		expect(server.stdout() + server.stderr()).not.toMatch(TOLD);
		expect((await (await fetch(`${server.url}/readyz`)).json()).message).toBeUndefined();
	});
});

test('without a pooler nothing is suspected', async () => {
	const connectionString = servers.database.url;
	const client = new pg.Client({ connectionString });
	await client.connect();
	expect(await sharesSessions(client, { connectionString })).toBe(false);
	await client.end();
});

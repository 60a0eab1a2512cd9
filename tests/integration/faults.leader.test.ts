/** The leader dies at any moment of its ticks. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeRandom } from '../../src/lib/server/demo/random.ts';
import { LOCK } from '../../src/lib/server/locks.ts';
import { clusterUrl } from '../support/database.ts';
import { stage, type Scene } from '../support/faults.ts';
import { createLedger } from '../support/ledger.ts';
import { createDatabase, withClient, type Database } from '../support/postgres.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';
import { watch, type Watcher } from '../support/watcher.ts';

const RECOVERY_MS = 15_000;
const DEATHS = 15;

let database: Database;
let servers: Rowcast[] = [];
let scene: Scene | undefined;
let watchers: Watcher[] = [];

beforeEach(async () => {
	database = await createDatabase(clusterUrl());
	await createLedger(database.url);
});
afterEach(async () => {
	for (const watcher of watchers) watcher.close();
	await scene?.close();
	await Promise.all(servers.map((server) => server.stop()));
	await database?.drop();
	[servers, scene, watchers] = [[], undefined, []];
});

const start = async () => {
	const server = await startRowcast({ env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all' } });
	servers.push(server);
	return server;
};
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ends the leader's session, whatever it does just now; no row where nobody leads. */
const KILL = `
	select pg_terminate_backend(a.pid) from pg_locks l join pg_stat_activity a using (pid)
	where l.locktype = 'advisory' and (l.classid, l.objid) = (${LOCK.leader}) and a.datname = current_database()`;

test('the leader is thrown out of its session at random moments of its ticks, again and again', async () => {
	const random = makeRandom(4);
	const [one, other] = [await start(), await start()];
	// Viewers of both, because each leads in its turn.
	scene = await stage(database.url, one.url, { asynchronous: true });
	const witness = await watch(other.url, { mode: 'feed' });
	watchers.push(witness);
	await scene.caughtUp(RECOVERY_MS);
	await withClient(database.url, async (db) => {
		for (let deaths = 0; deaths < DEATHS;) {
			await sleep(random.between(0, 150));
			deaths += (await db.query(KILL)).rows.length;
		}
	});
	await scene.caughtUp(RECOVERY_MS);
	await scene.settle();
	await witness.reached(BigInt(scene.stream.subscription.cursor!.tick), RECOVERY_MS);
	expect(witness).toMatchObject({ gaps: [], holes: [], errors: [] });
});

/** The leader dies at any moment of its ticks. */
import { expect, test } from 'vitest';
import { makeRandom } from '../../src/lib/server/demo/random.ts';
import { LOCK } from '../../src/lib/server/locks.ts';
import { withClient } from '../support/postgres.ts';
import { useServers } from '../support/servers.ts';

const RECOVERY_MS = 15_000;
const DEATHS = 15;

const servers = useServers();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ends the leader's session, whatever it does just now; no row where nobody leads. */
const KILL = `
	select pg_terminate_backend(a.pid) from pg_locks l join pg_stat_activity a using (pid)
	where l.locktype = 'advisory' and (l.classid, l.objid) = (${LOCK.leader}) and a.datname = current_database()`;

test('the leader is thrown out of its session at random moments of its ticks, again and again', async () => {
	const random = makeRandom(4);
	const [one, other] = [await servers.start(), await servers.start()];
	// Viewers of both, because each leads in its turn.
	const scene = await servers.stage(one.url, { asynchronous: true });
	const witness = await servers.watch(other.url, { mode: 'feed' });
	await scene.caughtUp(RECOVERY_MS);
	await withClient(servers.database.url, async (db) => {
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

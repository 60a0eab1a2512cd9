/** The server dies, stops or freezes under load: its viewers go on at another, or at itself, without a hole. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clusterUrl } from '../support/database.ts';
import { countsOf, stage, total, type Scene } from '../support/faults.ts';
import { createLedger, mark } from '../support/ledger.ts';
import { createDatabase, withClient, type Database } from '../support/postgres.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';
import { watch, type Watcher } from '../support/watcher.ts';

/** From the fault until viewers are shown what is new. */
const RECOVERY_MS = 10_000;
const CROWD = 50;

let database: Database;
/** What viewers connect to, whichever server is behind it: a load balancer. */
let front: Proxy;
let servers: Rowcast[] = [];
let scene: Scene;
let crowd: Watcher[] = [];

const start = async () => {
	const server = await startRowcast({ env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all' } });
	servers.push(server);
	return server;
};
const portOf = ({ url }: Rowcast) => Number(new URL(url).port);

/** What the log says of the ticks (after, until], in the form of `countsOf`. */
async function countsBetween(after: bigint, until: bigint): Promise<Record<string, number>> {
	const { rows } = await withClient(database.url, (db) =>
		db.query(
			`select format('%s %s', r.name, case c.op when 'I' then 'INSERT' when 'U' then 'UPDATE' else 'DELETE' end) as kind,
				sum(c.rows)::int as rows
			from rowcast.tick_count c join rowcast.relation r on r.id = c.relation
			where c.tick > $1 and c.tick <= $2 group by 1`,
			[after, until]
		)
	);
	return Object.fromEntries(rows.map(({ kind, rows }) => [kind, rows]));
}

beforeEach(async () => {
	database = await createDatabase(clusterUrl());
	await createLedger(database.url);
});
afterEach(async () => {
	for (const watcher of crowd) watcher.close();
	crowd = [];
	await scene?.close();
	await front?.close();
	for (const { process } of servers) process.kill('SIGCONT');
	await Promise.all(servers.map((server) => server.process.exitCode ?? server.stop()));
	servers = [];
	await database?.drop();
});

describe('two servers, each killed in its turn and replaced', () => {
	test.each(['SIGKILL', 'SIGTERM'] as const)(
		'%s: everybody goes on at the other without a hole',
		async (signal) => {
			let [leader, follower] = [await start(), await start()];
			front = await startProxy(portOf(leader));
			const url = front.through(leader.url);
			scene = await stage(database.url, url);
			const before = await scene.caughtUp(10_000);
			crowd = await Promise.all(
				Array.from({ length: CROWD }, (_, i) =>
					watch(url, { keep: false, mode: i % 5 === 0 ? 'stream' : 'feed', limit: 20 })
				)
			);
			const witness = await watch(follower.url, { keep: false, mode: 'feed' });
			crowd.push(witness);
			expect(before).toBeLessThan(10_000);

			for (let round = 0; round < 2; round++) {
				const died = leader;
				front.target = portOf(follower);
				const code = await died.stop(signal);
				if (signal === 'SIGTERM') expect(code).toBe(0);
				expect(await scene.caughtUp(RECOVERY_MS)).toBeLessThan(RECOVERY_MS);
				servers = servers.filter((server) => server !== died);
				[leader, follower] = [follower, await start()];
			}
			witness.close();
			crowd.pop();

			await scene.settle();
			const last = BigInt(scene.feed.subscription.cursor!.tick);
			await Promise.all(crowd.map((watcher) => watcher.reached(last, RECOVERY_MS)));
			for (const watcher of crowd) {
				expect(watcher).toMatchObject({ gaps: [], holes: [], errors: [] });
				expect(countsOf(watcher)).toEqual(await countsBetween(watcher.start, watcher.end));
				expect(watcher.told).toBe(total(watcher));
			}
		}
	);
});

describe('one server', () => {
	test('its event loop stands still for 5 s', async () => {
		const server = await start();
		scene = await stage(database.url, server.url);
		await scene.caughtUp(10_000);
		server.process.kill('SIGSTOP');
		await new Promise((resolve) => setTimeout(resolve, 5_000));
		server.process.kill('SIGCONT');
		expect(await scene.caughtUp(RECOVERY_MS)).toBeLessThan(RECOVERY_MS);
		await scene.settle();
	});

	test('a leader that stands still is replaced by another server meanwhile', async () => {
		const leader = await start();
		const other = await start();
		scene = await stage(database.url, other.url);
		await scene.caughtUp(10_000);
		leader.process.kill('SIGSTOP');
		expect(await scene.caughtUp(RECOVERY_MS)).toBeLessThan(RECOVERY_MS);
		leader.process.kill('SIGCONT');
		await scene.caughtUp(RECOVERY_MS);
		await scene.settle();
	});

	test('a viewer who sleeps goes on where it was, or is told a gap where the log was pruned', async () => {
		const server = await start();
		scene = await stage(database.url, server.url);
		front = await startProxy(portOf(server));
		const url = front.through(server.url);
		const sleepers = await Promise.all([watch(url), watch(url, { mode: 'feed' })]);
		const sql = (text: string) => withClient(database.url, (db) => db.query(text));

		front.refuse();
		await mark(database.url, 'while they sleep');
		await scene.caughtUp(RECOVERY_MS);
		front.admit();
		const middle = await sleepers[0]!.marked('while they sleep', RECOVERY_MS);
		await sleepers[1]!.reached(middle, RECOVERY_MS);
		expect(sleepers.map(({ gaps }) => gaps)).toEqual([[], []]);

		const before = sleepers.map(({ subscription }) => BigInt(subscription.cursor!.tick));
		front.refuse();
		await scene.caughtUp(RECOVERY_MS);
		await sql('select rowcast.rotate()');
		// Whoever appended to the leaf has ended, and was shown: or the viewer who is awake would miss it, too.
		const barrier = (await sql('select pg_current_xact_id()::text as xid')).rows[0].xid;
		for (let ended = false; !ended;)
			ended = (await sql(`select pg_snapshot_xmin(pg_current_snapshot()) > '${barrier}'::xid8 as ended`))
				.rows[0].ended;
		await scene.caughtUp(RECOVERY_MS);
		// Fails while others look at the leaf.
		for (let done = false; !done;)
			done = await sql('select rowcast.prune()').then(
				() => true,
				() => false
			);
		await mark(database.url, 'after the prune');
		// Another server: the first still has in memory what they missed.
		front.target = portOf(await start());
		front.admit();
		const end = await sleepers[0]!.marked('after the prune', RECOVERY_MS);
		await sleepers[1]!.reached(end, RECOVERY_MS);
		for (const [i, { gaps, holes }] of sleepers.entries()) {
			expect(gaps).toMatchObject([{ reason: 'pruned' }]);
			expect(BigInt(gaps[0]!.after)).toBeGreaterThanOrEqual(before[i]!);
			expect(BigInt(gaps[0]!.until)).toBeGreaterThan(BigInt(gaps[0]!.after));
			expect(holes).toEqual([]);
		}
		for (const sleeper of sleepers) sleeper.close();
		await scene.settle();
	});
});

afterAll(() => {
	for (const { process } of servers) process.kill('SIGKILL');
});

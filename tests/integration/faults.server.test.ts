/** The server dies, stops or freezes under load: its viewers go on at another, or at itself, without a hole. */
import { describe, expect, test } from 'vitest';
import { countsOf, total } from '../support/faults.ts';
import { mark } from '../support/ledger.ts';
import { portOf, useServers } from '../support/servers.ts';

/** From the fault until viewers are shown what is new. */
const RECOVERY_MS = 10_000;
const CROWD = 200;

const servers = useServers();
const { proxy, sql, start, watch } = servers;

/** What the log says of the ticks (after, until], in the form of `countsOf`. */
async function countsBetween(after: bigint, until: bigint): Promise<Record<string, number>> {
	const rows = await sql(
		`select format('%s %s', r.name, case c.op when 'I' then 'INSERT' when 'U' then 'UPDATE' else 'DELETE' end) as kind,
				sum(c.rows)::int as rows
			from rowcast.tick_count c join rowcast.relation r on r.id = c.relation
			where c.tick > $1 and c.tick <= $2 group by 1`,
		[after, until]
	);
	return Object.fromEntries(rows.map(({ kind, rows }) => [kind, rows]));
}

describe('two servers, each killed in its turn and replaced', () => {
	test.each(['SIGKILL', 'SIGTERM'] as const)(
		'%s: everybody goes on at the other without a hole',
		async (signal) => {
			let [leader, follower] = [await start(), await start()];
			// What viewers connect to, whichever server is behind it: a load balancer.
			const front = await proxy(portOf(leader));
			const url = front.through(leader.url);
			const scene = await servers.stage(url);
			const before = await scene.caughtUp(10_000);
			const crowd = await Promise.all(
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
		const scene = await servers.stage(server.url);
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
		const scene = await servers.stage(other.url);
		await scene.caughtUp(10_000);
		leader.process.kill('SIGSTOP');
		expect(await scene.caughtUp(RECOVERY_MS)).toBeLessThan(RECOVERY_MS);
		leader.process.kill('SIGCONT');
		await scene.caughtUp(RECOVERY_MS);
		await scene.settle();
	});

	test('a viewer who sleeps goes on where it was, or is told a gap where the log was pruned', async () => {
		const server = await start();
		const scene = await servers.stage(server.url);
		const front = await proxy(portOf(server));
		const url = front.through(server.url);
		const sleepers = await Promise.all([watch(url), watch(url, { mode: 'feed' })]);

		front.refuse();
		await mark(servers.database.url, 'while they sleep');
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
		const barrier = (await sql('select pg_current_xact_id()::text as xid'))[0].xid;
		for (let ended = false; !ended;)
			ended = (await sql(`select pg_snapshot_xmin(pg_current_snapshot()) > '${barrier}'::xid8 as ended`))[0]
				.ended;
		await scene.caughtUp(RECOVERY_MS);
		// Fails while others look at the leaf.
		for (let done = false; !done;)
			done = await sql('select rowcast.prune()').then(
				() => true,
				() => false
			);
		await mark(servers.database.url, 'after the prune');
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

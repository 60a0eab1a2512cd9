/** The primary dies and a standby that lags is promoted: what was shown may be undone, and whoever watches is told so. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { killTree, stage, total, type Scene } from '../support/faults.ts';
import { eventually } from '../support/follow.ts';
import { createLedger, mark, reckon } from '../support/ledger.ts';
import { createDatabase, databaseUrl, startPostgres, withClient, type Cluster } from '../support/postgres.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { connect, startRowcast, type Rowcast } from '../support/rowcast.ts';
import { PRIMARY, startStandby, type Standby } from '../support/standby.ts';
import { watch, type Watcher } from '../support/watcher.ts';

/** From the promotion until viewers are shown what is new. */
const RECOVERY_MS = 15_000;
const STANDBY = 'This server is a standby, where nothing can be recorded; connect to the primary.';

let primary: Cluster;
let standby: Standby;
/** From the standby to the primary; of the application to the database; of Rowcast to the database. */
let [replication, application, between]: Proxy[] = [];
let servers: Rowcast[] = [];
let scene: Scene;
let witness: Watcher;
let name: string;

const startServer = async () => {
	const url = between!.through(databaseUrl(primary.connectionString, name));
	const server = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
	servers.push(server);
	return server;
};
const ready = async ({ url }: Rowcast) => {
	const response = await fetch(`${url}/readyz`);
	return { status: response.status, ...(await response.json()) };
};

beforeAll(async () => {
	primary = await startPostgres({ settings: PRIMARY });
	[replication, application, between] = await Promise.all([1, 2, 3].map(() => startProxy(primary.port)));
	const database = await createDatabase(primary.connectionString);
	name = database.name;
	await createLedger(database.url);
	standby = await startStandby(primary, replication!.through(primary.connectionString));
	servers = await Promise.all([startServer(), startServer()]);
	scene = await stage(application!.through(database.url), servers[0]!.url);
	witness = await watch(servers[1]!.url);
	await scene.caughtUp(10_000);
});
afterAll(async () => {
	witness?.close();
	await scene?.close();
	await Promise.all(servers.map((server) => server.stop()));
	for (const proxy of [replication, application, between]) await proxy?.close();
	await Promise.all([primary?.stop(), standby?.stop()]);
});

test('a standby that lags is promoted: another epoch, told to all, and capture goes on in it', async () => {
	const viewers = [scene.stream, scene.feed, witness];
	const [before] = scene.stream.epochs as [string];
	const there = databaseUrl(standby.connectionString, name);
	// It streams, and has the log.
	const ticks = () =>
		withClient(there, async (db) => (await db.query('select max(n) as n from rowcast.tick')).rows[0].n);
	const early = BigInt(scene.stream.subscription.cursor!.tick);
	await eventually(ticks, (n) => BigInt(n) >= early);

	// From here on it lags: what is written and shown now, it will never have.
	replication!.refuse();
	const replayed = BigInt(await ticks());
	const shown = scene.stream.told;
	while (scene.stream.told < shown + 300) await scene.caughtUp(10_000);
	const cursor = scene.stream.subscription.cursor!;
	expect(BigInt(cursor.tick)).toBeGreaterThan(replayed + 5n);

	// Nobody writes until Rowcast is there, so that what each epoch must have is known to the row.
	application!.refuse();
	killTree(primary.pid);
	await primary.stop();
	between!.target = application!.target = standby.port;
	between!.cut();
	for (const server of servers) {
		expect(
			await eventually(
				() => ready(server),
				({ reason }) => reason === STANDBY
			)
		).toMatchObject({
			status: 503,
			reason: STANDBY
		});
		expect(server.process.exitCode).toBeNull();
	}
	await expect(startServer()).rejects.toThrow(STANDBY);
	for (const { states } of viewers)
		expect(states.at(-1)).toMatchObject({ database: 'disconnected', message: STANDBY });

	const { phantom } = await reckon(there, scene.stream.changes);
	expect(phantom.length, 'shown, and not on the standby').toBeGreaterThan(100);

	await standby.promote();
	const promoted = performance.now();
	for (const viewer of viewers)
		await viewer.until(
			'the other epoch',
			({ epochs, gaps }) => epochs.length > 1 && gaps.length > 0,
			RECOVERY_MS
		);
	const [, after] = scene.stream.epochs as [string, string];
	expect(after).not.toBe(before);
	for (const { epochs, gaps } of viewers) {
		expect(epochs).toEqual([before, after]);
		expect(gaps).toMatchObject([{ reason: 'epoch' }]);
	}
	const { lost: known } = await reckon(there, []);
	const [streamSeen, witnessSeen] = [scene.stream.changes.length, witness.changes.length];
	await mark(there, 'the new epoch');
	// Not by its tick: they have seen higher ones, of the epoch before.
	for (const viewer of viewers) await viewer.marked('the new epoch', RECOVERY_MS);
	const counted = viewers.map((viewer) => total(viewer));
	application!.admit();
	await scene.caughtUp(RECOVERY_MS);
	expect(performance.now() - promoted).toBeLessThan(RECOVERY_MS);
	const told = scene.stream.told;
	while (scene.stream.told < told + 200) await scene.caughtUp(10_000);
	await scene.quiet();
	const end = BigInt(scene.stream.subscription.cursor!.tick);
	await witness.reached(end);

	for (const [viewer, seen] of [
		[scene.stream, streamSeen],
		[witness, witnessSeen]
	] as const) {
		const { lost, ...rest } = await reckon(there, viewer.changes.slice(seen));
		expect(rest).toEqual({ doubled: [], misordered: [], phantom: [] });
		// What was there before the new epoch began.
		expect(lost.filter((event) => !known.includes(event))).toEqual([]);
		expect(viewer).toMatchObject({ holes: [], errors: [] });
	}
	for (const viewer of viewers) expect(viewer.told).toBe(total(viewer));
	const [ofStream, ofFeed, ofWitness] = viewers.map((viewer, i) => total(viewer) - counted[i]!);
	expect([ofFeed, ofWitness]).toEqual([ofStream, ofStream]);

	// Who comes with a place in the log that is gone.
	for (const server of servers) {
		const late = await connect(server.url);
		expect(late.hello.epoch).toBe(after);
		const { gap, tick } = await late.subscribe({ mode: 'stream', after: cursor });
		expect(gap).toMatchObject({ after: cursor.tick, until: tick, reason: 'epoch' });
		await mark(there, `for who comes late to ${server.url}`);
		await late.until('what is new', ({ changes }) =>
			changes.some((change) => change.after?.includes(server.url))
		);
		expect(late.ticks[0]!.from).toBe(tick);
		late.close();
	}
});

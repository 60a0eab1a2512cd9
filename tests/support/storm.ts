/**
 * A random storm: writers of every kind, viewers who come and go, and everything else that happens to a server, drawn
 * from a seed. At its end the rows of the database say whether each viewer saw what it should have.
 */
import { expect } from 'vitest';
import { makeRandom } from '../../src/lib/server/demo/random.ts';
import { countsOf, rowcastBackends, stage, total } from './faults.ts';
import { createLedger } from './ledger.ts';
import { createDatabase, withClient } from './postgres.ts';
import { startProxy } from './proxy.ts';
import { startRowcast, type Rowcast } from './rowcast.ts';
import { watch, type Watcher } from './watcher.ts';

export interface StormOptions {
	clusterUrl: string;
	seed: number;
	/** How long it blows. */
	ms: number;
	tell?: (line: string) => void;
}

/** Two servers behind one address, and between them and the database a network that may fail. */
export async function storm({ clusterUrl, seed, ms, tell = () => {} }: StormOptions): Promise<void> {
	const random = makeRandom(seed);
	const database = await createDatabase(clusterUrl);
	const behind = await startProxy(Number(new URL(clusterUrl).port));
	const start = () =>
		startRowcast({ env: { DATABASE_URL: behind.through(database.url), ROWCAST_WATCH: 'all' } });
	const closers: (() => unknown)[] = [() => behind.close()];
	let servers: Rowcast[] = [];
	try {
		await createLedger(database.url);
		servers = [await start(), await start()];
		const front = await startProxy(portOf(servers[0]!));
		closers.push(() => front.close());
		const url = front.through(servers[0]!.url);
		const scene = await stage(database.url, url, {
			random: makeRandom(seed + 1),
			writers: 5,
			asynchronous: seed % 2 === 0,
			longMs: 1_500
		});
		closers.push(() => scene.close());
		const visitors: Watcher[] = [];

		const events: { weight: number; name: string; happen: () => unknown }[] = [
			{ weight: 4, name: 'viewers are cut off', happen: () => front.cut() },
			{ weight: 2, name: 'the servers are cut off', happen: () => behind.cut() },
			{
				weight: 3,
				name: 'a connection of Rowcast is terminated',
				async happen() {
					const pid = random.pick(await rowcastBackends(database.url));
					await withClient(database.url, (db) => db.query('select pg_terminate_backend($1)', [pid]));
				}
			},
			{ weight: 2, name: 'the other server answers', happen: () => turn() },
			{
				weight: 2,
				name: 'a server is killed and replaced',
				async happen() {
					const gone = servers.shift()!;
					front.target = portOf(servers[0]!);
					await gone.stop(random.pick(['SIGKILL', 'SIGTERM']));
					servers.push(await start());
				}
			},
			{
				weight: 1,
				name: 'a server stands still',
				async happen() {
					const { process } = random.pick(servers);
					process.kill('SIGSTOP');
					await pause(random.between(200, 3000));
					process.kill('SIGCONT');
				}
			},
			{
				weight: 1,
				name: 'the network to the database is slow',
				async happen() {
					behind.delay = 60;
					await pause(1000);
					behind.delay = 0;
				}
			},
			{
				weight: 4,
				name: 'a visitor comes',
				async happen() {
					visitors.push(await watch(url, { keep: false, mode: random.pick(['feed', 'stream'] as const) }));
					if (visitors.length > 5) visitors.shift()!.close();
				}
			}
		];
		function turn() {
			servers.reverse();
			front.target = portOf(servers[0]!);
			front.cut();
		}

		const end = Date.now() + ms;
		while (Date.now() < end) {
			const { name, happen } = random.weighted(events);
			tell(name);
			await happen();
			await pause(random.between(50, 1200));
		}
		await scene.caughtUp(20_000);
		await scene.settle();
		const last = BigInt(scene.stream.subscription.cursor!.tick);
		for (const visitor of visitors) {
			closers.push(() => visitor.close());
			await visitor.reached(last);
			expect(visitor).toMatchObject({ gaps: [], holes: [], errors: [] });
			expect(visitor.told).toBe(total(visitor));
		}
		tell(`${scene.stream.told} changes: ${JSON.stringify(countsOf(scene.stream))}`);
	} finally {
		for (const close of closers.reverse()) await close();
		for (const server of servers) await server.stop();
		await database.drop();
	}
}

const portOf = ({ url }: Rowcast) => Number(new URL(url).port);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

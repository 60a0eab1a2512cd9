/** Viewers who do not behave: each costs little, and nobody else notices. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clusterUrl } from '../support/database.ts';
import { eventually } from '../support/follow.ts';
import { createDatabase, withClient, type Database } from '../support/postgres.ts';
import { connect, startRowcast, type Rowcast, type Viewer } from '../support/rowcast.ts';
import { watch, type Watcher } from '../support/watcher.ts';

const MB = 2 ** 20;
const STALLED = 100;
const DEAF = 20;
const BATCHES = 30;
const ROWS = 500;

let database: Database;
let server: Rowcast;
let viewers: Viewer[] = [];
let witnesses: Watcher[] = [];

beforeEach(async () => {
	database = await createDatabase(clusterUrl());
	await sql('create table item (id bigint primary key generated always as identity, note text)');
	// What counts is what is left after the rubbish was collected.
	const collect = 'data:text/javascript,setInterval(gc,500).unref()';
	server = await startRowcast({
		args: ['--expose-gc', '--import', collect, 'server.js'],
		env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all' }
	});
});
afterEach(async () => {
	for (const each of [...viewers, ...witnesses]) each.close();
	[viewers, witnesses] = [[], []];
	await server?.stop();
	await database?.drop();
});

const sql = (text: string) => withClient(database.url, (db) => db.query(text));

async function metrics() {
	const text = await (await fetch(`${server.url}/metrics`)).text();
	const read = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)![1]);
	return {
		sockets: read('rowcast_sockets'),
		viewers: read('rowcast_viewers'),
		rooms: read('rowcast_rooms'),
		resources: read('nodejs_active_resources_total'),
		/** All that JavaScript holds, strings and buffers included. */
		memory: read('nodejs_heap_size_used_bytes') + read('nodejs_external_memory_bytes')
	};
}
type Metrics = Awaited<ReturnType<typeof metrics>>;

/** The least of some looks, so that it lies after a collection. */
async function settled(): Promise<Metrics> {
	let least = await metrics();
	for (let look = 0; look < 8; look++) {
		await new Promise((resolve) => setTimeout(resolve, 250));
		const now = await metrics();
		if (now.memory < least.memory) least = now;
	}
	return least;
}

test('readers that never acknowledge, and sockets that are not read, cost at most 4 MB each and disturb nobody', async () => {
	witnesses = [await watch(server.url), await watch(server.url, { mode: 'feed' })];
	const before = await settled();
	for (let i = 0; i < STALLED + DEAF; i++) {
		const viewer = await connect(server.url, { onTick: () => new Promise(() => {}) });
		viewers.push(viewer);
		await viewer.subscribe({ mode: i < STALLED ? 'stream' : 'feed', limit: 1000 });
	}
	for (const { socket } of viewers.slice(STALLED)) {
		const { transport } = socket.io.engine as unknown as {
			transport: { ws: { _socket?: { pause(): void } } };
		};
		expect(transport.ws._socket).toBeDefined();
		transport.ws._socket!.pause();
	}
	for (let batch = 0; batch < BATCHES; batch++)
		await sql(`insert into item (note) select repeat('x', 1000) || i from generate_series(1, ${ROWS}) i`);
	const [stream, feed] = witnesses as [Watcher, Watcher];
	for (const witness of witnesses)
		await witness.until('every row', ({ counts }) => counts['item INSERT'] === BATCHES * ROWS, 60_000);
	expect(new Set(stream.changes.map(({ key }) => key!.id)).size).toBe(BATCHES * ROWS);
	expect(stream.changes).toHaveLength(BATCHES * ROWS);
	for (const witness of [stream, feed]) expect(witness).toMatchObject({ gaps: [], holes: [], errors: [] });

	const after = await settled();
	for (const viewer of viewers.slice(0, STALLED)) expect(viewer.ticks.length).toBe(1);
	expect(after.memory - before.memory).toBeLessThan(4 * MB * (STALLED + DEAF));
	expect(server.process.exitCode).toBeNull();
});

test('a thousand tabs that subscribe and leave, some without a word, leave nothing behind', async () => {
	const visit = async (i: number) => {
		const viewer = await connect(server.url);
		await viewer.subscribe({
			mode: i % 4 === 0 ? 'stream' : 'feed',
			filter: i % 2 === 0 ? {} : { where: `id=${i}` },
			limit: 1 + (i % 7)
		});
		if (i % 3 === 0) await viewer.ask('unsubscribe', {});
		// As a tab that is killed: no goodbye.
		if (i % 5 === 0)
			(
				viewer.socket.io.engine as unknown as { transport: { ws: { terminate(): void } } }
			).transport.ws.terminate();
		viewer.close();
	};
	const visits = async (from: number, to: number) => {
		for (let i = from; i < to; i += 20) {
			await sql(`insert into item (note) values ('between them')`);
			await Promise.all(Array.from({ length: 20 }, (_, k) => visit(i + k)));
		}
		const left = await eventually(metrics, ({ sockets }) => sockets === 0);
		expect(left).toMatchObject({ sockets: 0, viewers: 0, rooms: 0 });
		return settled();
	};
	const before = await visits(0, 200);
	const after = await visits(200, 1200);
	// 4 kB for each would be a leak of its subscription alone.
	expect(after.memory - before.memory).toBeLessThan(4 * MB);
	expect(after.resources).toBeLessThan(before.resources + 20);
	expect(server.stdout() + server.stderr()).not.toMatch(/MaxListenersExceeded/);
});

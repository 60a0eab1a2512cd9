/** Much at once: exact, in bounded memory, and without disturbing who watches something else. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
	createDatabase,
	startPostgres,
	withClient,
	type Cluster,
	type Database
} from '../support/postgres.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';
import { watch, type Watcher, type WatcherOptions } from '../support/watcher.ts';

/** VOLUME_ROWS asks for fewer, where a try must be short. */
const ROWS = Number(process.env.VOLUME_ROWS ?? 1_000_000);

/** Of its own: what other tests write in the meantime must not be measured here. */
let cluster: Cluster;
let made: Database;
const database = () => made;
let server: Rowcast;
const watchers: Watcher[] = [];
const closers: (() => void)[] = [];

const sql = (text: string) => withClient(database().url, (db) => db.query(text));
const residentMB = () =>
	Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))![1]) / 1024;
const of = (table: string) => ({ filter: { tables: [{ schema: 'public', table }] }, keep: false });

async function viewer(request: WatcherOptions) {
	const made = await watch(server.url, request);
	watchers.push(made);
	return made;
}

beforeAll(async () => {
	cluster = await startPostgres();
	made = await createDatabase(cluster.connectionString);
	await sql(`
		create table big (id int primary key, name text);
		create table burst (id int primary key);
		create table item (id int primary key, note text);
		create table slow (id int primary key)`);
	server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all' } });
});
afterAll(async () => {
	for (const close of closers) close();
	for (const watcher of watchers) watcher.close();
	await server?.stop();
	await cluster?.stop();
});

describe(`one transaction of ${ROWS.toLocaleString('en')} rows`, () => {
	test('counts are exact, the stream has every row once and in order, the rest goes on', async () => {
		const seen = new Uint8Array(ROWS + 1);
		let [doubled, misordered, lastSeq] = [0, 0, 0n];
		const feed = await viewer({ ...of('big'), mode: 'feed' });
		const other = await viewer({ ...of('item') });
		const stream = await viewer({
			...of('big'),
			each({ after, seq }) {
				const id = Number(/"id":(\d+)/.exec(after!)![1]);
				if (seen[id]) doubled++;
				seen[id] = 1;
				if (BigInt(seq) <= lastSeq) misordered++;
				lastSeq = BigInt(seq);
			}
		});
		await sql(`insert into item values (0, 'mark before')`);
		await other.marked('before');
		const before = residentMB();
		let peak = before;
		const sampling = setInterval(() => (peak = Math.max(peak, residentMB())), 100);
		closers.push(() => clearInterval(sampling));

		const delays: number[] = [];
		let pulsing = true;
		const pulse = (async () => {
			for (let i = 1; pulsing; i++) {
				const started = performance.now();
				await sql(`insert into item values (${i}, 'mark ${i}')`);
				await other.marked(`${i}`, 120_000);
				delays.push(performance.now() - started);
				await new Promise((resolve) => setTimeout(resolve, 100));
			}
		})();
		const started = performance.now();
		await sql(`insert into big select i, 'row ' || i from generate_series(1, ${ROWS}) i`);
		const written = performance.now();
		await feed.until('the counts', ({ counts }) => counts['big INSERT'] === ROWS, 120_000);
		const counted = performance.now();
		await stream.until('every row', ({ told }) => told >= ROWS, 300_000);
		const streamed = performance.now();
		pulsing = false;
		await pulse;

		const p99 = delays.sort((a, b) => a - b)[Math.floor(delays.length * 0.99)]!;
		console.log(
			`${ROWS} rows: written in ${seconds(written - started)}, counted after ${seconds(counted - written)}, ` +
				`streamed after ${seconds(streamed - written)}; server +${Math.round(peak - before)} MB; ` +
				`others' p99 ${Math.round(p99)} ms`
		);
		expect(seen.reduce((sum, here) => sum + here, 0)).toBe(ROWS);
		expect({ doubled, misordered, told: stream.told, holes: stream.holes }).toEqual({
			doubled: 0,
			misordered: 0,
			told: ROWS,
			holes: []
		});
		expect(stream.counts).toEqual({ 'big INSERT': ROWS });
		expect(feed.told).toBe(ROWS);
		expect(peak - before).toBeLessThan(200);
		// Whoever watches something else does not notice: 76 ms on two idle processors, 416 ms on very busy ones.
		expect(p99).toBeLessThan(1_000);
	}, 600_000);
});

test('20,000 transactions in a burst', async () => {
	const feed = await viewer({ ...of('burst'), mode: 'feed' });
	const stream = await viewer({ ...of('burst'), keep: true });
	await sql(`do $$ begin for i in 1..20000 loop insert into burst values (i); commit; end loop; end $$`);
	await stream.until('every row', ({ told }) => told >= 20_000, 120_000);
	await feed.until('the counts', ({ counts }) => counts['burst INSERT'] === 20_000, 120_000);
	expect(stream.changes.map(({ key }) => Number(key!.id))).toEqual(
		Array.from({ length: 20_000 }, (_, i) => i + 1)
	);
	expect(feed.told).toBe(20_000);
});

test('a writer whose transaction stays open delays nobody else', async () => {
	const all = await viewer({ mode: 'stream' });
	await withClient(database().url, async (db) => {
		await db.query('begin');
		await db.query('insert into slow values (1)');
		// Each arrives while the other is still open, and soon.
		const delays: number[] = [];
		for (let i = 1; i <= 30; i++) {
			await sql(`insert into item values (${-i}, 'mark slow ${i}')`);
			const written = performance.now();
			await all.marked(`slow ${i}`);
			delays.push(performance.now() - written);
		}
		const median = delays.sort((a, b) => a - b)[15]!;
		console.log(`beside an open transaction: ${median.toFixed(1)} ms, ${delays[29]!.toFixed(1)} at most`);
		expect(median).toBeLessThan(100);
		expect(all.counts['slow INSERT']).toBeUndefined();
		await db.query('commit');
		await all.until('its own change', ({ counts }) => counts['slow INSERT'] === 1);
	});
});

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

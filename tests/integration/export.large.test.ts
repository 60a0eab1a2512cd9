/** A large log as a file: whole, in bounded memory, as fast as it is taken away, and no longer than someone takes it. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { writePast } from '../bench/past.ts';
import { useDatabase } from '../support/database.ts';
import { eventually } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';

const CHANGES = 100_000;
/** Rows of 60 kB; a page of a thousand would be 60 MB. */
const WIDE = 1_000;
/** Over what the server takes when it has read the log once. */
const GROWTH_MB = 80;

const database = useDatabase();
let rowcast: Rowcast;

beforeAll(async () => {
	await writePast(database().url, { changes: CHANGES, ticks: CHANGES / 5 });
	rowcast = await startRowcast({
		env: { DATABASE_URL: database().url, ROWCAST_RETENTION: '10d', ROWCAST_MAX_LOG: '64GB' }
	});
}, 120_000);
afterAll(() => rowcast?.stop());

const residentMB = () =>
	Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${rowcast.process.pid}/status`, 'utf8'))![1]) / 1024;

/** The most that the server takes meanwhile, over what it takes now. */
async function growthDuring(use: () => Promise<void>): Promise<number> {
	const before = residentMB();
	let most = before;
	const sampling = setInterval(() => (most = Math.max(most, residentMB())), 20);
	await use();
	clearInterval(sampling);
	return most - before;
}

async function open(query = '', signal?: AbortSignal): Promise<IncomingMessage> {
	const request = get(`${rowcast.url}/export${query}`, { signal, agent: false });
	const [response] = await once(request, 'response');
	return response;
}

/** Reads to the end; how many lines there are. */
async function drain(response: IncomingMessage, each: (line: string) => void = () => {}): Promise<number> {
	let lines = 0;
	for await (const line of createInterface({ input: response })) {
		each(line);
		lines++;
	}
	expect(response.complete).toBe(true);
	return lines;
}

test('it is complete and in order', async () => {
	const response = await open();
	expect(response.headers['x-rowcast-changes']).toBe(String(CHANGES));
	const seen = new Set<string>();
	let [tick, seq, misplaced] = [0n, 0n, 0];
	const lines = await drain(response, (line) => {
		const change = JSON.parse(line) as Change;
		seen.add(change.seq);
		const [nextTick, nextSeq] = [BigInt(change.tick), BigInt(change.seq)];
		if (nextTick < tick || (nextTick === tick && nextSeq <= seq)) misplaced++;
		[tick, seq] = [nextTick, nextSeq];
	});
	expect([lines, seen.size, misplaced]).toEqual([CHANGES, CHANGES, 0]);
});

test('readers that stop in the middle make the server wait, not grow; whoever goes on gets all of it', async () => {
	const growth = await growthDuring(async () => {
		const stopped = await Promise.all(Array.from({ length: 6 }, () => open()));
		for (const response of stopped) response.once('readable', () => response.read(1));
		expect(await drain(await open('?format=csv'))).toBe(CHANGES + 1);
		expect(stopped.every(({ complete }) => !complete)).toBe(true);
		const [first, ...others] = stopped;
		for (const response of others) response.destroy();
		expect(await drain(first!)).toBe(CHANGES);
	});
	expect(growth).toBeLessThan(GROWTH_MB);
});

test('wide rows come in smaller pages', async () => {
	await withClient(database().url, async (db) => {
		await db.query(`create table wide (id int primary key, a text, b text, c text, d text)`);
		await db.query(`select rowcast.watch('wide')`);
		await db.query(
			`insert into wide select n, t, t, t, t from generate_series(1, ${WIDE}) n, repeat('wide ', 3000) t`
		);
	});
	await eventually(
		() => fetch(`${rowcast.url}/export?table=public.wide&size`).then((response) => response.json()),
		(answer) => answer.changes === WIDE
	);
	const growth = await growthDuring(async () => {
		let bytes = 0;
		expect(await drain(await open('?table=public.wide'), (line) => (bytes += line.length))).toBe(WIDE);
		expect(bytes).toBeGreaterThan(WIDE * 60_000);
	});
	expect(growth).toBeLessThan(GROWTH_MB);
});

test('one who leaves takes the query along, in the database too', async () => {
	/** Counts of exports that run in the database; asked of another connection, for a transaction sees the first answer. */
	const counting = () =>
		withClient(database().url, async (db) => {
			const { rows } = await db.query(
				`select count(*)::int as n from pg_stat_activity where application_name = 'rowcast' and state = 'active' and datname = current_database()
				and query ~ 'sum.c.rows. from rowcast.tick_count'`
			);
			return rows[0].n as number;
		});
	await withClient(database().url, async (db) => {
		await db.query('begin; lock table rowcast.tick_count in access exclusive mode');
		const leaving = new AbortController();
		const left = open('', leaving.signal).catch((error: Error) => error.name);
		expect(await eventually(counting, (n) => n === 1)).toBe(1);
		leaving.abort();
		expect(await left).toBe('AbortError');
		// The lock is still held: nothing but the server can have ended it, and the statement's own limit is 10 s.
		expect(await eventually(counting, (n) => n === 0, 5_000)).toBe(0);
		await db.query('rollback');
	});
	const response = await open('?table=public.voucher');
	expect(await drain(response)).toBe(Number(response.headers['x-rowcast-changes']));
});

describe('more changes than a browser holds', () => {
	const large = useDatabase();
	test('a page that replays is refused, whatever condition is asked', async () => {
		const { url } = large();
		await withClient(url, (db) => db.query('create table big (id int)'));
		const server = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
		const ask = async (query: string) => (await fetch(`${server.url}/export?${query}`)).text();
		await withClient(url, (db) => db.query('insert into big select generate_series(1, 200001)'));
		await eventually(
			() => ask('format=csv&size'),
			(size) => size.includes('"changes":200001'),
			20_000
		);
		for (const query of ['&size', '', '&size&q=id>0', '&q=id>0'])
			expect(await ask(`format=html${query}`)).toContain(
				'A replay holds 200000 changes, and these are 200001'
			);
		expect(await ask('format=html&size&q=id>1')).toContain('"changes":200000');
		await server.stop();
	});
});

/**
 * An hour's writes in a minute and a half, into a log that holds a fraction of them: how large the log gets, what
 * writers feel of its turning over, and whether what was not recorded is told. Every writer would fail if it waited
 * longer than 100 ms for a lock.
 */
import type pg from 'pg';
import { withClient } from '../support/postgres.ts';
import { connect, totals } from '../support/rowcast.ts';
import { delay, execute, quantile, round, serve, withLab, type Tell } from './lab.ts';
import { tool, write } from './load.ts';

const LIMIT_MB = 32;
const RATE = 200;
const CHANGES = RATE * 3600;
const BATCH = 50;
const WINDOW = 10;
/** Of a machine that cannot write it in time, so many. */
const WINDOWS = 12;

export const title = `${CHANGES.toLocaleString('en')} changes, an hour of ${RATE}/s, with ${tool} at 8,000/s; limit of the log ${LIMIT_MB} MB
p99, longest: ms of a single-row update of a watched table; untouched: of one that is not watched, beside it`;

const TABLES = `
	create table entry (
		id bigint generated always as identity primary key, account int not null, amount numeric(12, 2) default 42,
		at timestamptz default now(), note text default 'a line of ordinary length');
	create table watched (id int primary key, n int);
	create table untouched (id int primary key, n int);
	insert into watched values (1, 0);
	insert into untouched values (1, 0)`;
const WATCH = { ROWCAST_WATCH: 'public.entry,public.watched', ROWCAST_MAX_LOG: `${LIMIT_MB}MB` };

const sizeOf = async (db: pg.ClientBase) =>
	Number(
		(
			await db.query(
				`select sum(pg_total_relation_size(format('rowcast.change_%s', k)::regclass)) as size from generate_series(0, 7) k`
			)
		).rows[0].size
	) /
	2 ** 20;

/** What single-row updates of a table take, one after another, until the writing is done. */
async function probe(url: string, table: string, done: () => boolean): Promise<number[]> {
	return withClient(url, async (db) => {
		const times: number[] = [];
		while (!done()) {
			const started = performance.now();
			await db.query({ name: 'probe', text: `update ${table} set n = n + 1` });
			times.push(performance.now() - started);
			await delay(10);
		}
		return times;
	});
}

async function largest(url: string, done: () => boolean): Promise<number> {
	return withClient(url, async (db) => {
		let size = 0;
		while (!done()) {
			size = Math.max(size, await sizeOf(db));
			await delay(100);
		}
		return size;
	});
}

interface Window {
	[column: string]: string | number;
}

/** The hour, in windows; and how many changes it made in all. */
async function hour(address: string, tell: Tell): Promise<{ windows: Window[]; written: number }> {
	const url = `${address}?options=${encodeURIComponent('-c lock_timeout=100ms')}`;
	const windows: Window[] = [];
	let written = 0;
	for (let i = 0; i < WINDOWS && written < CHANGES; i++) {
		let over = false;
		const done = () => over;
		const [{ transactions }, watched, untouched, size] = await Promise.all([
			write({
				url,
				connections: 4,
				seconds: WINDOW,
				rate: 8_000 / BATCH,
				statements: [`insert into entry (account) select :id + i from generate_series(1, ${BATCH}) i`],
				ids: 1_000_000
			}).finally(() => (over = true)),
			probe(url, 'watched', done),
			probe(url, 'untouched', done),
			largest(address, done)
		]);
		written += transactions * BATCH + watched.length;
		windows.push({
			seconds: (i + 1) * WINDOW,
			changes: transactions * BATCH + watched.length,
			'log MB': round(size, 1),
			p99: round(quantile(watched, 0.99), 1),
			longest: round(quantile(watched, 1), 1),
			untouched: round(quantile(untouched, 0.99), 1),
			'its longest': round(quantile(untouched, 1), 1)
		});
		tell(`${(i + 1) * WINDOW} s: ${written} changes, log ${size.toFixed(1)} MB`);
	}
	return { windows, written };
}

async function attended(url: string, tell: Tell): Promise<Window[]> {
	const server = await serve(url, WATCH);
	const viewer = await connect(server.url);
	try {
		await viewer.subscribe({ limit: 1 });
		const { windows, written } = await hour(url, tell);
		const counted = () =>
			Object.values(totals(viewer.ticks)).reduce(
				(sum, { INSERT = 0, UPDATE = 0 }) => sum + INSERT + UPDATE,
				0
			);
		await viewer
			.until('all that was written', () => counted() >= written || gapsOf(viewer.gaps) > 0)
			.catch((err) => tell(err.message));
		tell(`With a server: ${written} written, ${counted()} told, ${gapsOf(viewer.gaps)} gaps told.`);
		return windows.map((window) => ({ log: 'with a server', ...window }));
	} finally {
		viewer.close();
		await server.stop();
	}
}

async function unattended(url: string, tell: Tell): Promise<Window[]> {
	await (await serve(url, WATCH)).stop();
	const [before] = await execute(
		url,
		'select epoch, (select max(n) from rowcast.tick) as tick from rowcast.state'
	);
	const { windows, written } = await hour(url, tell);
	const [{ count } = { count: '0' }] = await execute(url, 'select count(*) from rowcast.change');
	const server = await serve(url, WATCH);
	const viewer = await connect(server.url);
	try {
		const { gap } = await viewer.subscribe({ after: { epoch: before!.epoch!, tick: before!.tick! } });
		const told = () => gapsOf(gap ? [gap, ...viewer.gaps] : viewer.gaps);
		await viewer.until('the gap', () => told() > 0);
		tell(`Without a server: ${written} written, ${count} recorded, ${told()} gaps told by the next server.`);
	} finally {
		viewer.close();
		await server.stop();
	}
	return windows.map((window) => ({ log: 'without', ...window }));
}

const gapsOf = (gaps: { reason: string }[]) => gaps.filter(({ reason }) => reason === 'capture').length;

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const rows = [
			...(await attended(await lab.database('attended', TABLES), tell)),
			...(await unattended(await lab.database('unattended', TABLES), tell))
		];
		return { tool, limit: LIMIT_MB, rows };
	});
}

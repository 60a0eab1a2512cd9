/** The log as the server's own modules see it, without the server: for tests of capture and ticks. */
import type pg from 'pg';
import pino from 'pino';
import { MAX_CHANGES, type Change, type Gap, type TableInfo } from '../../src/lib/protocol.ts';
import { makeCatalog } from '../../src/lib/server/catalog.ts';
import { makeFollower } from '../../src/lib/server/follower.ts';
import { migrate } from '../../src/lib/server/migrate.ts';
import { makePool } from '../../src/lib/server/pool.ts';
import { makeReader } from '../../src/lib/server/reader.ts';
import type { Config, Follower, Reader, Tick } from '../../src/lib/server/types.ts';
import { withClient } from './postgres.ts';

const silent = pino({ level: 'silent' });

/** Installs Rowcast and watches every table. */
export async function watchAll(url: string): Promise<void> {
	await withClient(url, async (db) => {
		await migrate(db);
		await db.query('select rowcast.watch_all()');
	});
}

export interface Log {
	reader: Reader;
	/** What was committed since the last call, in order of seq. */
	changes(): Promise<Change[]>;
	close(): Promise<void>;
}

/** Reads the log of a database that no server follows. */
export async function openLog(url: string): Promise<Log> {
	const pool = makePool({ connectionString: url }, silent);
	const catalog = makeCatalog(pool);
	const reader = makeReader(pool, catalog);
	const head = async () => BigInt((await pool.query('select head from rowcast.advance()')).rows[0].head);
	let after = await head();
	return {
		reader,
		async changes() {
			await catalog.refresh();
			const until = await head();
			const changes = await readAll(reader, after, until);
			after = until;
			return changes.sort(bySeq);
		},
		close: () => pool.end()
	};
}

/** Every change of the ticks (after, until]. */
export async function readAll(reader: Reader, after: bigint, until: bigint): Promise<Change[]> {
	const all: Change[] = [];
	let from: Parameters<Reader['changes']>[0]['from'];
	do {
		const page = await reader.changes({
			filter: {},
			after,
			until,
			order: 'asc',
			limit: MAX_CHANGES,
			...(from && { from })
		});
		all.push(...page.changes);
		from = page.next ?? undefined;
	} while (from);
	return all;
}

const bySeq = (a: Change, b: Change) => (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1);

export interface Following {
	follower: Follower;
	ticks: Tick[];
	gaps: Gap[];
	/** As last told. */
	tables: TableInfo[];
	/** Waits until the condition holds, looked at after everything that arrives. */
	until(what: string, condition: (following: Following) => boolean, timeout?: number): Promise<void>;
	close(): Promise<void>;
}

/** Follows a database as a server does, with one viewer. */
export async function follow(
	url: string,
	config: Partial<Pick<Config, 'watch' | 'redact' | 'retentionMs' | 'maxLogBytes'>> = {}
): Promise<Following> {
	const database = { connectionString: url };
	const pool = makePool(database, silent);
	const waiting = new Set<() => void>();
	const look = () => waiting.forEach((check) => check());
	const follower = makeFollower({
		database,
		pool,
		config: { watch: 'all', redact: [], retentionMs: 3_600_000, maxLogBytes: 2 ** 30, ...config },
		log: silent,
		viewers: () => 1,
		wanted: () => MAX_CHANGES,
		events: {
			ticks(ticks) {
				following.ticks.push(...ticks);
				look();
			},
			tables(tables) {
				following.tables = tables;
				look();
			},
			gap(gap) {
				following.gaps.push(gap);
				look();
			},
			state: look,
			epoch: look
		}
	});
	const following: Following = {
		follower,
		ticks: [],
		gaps: [],
		tables: [],
		until: (what, condition, timeout = 20_000) =>
			new Promise((resolve, reject) => {
				const timer = setTimeout(() => {
					waiting.delete(check);
					reject(new Error(`Waited ${timeout} ms for ${what}; the head is ${follower.head}`));
				}, timeout);
				const check = () => {
					if (!condition(following)) return;
					clearTimeout(timer);
					waiting.delete(check);
					resolve();
				};
				waiting.add(check);
				check();
			}),
		async close() {
			await follower.close();
			await pool.end();
		}
	};
	await follower.start();
	return following;
}

/** Asks again until the answer is right, at most so long; the last answer either way. */
export async function eventually<T>(
	ask: () => Promise<T>,
	right: (answer: T) => boolean,
	ms = 15_000
): Promise<T> {
	const deadline = Date.now() + ms;
	for (;;) {
		const answer = await ask();
		if (right(answer) || Date.now() > deadline) return answer;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

/** Several connections, closed after use. */
export async function withClients<T>(
	url: string,
	n: number,
	use: (clients: pg.Client[]) => Promise<T>
): Promise<T> {
	if (n === 0) return use([]);
	return withClient(url, (client) => withClients(url, n - 1, (rest) => use([client, ...rest])));
}

/**
 * Work whose every change can be told from the rows that it leaves behind, and the reckoning of what a viewer saw
 * against them.
 *
 * A row of `item` counts its own versions: inserted at 1, each update adds one; whoever deletes it writes the last
 * version into `grave` in the same transaction. So the tables alone say exactly which changes were committed, and in
 * which order each row had them: whatever the writers believe, crashes and lost acknowledgements included.
 */
import pg from 'pg';
import type { Change } from '../../src/lib/protocol.ts';
import type { Random } from '../../src/lib/server/demo/random.ts';
import { withClient } from './postgres.ts';

/** Rows that all writers share; the others belong to one writer each. */
const SHARED = 8;

export async function createLedger(url: string): Promise<void> {
	await withClient(url, (db) =>
		db.query(`
			create table item (id bigint primary key generated always as identity, owner int not null, v int not null default 1, note text);
			create index on item (owner, id);
			create table grave (id bigint primary key, v int not null)`)
	);
}

/** After Rowcast watches: the shared rows are part of the reckoning. */
export async function openLedger(url: string): Promise<void> {
	await withClient(url, (db) =>
		db.query(`insert into item (owner, note) select 0, 'shared' from generate_series(1, $1)`, [SHARED])
	);
}

export interface Writers {
	/** Transactions that were committed, as far as their writers know. */
	readonly committed: number;
	/** Lets each finish what it has under way. */
	stop(): Promise<void>;
}

export interface WritersOptions {
	random: Random;
	writers?: number;
	/** Commits return before they are durable. */
	asynchronous?: boolean;
	/** Pause of each writer between transactions, in ms on average. */
	pauseMs?: number;
	/** Now and then a transaction stays open for so long, in ms. */
	longMs?: number;
}

/** Starts writers, who connect again whenever they are cut off. */
export function startWriters(
	url: string,
	{ random, writers = 4, asynchronous = false, pauseMs = 15, longMs = 0 }: WritersOptions
): Writers {
	let running = true;
	let committed = 0;

	async function work(owner: number): Promise<void> {
		while (running) {
			const db = new pg.Client({
				connectionString: url,
				connectionTimeoutMillis: 2000,
				query_timeout: 20_000
			});
			// Told by the query that it breaks.
			db.on('error', () => {});
			try {
				await db.connect();
				if (asynchronous) await db.query('set synchronous_commit = off');
				while (running) {
					await transaction(db, owner);
					await new Promise((resolve) => setTimeout(resolve, random.next() * 2 * pauseMs));
				}
			} catch {
				await new Promise((resolve) => setTimeout(resolve, 50));
			} finally {
				await Promise.race([db.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 200))]);
			}
		}
	}

	async function transaction(db: pg.Client, owner: number): Promise<void> {
		const chance = random.next();
		if (chance < 0.4) {
			// Not in a block of its own: the commonest case.
			await db.query(...step(owner, random));
		} else {
			await db.query('begin');
			for (let left = random.between(1, 4); left > 0; left--) {
				if (random.next() < 0.25) {
					await db.query('savepoint s');
					await db.query(...step(owner, random));
					await db.query(random.next() < 0.5 ? 'rollback to s' : 'release s');
				} else await db.query(...step(owner, random));
			}
			if (longMs > 0 && random.next() < 0.03) await new Promise((resolve) => setTimeout(resolve, longMs));
			// Last, because nobody can wait for another in a circle then.
			else if (random.next() < 0.4)
				await db.query('update item set v = v + 1 where id = $1 and owner = 0', [random.between(1, SHARED)]);
			await db.query(random.next() < 0.85 ? 'commit' : 'rollback');
		}
		committed++;
	}

	const done = Promise.all(Array.from({ length: writers }, (_, i) => work(i + 1)));
	return {
		get committed() {
			return committed;
		},
		async stop() {
			running = false;
			await done;
		}
	};
}

/** One statement on rows that this writer alone writes. */
function step(owner: number, random: Random): [string, unknown[]] {
	const own = '(select id from item where owner = $1 and id >= $2 order by id limit $3)';
	const some = [owner, random.between(1, 500), random.next() < 0.05 ? 20 : 1];
	const chance = random.next();
	if (chance < 0.35)
		return [
			`insert into item (owner, note) select $1, $2 from generate_series(1, $3)`,
			[owner, `by ${owner}`, random.next() < 0.05 ? 50 : 1]
		];
	if (chance < 0.85) return [`update item set v = v + 1 where id in ${own}`, some];
	return [
		`with gone as (delete from item where id in ${own} returning id, v) insert into grave select * from gone`,
		some
	];
}

/** Writes one row that the viewers wait for: what was committed before it has reached them when it has. */
export async function mark(url: string, note: string): Promise<void> {
	await withClient(url, (db) => db.query('insert into item (owner, note) values (-1, $1)', [`mark ${note}`]));
}

export interface Reckoning {
	/** Committed and not seen. */
	lost: string[];
	/** Seen more than once. */
	doubled: string[];
	/** Seen after a later change of the same row, or at a state that the row never had. */
	misordered: string[];
	/** Seen and never committed. */
	phantom: string[];
}

export const CLEAN: Reckoning = { lost: [], doubled: [], misordered: [], phantom: [] };

/** What was seen, in the order of arrival, against the rows of the database. */
export async function reckon(url: string, seen: Change[]): Promise<Reckoning> {
	const { rows } = await withClient(url, (db) =>
		db.query<{ id: string; v: number; gone: boolean }>(
			'select id, v, false as gone from item union all select id, v, true from grave'
		)
	);
	const expected = new Set<string>();
	for (const { id, v, gone } of rows) {
		for (let version = 1; version <= v; version++) expected.add(`item ${id} ${version}`);
		if (gone) expected.add(`item ${id} gone`).add(`grave ${id} 1`);
	}
	const result: Reckoning = { lost: [], doubled: [], misordered: [], phantom: [] };
	const found = new Set<string>();
	const last = new Map<string, { version: number; seq: bigint }>();
	for (const { schema, table, op, key, before, after, seq } of seen) {
		if (schema !== 'public' || (table !== 'item' && table !== 'grave') || op === 'REFERENCE') continue;
		const row = `${table} ${key?.id}`;
		const now = after === null ? null : (JSON.parse(after) as { v: number });
		const was = before === null ? null : (JSON.parse(before) as { v: number });
		const event = `${row} ${op === 'DELETE' ? 'gone' : table === 'grave' ? 1 : now?.v}`;
		if (!expected.has(event)) result.phantom.push(event);
		if (found.has(event)) {
			result.doubled.push(event);
			continue;
		}
		found.add(event);
		const version = op === 'DELETE' ? Infinity : (now?.v ?? 0);
		const previous = last.get(row);
		const late = previous !== undefined && (previous.version >= version || previous.seq >= BigInt(seq));
		const torn = op === 'UPDATE' && was?.v !== version - 1;
		if (late || torn) result.misordered.push(event);
		last.set(row, { version, seq: BigInt(seq) });
	}
	for (const event of expected) if (!found.has(event)) result.lost.push(event);
	return result;
}

/** What is asked of a log of 50,000 changes is found by its indexes, inside of functions too, as PostgreSQL counted. */
import type pg from 'pg';
import pino from 'pino';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeCatalog } from '../../src/lib/server/catalog.ts';
import { makePool } from '../../src/lib/server/pool.ts';
import { STEP } from '../../src/lib/server/queries.ts';
import { makeReader } from '../../src/lib/server/reader.ts';
import type { Reader } from '../../src/lib/server/types.ts';
import { writePast } from '../bench/past.ts';
import { majors, useDatabase } from '../support/database.ts';
import { eventually } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';

const CHANGES = 50_000;
const TICKS = 5_000;
const DAY = 86_400_000;
const book = { schema: 'public', table: 'book' };
const ago = (hours: number) => new Date(Date.now() - (hours * DAY) / 24).toISOString();

/** What may be asked, and how many changes it may fetch. */
const QUESTIONS: Record<string, [most: number, ask: (reader: Reader, pool: pg.Pool) => Promise<unknown>]> = {
	'a tick': [500, (reader) => reader.ticks(4_000n, 4_001n, 1_000)],
	'forty ticks': [2_000, (reader) => reader.ticks(2_000n, 2_040n, 1_000)],
	"the leader's step": [500, (_, pool) => pool.query(STEP, ['0', 100])],
	'the newest page': [5_000, (reader) => past(reader, {}, 'desc')],
	'the oldest page': [5_000, (reader) => past(reader, {}, 'asc')],
	'the newest page of a table': [5_000, (reader) => past(reader, { tables: [book] }, 'desc')],
	'a page of a table without changes': [
		100,
		(reader) => past(reader, { tables: [{ schema: 'public', table: 'none' }] }, 'desc')
	],
	'a condition that nothing meets': [
		2 * CHANGES,
		(reader) => past(reader, { where: 'title:"no such title"' }, 'desc')
	],
	counts: [0, (reader) => reader.counts({}, 0n, BigInt(TICKS))],
	'rates of an hour': [0, (reader) => reader.rates({ from: ago(13), to: ago(12), buckets: 60, filter: {} })],
	'rates of a day': [0, (reader) => reader.rates({ from: ago(24), to: ago(0), buckets: 100, filter: {} })],
	'what matches': [2 * CHANGES, (reader) => reader.matching({ where: 'price>50' }, 0n, BigInt(TICKS))],
	'rates of what matches': [
		2 * CHANGES,
		(reader) => reader.rates({ from: ago(24), to: ago(0), buckets: 100, filter: { where: 'price>50' } })
	],
	'who wrote a tick': [10, async (reader) => reader.alone((await reader.ticks(9n, 10n, 1))[0]!.changes)],
	// The leaf that writers append to has no index of rows, which would cost them: it is read by that of transactions.
	"a row's life": [10_000, (reader) => reader.row({ ...book, key: { id: '7' } })],
	"a row's life, by what is no key": [
		2 * CHANGES,
		(reader) => reader.row({ ...book, key: { isbn: '978-7' } })
	]
};

const past = (reader: Reader, filter: object, order: 'asc' | 'desc') =>
	reader.changes({ filter, after: 0n, until: BigInt(TICKS), order, limit: 200 });

describe.each(majors().filter((major) => [18, 13].includes(major)))('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	beforeAll(async () => {
		await writePast(database().url, { changes: CHANGES, ticks: TICKS });
		await withClient(database().url, async (db) => {
			await db.query('create table sentinel ()');
			for (let leaf = 0; leaf < 7; leaf++) await db.query('select rowcast.index_leaf()');
			await db.query('select rowcast.roll_up()');
			await db.query('select from sentinel');
		});
		await eventually(counted, ({ sentinel }) => sentinel > 0);
	});

	async function counted() {
		const { rows } = await withClient(database().url, (db) =>
			db.query(
				`select sum(seq_scan) filter (where relname = 'sentinel') as sentinel,
					coalesce(sum(seq_scan) filter (where relname ~ '^change_\\d$'), 0) as scans,
					coalesce(sum(idx_tup_fetch) filter (where relname ~ '^change_\\d$'), 0) as fetched
				from pg_stat_user_tables`
			)
		);
		const [sentinel, scans, fetched] = [rows[0].sentinel, rows[0].scans, rows[0].fetched].map(Number);
		return { sentinel: sentinel!, scans: scans!, fetched: fetched! };
	}

	test.each(Object.entries(QUESTIONS))('%s', async (_, [most, ask]) => {
		const before = await counted();
		const pool = makePool({ connectionString: database().url }, pino({ level: 'silent' }));
		const catalog = makeCatalog(pool);
		await catalog.refresh();
		await ask(makeReader(pool, catalog), pool);
		// One connection did all of it; its counts arrive together.
		expect(pool.totalCount).toBe(1);
		await pool.query('select from sentinel');
		await pool.end();
		const after = await eventually(counted, ({ sentinel }) => sentinel > before.sentinel);
		expect(after.sentinel).toBe(before.sentinel + 1);
		expect(after.scans).toBe(before.scans);
		expect(after.fetched - before.fetched).toBeLessThanOrEqual(most);
	});
});

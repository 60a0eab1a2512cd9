import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { Change, Count } from '../../src/lib/protocol.ts';
import { majors, useDatabase } from '../support/database.ts';
import { eventually, follow, openLog, readAll, watchAll, withClients } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast } from '../support/rowcast.ts';
import { makeTables, pgbench, run, statistics, TABLES } from '../support/tpcb.ts';

type Totals = Record<string, Record<string, number>>;

function sum(counts: Pick<Count, 'table' | 'op' | 'rows'>[]): Totals {
	const totals: Totals = Object.fromEntries(
		TABLES.map((table) => [table, { INSERT: 0, UPDATE: 0, DELETE: 0 }])
	);
	for (const { table, op, rows } of counts) totals[table]![op]! += rows;
	return totals;
}

const sumOf = (changes: Change[]) => sum(changes.map((change) => ({ ...change, rows: 1 })));

/** What PostgreSQL itself counted since `before`; its statistics arrive a little late. */
async function written(url: string, before: Totals, expected: Totals): Promise<Totals> {
	const delta = async () => {
		const now = await statistics(url);
		return Object.fromEntries(
			TABLES.map((table) => [
				table,
				Object.fromEntries(Object.entries(now[table]!).map(([op, n]) => [op, n - before[table]![op]!]))
			])
		);
	};
	return eventually(delta, (now) => JSON.stringify(now) === JSON.stringify(expected), 10_000);
}

/** Each row's history is a chain: a change begins with what the one before it left. */
function expectChains(changes: Change[]) {
	const last = new Map<string, Change>();
	for (const change of changes.toSorted((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1))) {
		if (change.key === null) continue;
		const row = JSON.stringify([change.schema, change.table, change.key]);
		const previous = last.get(row);
		if (previous) {
			if (change.before !== previous.after)
				expect(change, `after ${JSON.stringify(previous)}`).toMatchObject({ before: previous.after });
			if (BigInt(change.tick) < BigInt(previous.tick))
				expect.fail(`${row} goes back in time at ${change.seq}`);
		}
		last.set(row, change);
	}
}

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	test.each((['pgbench', 'pg'] as const).filter((by) => by === 'pg' || pgbench))(
		'every row that TPC-B writes from 8 connections, by %s, is delivered and counted once',
		async (by) => {
			const { url } = database();
			if (by === 'pgbench' || !pgbench) await withClient(url, makeTables);
			const following = await follow(url);
			const start = following.follower.head;
			const before = await settled(url);

			await run(by, url, 8, 4);

			const mark = `the last (${by})`;
			await withClient(url, (db) =>
				db.query('update pgbench_branches set filler = $1 where bid = 1', [mark])
			);
			const isLast = ({ after }: Change) => after?.includes(mark) === true;
			await following.until('the last change', ({ ticks }) =>
				ticks.some((tick) => tick.changes.some(isLast))
			);
			const { ticks, follower } = following;

			expect(ticks.map(({ tick }) => tick)).toEqual(ticks.map((_, i) => start + 1n + BigInt(i)));
			const counted = sum(ticks.flatMap(({ counts }) => counts));
			const delivered: Change[] = [];
			for (const { tick, changes, complete } of ticks)
				delivered.push(...(complete ? changes : await readAll(follower.reader, tick - 1n, tick)));
			expect(sumOf(delivered)).toEqual(counted);
			expect(await written(url, before, counted)).toEqual(counted);
			expect(counted.pgbench_history!.INSERT).toBeGreaterThan(100);
			expect(new Set(delivered.map(({ seq }) => seq)).size, 'a seq is unique').toBe(delivered.length);
			expectChains(delivered);
			expect(sumOf(await readAll(follower.reader, start, follower.head)), 'the same when read again').toEqual(
				counted
			);
			await following.close();
		}
	);

	test('a transaction that stays open with an early xid holds up nobody, and arrives when it commits', async () => {
		const { url } = database();
		await withClient(url, (db) => db.query('create table note (id int primary key, text text)'));
		const following = await follow(url);
		const notes = () =>
			following.ticks.flatMap(({ changes }) => changes).filter(({ table }) => table === 'note');
		await withClients(url, 5, async ([early, ...others]) => {
			await early!.query('begin');
			await early!.query(`insert into note values (0, 'early')`);
			await Promise.all(
				others.map(async (db, i) => {
					for (let k = 1; k <= 100; k++)
						await db.query('insert into note values ($1, $2)', [i * 100 + k, 'other']);
				})
			);
			await following.until('what the others wrote', () => notes().length >= 400);
			expect(notes().some(({ after }) => after!.includes('early'))).toBe(false);
			await early!.query(`update note set text = 'early, and changed' where id = 0`);
			await early!.query('commit');
			await following.until('what the early one wrote', () => notes().length >= 402);
		});
		const early = notes().filter(({ after }) => after!.includes('early'));
		expect(early.map(({ op }) => op)).toEqual(['INSERT', 'UPDATE']);
		expect(new Set(early.map(({ tx }) => tx)).size).toBe(1);
		expect(BigInt(early[0]!.tx)).toBeLessThan(BigInt(notes()[0]!.tx));
		expectChains(notes());
		await following.close();
	});
});

/** Whether this database's leader has the lock for which writers ring: other tests share the cluster. */
async function sleeping(db: pg.ClientBase): Promise<boolean> {
	const { rows } = await db.query(
		`select count(*)::int as n from pg_locks where locktype = 'advisory' and classid = 1920103279 and objid = 1
			and database = (select oid from pg_database where datname = current_database())`
	);
	return rows[0].n === 1;
}

/** 300 transactions as fast as the database can, whatever a round trip takes: 300 a second ring thick. */
async function burst(db: pg.ClientBase, write: string): Promise<void> {
	await db.query(`do $$ begin for k in 1..300 loop ${write}; commit; end loop; end $$`);
}

test('what was being written when the leader went to sleep is shown without a ring, and without the safety poll', async () => {
	const { url } = doorbellDatabase();
	await withClients(url, 2, async ([db, writer]) => {
		await db!.query('create table bell (id int primary key)');
		const following = await follow(url);
		const latencies: number[] = [];
		for (let id = 1; id <= 6; id++) {
			// Awake: many changes.
			do await burst(db!, 'insert into bell select 10 + count(*) from bell');
			while (await sleeping(db!));
			// Once all of that has its tick, one that finds the lock free, and has the newest xid of all.
			await new Promise((resolve) => setTimeout(resolve, 100));
			await writer!.query(`begin; insert into bell values (${id})`);
			await eventually(() => sleeping(db!), Boolean);
			await new Promise((resolve) => setTimeout(resolve, 300));
			const committed = performance.now();
			await writer!.query('commit');
			await following.until('the change', ({ ticks }) =>
				ticks.some(({ changes }) => changes.some(({ key }) => key?.id === String(id)))
			);
			latencies.push(performance.now() - committed);
		}
		await following.close();
		expect(latencies.toSorted((a, b) => a - b)[4], `${latencies.map(Math.round)}`).toBeLessThan(300);
	});
});

test('who writes much is not asked to ring for as long as somebody else’s transaction keeps the leader from its sleep', async () => {
	const { url } = doorbellDatabase();
	await withClients(url, 2, async ([db, writer]) => {
		await db!.query('create table thick (id int)');
		const following = await follow(url);
		await writer!.query('begin; insert into thick values (0)');
		await eventually(() => sleeping(db!), Boolean);
		let written = 0;
		for (; written < 10_000 && (await sleeping(db!)); written += 300)
			await burst(db!, 'insert into thick values (1)');
		expect(written).toBeLessThan(10_000);
		await writer!.query('commit');
		await following.close();
	});
});

/** The statistics once they no longer change. */
async function settled(url: string): Promise<Totals> {
	let last = '';
	return eventually(
		async () => {
			await new Promise((resolve) => setTimeout(resolve, 300));
			return statistics(url);
		},
		(now) => last === (last = JSON.stringify(now))
	);
}

const doorbellDatabase = useDatabase();

describe('through the real server and its socket', () => {
	const database = useDatabase();

	test('a viewer of TPC-B from 8 connections is sent counts that equal what PostgreSQL counted, to the row', async () => {
		const { url } = database();
		await withClient(url, makeTables);
		const rowcast = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
		const feed = await connect(rowcast.url);
		const stream = await connect(rowcast.url);
		await feed.subscribe({ limit: 50 });
		await stream.subscribe({ mode: 'stream' });
		const before = await settled(url);

		await run(pgbench ? 'pgbench' : 'pg', url, 8, 4);

		await withClient(url, (db) => db.query(`update pgbench_branches set filler = 'the last' where bid = 1`));
		const arrived = ({ changes }: { changes: Change[] }) =>
			changes.some(({ after }) => after?.includes('the last'));
		await stream.until('the last change', arrived, 30_000);
		await feed.until('the last change', arrived, 30_000);

		const counted = sum(feed.ticks.flatMap(({ counts }) => counts));
		expect(sum(stream.ticks.flatMap(({ counts }) => counts))).toEqual(counted);
		expect(sumOf(stream.changes)).toEqual(counted);
		expect(feed.ticks.reduce((n, { changes, omitted }) => n + changes.length + omitted, 0)).toBe(
			stream.changes.length
		);
		expect(await written(url, before, counted)).toEqual(counted);
		expectChains(stream.changes);
		for (const viewer of [feed, stream]) {
			const steps = viewer.ticks.filter(({ more }) => !more);
			steps.slice(1).forEach(({ from }, i) => expect(from).toBe(steps[i]!.tick));
			viewer.close();
		}
		expect(await rowcast.stop()).toBe(0);
	});

	test('who wrote a large tick is not taken for who wrote that number in another log', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await db.query('create table large (id int primary key)');
			await watchAll(url);
			const log = await openLog(url);
			await db.query('insert into large select generate_series(1, 6000)');
			expect(await log.changes()).toHaveLength(6_000);
			const { head } = await log.reader.bounds();
			await db.query(`truncate rowcast.change, rowcast.tick, rowcast.tick_count;
				insert into rowcast.tick values (${head - 1n}, clock_timestamp(), pg_current_snapshot());
				update rowcast.state set epoch = gen_random_uuid()`);
			await db.query('insert into large select generate_series(6001, 12000)');
			await db.query('select rowcast.advance()');
			expect(await log.reader.bounds()).toMatchObject({ head });
			expect(await readAll(log.reader, head - 1n, head)).toHaveLength(6_000);
			await log.close();
		});
	});
});

import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { majors, useDatabase } from '../support/database.ts';
import { eventually, follow, openLog, readAll, watchAll, withClients } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';

const MB = 2 ** 20;

const sizeOf = async (db: pg.ClientBase) =>
	Number(
		(
			await db.query(
				`select sum(pg_total_relation_size(c.oid)) as size from pg_class c where relnamespace = 'rowcast'::regnamespace and relname ~ '^change_\\d$'`
			)
		).rows[0].size
	);

/** A row that takes about this much in the log. */
const row = (bytes: number) => randomBytes(bytes / 2).toString('hex');

describe.each(majors().filter((major) => [18, 13].includes(major)))('the log on PostgreSQL %i', (major) => {
	const attended = useDatabase({ major });
	const unattended = useDatabase({ major });
	const old = useDatabase({ major });
	const overtaken = useDatabase({ major });

	test('keeps its size under a server, blocks no writer for 100 ms, and never cuts a tick', async () => {
		const { url } = attended();
		await withClient(url, (db) =>
			db.query('create table load (id bigint generated always as identity, text text)')
		);
		const following = await follow(url, { maxLogBytes: 8 * MB });
		let largest = 0;
		let written = 0;
		await withClients(url, 4, async (clients) => {
			const done = () => written * 2_000 > 24 * MB;
			const [observer, ...writers] = clients;
			await Promise.all([
				...writers.map(async (db, i) => {
					// An error for whoever waits longer for any lock.
					await db.query(`set lock_timeout = '100ms'`);
					while (!done()) {
						await db.query('begin');
						for (let k = 0; k <= i; k++, written++)
							await db.query('insert into load (text) values ($1)', [row(2_000)]);
						await db.query('commit');
						await new Promise((resolve) => setTimeout(resolve, 2 * (i + 1)));
					}
				}),
				(async () => {
					while (!done()) {
						largest = Math.max(largest, await sizeOf(observer!));
						await new Promise((resolve) => setTimeout(resolve, 100));
					}
				})()
			]);
		});
		expect(largest).toBeLessThan(8 * MB * 1.15);
		const { oldest, head } = await following.follower.reader.bounds();
		expect(oldest, 'it was pruned').toBeGreaterThan(0n);
		const { reader } = following.follower;
		for (let tick = oldest + 1n; tick <= head; tick += 1n + (head - oldest) / 60n) {
			const counts = await reader.counts({}, tick - 1n, tick);
			const { length } = await readAll(reader, tick - 1n, tick);
			// Pruning goes on beside it.
			if (tick <= (await reader.bounds()).oldest) continue;
			expect(length, `tick ${tick}`).toBe(counts.reduce((sum, { rows }) => sum + rows, 0));
		}
		const captured = following.ticks.flatMap(({ counts }) => counts).reduce((sum, { rows }) => sum + rows, 0);
		if (following.gaps.every(({ reason }) => reason !== 'capture'))
			expect(captured, 'all that was written: no gap was told').toBe(written);
		else expect(captured).toBeLessThan(written);
		await following.close();
	});

	test('keeps its size without a server: no write fails, a server tells the gap, and records again', async () => {
		const { url } = unattended();
		await withClient(url, async (db) => {
			await db.query('create table load (id bigint generated always as identity primary key, text text)');
			await watchAll(url);
			await db.query(`select rowcast.configure('max_log', '${4 * MB}')`);
			for (let i = 0; i < 600; i++)
				await db.query(
					'insert into load (text) values ($1), ($2), ($3), ($4), ($5), ($1), ($2), ($3), ($4), ($5)',
					[1, 2, 3, 4, 5].map(() => row(2_000))
				);
			await db.query('truncate load');
			expect(await sizeOf(db)).toBeLessThan(4 * MB * 1.15);
			expect(await sizeOf(db)).toBeGreaterThan(MB);

			const following = await follow(url, { maxLogBytes: 4 * MB });
			await following.until('the gap', ({ gaps }) => gaps.some(({ reason }) => reason === 'capture'));
			const recorded = async () => {
				await db.query(`insert into load (text) values ('again')`);
				return following.ticks.some(({ changes }) => changes.some(({ after }) => after?.includes('again')));
			};
			expect(await eventually(recorded, Boolean, 10_000), 'it records again').toBe(true);
			const gap = following.gaps.find(({ reason }) => reason === 'capture')!;
			const first = following.ticks.find(({ changes }) =>
				changes.some(({ after }) => after?.includes('again'))
			)!;
			expect(
				first.tick,
				'what is recorded again lies at the end of the gap or beyond'
			).toBeGreaterThanOrEqual(BigInt(gap.until));
			await following.close();
		});
	});

	test('a transaction that was turned away and commits long after lies in a gap too', async () => {
		const { url } = overtaken();
		await withClient(url, (db) =>
			db.query('create table load (id bigint generated always as identity primary key, text text)')
		);
		await watchAll(url);
		await withClients(url, 2, async ([db, late]) => {
			await db!.query(`select rowcast.configure('max_log', '${MB}')`);
			await late!.query('begin');
			await late!.query(`insert into load (text) values ('early')`);
			for (let i = 0; i < 200; i++)
				await db!.query('insert into load (text) values ($1), ($1), ($1), ($1), ($1)', [row(4_000)]);
			await late!.query(`insert into load (text) values ('turned away')`);

			const following = await follow(url, { maxLogBytes: 4 * MB });
			const captureGaps = () => following.gaps.filter(({ reason }) => reason === 'capture');
			await following.until('the gap', () => captureGaps().length > 0);
			const settling = async () =>
				(await db!.query('select gap_barrier is not null as settling from rowcast.state')).rows[0].settling;
			expect(await eventually(settling, Boolean, 20_000), 'it records again').toBe(true);
			// Ticks that lie behind the gap as it was told.
			const { until } = captureGaps().at(-1)!;
			const tick = async () => {
				await db!.query(`insert into load (text) values ('again')`);
				return following.follower.head;
			};
			const reached = await eventually(tick, (head) => head > BigInt(until) + 2n, 20_000);
			await late!.query('commit');
			// The tick in which it became visible is one after those that were reached.
			await following.until('the rest of the gap', () =>
				captureGaps().some((gap) => BigInt(gap.after) <= BigInt(until) && BigInt(gap.until) > reached)
			);
			await following.close();
		});
	});

	test('keeps changes as long as it should, also without a server', async () => {
		const { url } = old();
		await withClient(url, async (db) => {
			await db.query('create table load (id int primary key)');
			await watchAll(url);
			await db.query(`select rowcast.configure('retention', '3 seconds')`);
			const log = await openLog(url);
			const started = Date.now();
			await db.query('insert into load values (1)');
			expect(await log.changes()).toHaveLength(1);
			await eventually(
				async () => Date.now(),
				(now) => now > started + 3_500
			);
			await db.query('insert into load values (2)');
			expect(await log.changes(), 'nobody moved on in time').toHaveLength(0);
			await log.close();
			const following = await follow(url, { retentionMs: 3_000 });
			await following.until('the gap', ({ gaps }) => gaps.length > 0);
			const oldest = async () => (await following.follower.reader.bounds()).oldest;
			expect(await eventually(oldest, (tick) => tick > 0n, 10_000), 'the old is gone').toBeGreaterThan(0n);
			await following.close();
		});
	});
});

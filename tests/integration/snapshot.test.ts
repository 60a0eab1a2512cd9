/** Transactions that read what was: whatever happened since their snapshot, no write fails for it, and none is told wrong. */
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { clusterUrl, majors } from '../support/database.ts';
import { watchAll, withClients } from '../support/follow.ts';
import { createDatabase } from '../support/postgres.ts';
import { useRecording } from '../support/recording.ts';

const LARGE = `repeat('x', 40000)`;

/** Takes a snapshot; what is written through it then is written by someone who does not see what others do meanwhile. */
const snapshot = (db: pg.Client, level = 'repeatable read') =>
	db.query(`begin isolation level ${level}; select 1 from pg_class limit 1`);

describe.each(majors())('PostgreSQL %i', (major) => {
	const { database, log, record } = useRecording(major);

	test('columns that are renamed, dropped and added are told as they are, large, redacted or not', async () => {
		await record(`create table note (id int primary key, gone text, secret text, text text, n int)`);
		await withClients(database().url, 2, async ([old, other]) => {
			await other!.query(`select rowcast.redact('note', 'secret')`);
			await snapshot(old!);
			await other!
				.query(`alter table note rename secret to hidden; alter table note rename text to word; alter table note drop gone;
				alter table note add later text, add amount numeric`);
			await old!.query(
				`insert into note values (1, 'CANARY', 'seen', 1, 'later', 1.50), (2, 'CANARY', ${LARGE}, 2, 'later', 2)`
			);
			await old!.query('commit');
		});
		const changes = await log().changes();
		expect(changes.map(({ after }) => after!.replace(/x{1024}… \(\d+ /, 'x… ('))).toEqual([
			'{"id":1,"hidden":"[redacted]","word":"seen","n":1,"later":"later","amount":1.50}',
			'{"id":2,"hidden":"[redacted]","word":"x… (bytes stored)","n":2,"later":"later","amount":2}'
		]);
	});

	test('a table that is watched since, and everything it takes, can be written and truncated', async () => {
		const { url, drop } = await createDatabase(clusterUrl(major));
		await withClients(url, 2, async ([old, other]) => {
			await other!
				.query(`create table plain (id int, text text); create table part (id int) partition by range (id);
				create table part_1 partition of part for values from (0) to (10)`);
			await snapshot(old!);
			await watchAll(url);
			await old!.query(
				`insert into plain values (1, ${LARGE}); truncate plain; insert into part values (1); truncate part_1; truncate part; commit`
			);
			const { rows } = await other!.query(
				`select op, extra ->> 'partition' as partition from rowcast.change order by lsn`
			);
			expect(rows.map(({ op }) => op).join('')).toMatch(/^ITIT+$/);
			expect(rows[3].partition).toContain('part_1');
			expect(rows[4].partition).toBe(null);
		});
		await drop();
	});

	test('truncating tables does not collide with writing to others', async () => {
		await record(`create table a (id int) partition by range (id); create table a_1 partition of a for values from (0) to (10);
			create table a_2 partition of a for values from (10) to (20); create table b (id int primary key)`);
		await withClients(database().url, 2, async ([one, two]) => {
			await Promise.all([snapshot(one!, 'serializable'), snapshot(two!, 'serializable')]);
			await two!.query('select * from b where id = 5');
			await one!.query('truncate a');
			await two!.query('insert into b values (1)');
			await one!.query('insert into b values (5)');
			await one!.query('commit');
			await two!.query('commit');
		});
		expect((await log().changes()).map(({ op, table }) => [op, table])).toEqual([
			['TRUNCATE', 'a'],
			['INSERT', 'b'],
			['INSERT', 'b']
		]);
	});
});

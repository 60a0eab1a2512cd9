/** What the event trigger does in the application's migrations. */
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { majors, useDatabase } from '../support/database.ts';
import { follow, openLog, watchAll, withClients } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';

const PATTERNS = JSON.stringify(['pin', 'code'].map((column) => ({ schema: '*', table: '*', column })));

describe.each(majors().filter((major) => [18, 13].includes(major)))(
	'redaction in a migration on PostgreSQL %i',
	(major) => {
		const database = useDatabase({ major });

		/** Tables made so, watched; what `write` leaves in the log, as text. */
		async function logged(
			tables: string,
			write: (a: pg.Client, b: pg.Client) => Promise<unknown>
		): Promise<string[]> {
			const { url } = database();
			return withClients(url, 3, async ([a, b, db]) => {
				await db!.query(`drop schema if exists app cascade; create schema app`);
				await db!.query(`set search_path = app; ${tables}`);
				await watchAll(url);
				await db!.query('select rowcast.set_redaction($1)', [PATTERNS]);
				await a!.query('set search_path = app');
				await b!.query('set search_path = app');
				const log = await openLog(url);
				await write(a!, b!);
				const rows = (await log.changes()).map(({ before, after }) => `${before} ${after}`);
				await log.close();
				expect(rows.join('\n')).not.toContain('CANARY');
				return rows;
			});
		}

		const state = async (name: string) =>
			(
				await withClient(database().url, (db) =>
					db.query('select state, redacted from rowcast.tables() where name = $1', [name])
				)
			).rows[0];

		test('a migration that adds a redacted column holds up neither the log nor another table’s migration', async () => {
			await logged(
				'create table a (id int); create table b (id int); create table other (id int)',
				async (a, b) => {
					await a.query(`begin; alter table a add column pin text; insert into a values (1, 'CANARY')`);
					await b.query(`set lock_timeout = '100ms'`);
					await b.query(
						`begin; alter table b add column pin text; insert into b values (1, 'CANARY'); commit`
					);
					await withClient(database().url, async (leader) => {
						await leader.query(`set lock_timeout = '100ms'`);
						await leader.query('select rowcast.maintain(), rowcast.announced(0), rowcast.rotate()');
					});
					// Both ways: neither is the other's victim.
					await a.query('alter table b add column other text');
					await a.query('commit');
				}
			);
			expect([await state('a'), await state('b')]).toEqual([
				{ state: 'watched', redacted: ['pin'] },
				{ state: 'watched', redacted: ['pin'] }
			]);
		});

		test('a column is redacted from its first value on, however it comes to a table', async () => {
			const rows = await logged(
				`create table base (id int, name text); create table derived (extra int) inherits (base); create table leaf () inherits (derived);
				create type kind as (id int, name text); create table typed of kind; create table viewed (id int, name text);
				create table part (id int, name text) partition by range (id); create table part_1 partition of part for values from (0) to (10)`,
				async (a) => {
					await a.query('alter table base add column pin text');
					for (const table of ['base', 'derived', 'leaf'])
						await a.query(`insert into ${table} (id, pin) values (1, 'CANARY')`);
					await a.query('alter type kind add attribute pin text cascade');
					await a.query(`insert into typed values (1, 'n', 'CANARY')`);
					await a.query('alter view viewed rename column name to pin');
					await a.query(`insert into viewed values (1, 'CANARY')`);
					await a.query('alter table part rename name to pin');
					await a.query(`insert into part_1 values (1, 'CANARY')`);
				}
			);
			expect(rows).toHaveLength(6);
			for (const name of ['base', 'derived', 'leaf', 'typed', 'viewed', 'part'])
				expect(await state(name), name).toEqual({ state: 'watched', redacted: ['pin'] });
		});

		test('a transaction whose snapshot is older than the column redacts it too', async () => {
			const rows = await logged('create table a (id int); create table other (id int)', async (a, b) => {
				await a.query('begin isolation level repeatable read; select from other');
				await b.query('alter table a add column pin text');
				await a.query(`insert into a values (1, 'CANARY'), (2, repeat('CANARY', 5000))`);
				await a.query('commit');
			});
			expect(rows).toHaveLength(2);
		});

		test('a migration whose snapshot is older than the watching, or what is redacted, redacts every column', async () => {
			const rows = await logged(
				'create table a (id int); create table b (id int); create table other (id int)',
				async (a, b) => {
					await b.query(
						`select rowcast.unwatch('b'); delete from rowcast.relation where oid = 'b'::regclass`
					);
					await a.query('begin isolation level repeatable read; select from other');
					await b.query(`alter table a add column pin text; select rowcast.watch('b')`);
					await a.query('alter table a add column code text; alter table b add column pin text');
					await a.query(`insert into a values (1, 'CANARY', 'CANARY'); insert into b values (1, 'CANARY')`);
					await a.query('commit');
				}
			);
			expect(rows).toHaveLength(2);
			for (const row of rows) expect(row).toContain('{"id":"[redacted]"');
		});

		test('a migration does not wait for who holds what is noted of its table: it redacts every column', async () => {
			const rows = await logged('create table a (id int)', async (a, b) => {
				await b.query(`begin; select from rowcast.relation for update`);
				await a.query(`set statement_timeout = '5s'; alter table a add column pin text`);
				await a.query(`insert into a values (1, 'CANARY'), (2, repeat('CANARY', 5000))`);
				await b.query('commit');
			});
			expect(rows).toEqual(Array(2).fill('null {"id":"[redacted]","pin":"[redacted]"}'));
			expect((await state('a')).state, 'for a server to look at').toBe('out of date');
		});

		test('what makes, remakes and disables triggers does so for Rowcast’s owner alone, who can neither replace it nor watch by it', async () => {
			await logged('create table a (id int)', async (a) => {
				await a.query(`create table mine (id int); grant usage on schema app to public`);
				for (const call of [
					`make_triggers('app.mine', 'capture', '{1}')`,
					`remake_trigger('app.mine', 'capture', '{1}')`,
					`disable_triggers('app.mine', 1)`
				]) {
					const [name] = call.split('(');
					await a.query('set role rowcast_owner');
					const { rows } = await a.query(
						`select pg_get_functiondef(oid) as text from pg_proc where proname = $1`,
						[name]
					);
					await expect(a.query(rows[0].text)).rejects.toThrow('must be owner');
					if (name === 'make_triggers')
						await expect(a.query(`select rowcast.${call}`)).rejects.toThrow('event trigger function');
					else await a.query(`select rowcast.${call}`);
					await a.query('reset role');
					expect((await a.query(`select from pg_trigger where tgrelid = 'mine'::regclass`)).rowCount).toBe(0);
					await a.query('set role pg_monitor');
					await expect(a.query(`select rowcast.${call}`)).rejects.toThrow('permission denied');
				}
				await a.query('reset role');
			});
		});

		test('what was disabled stays so, and is told', async () => {
			await logged('create table a (id int)', async (a) => {
				await a.query('alter table a disable trigger user; alter table a add column pin text');
				await a.query(`insert into a values (1, 'CANARY')`);
			});
			expect(await state('a')).toEqual({ state: 'trigger disabled', redacted: ['pin'] });
		});

		test('a table whose trigger has events to fire is not recorded, and a gap told, rather than a value', async () => {
			await logged(
				'create table p (id int primary key); create table a (id int references p deferrable initially deferred, name text)',
				async (a) => {
					await a.query(
						`begin; insert into p values (1); insert into a values (1, 'n'); alter table a rename name to pin`
					);
					await a.query(`insert into a values (1, 'CANARY'); commit; insert into a values (1, 'CANARY')`);
				}
			);
			expect((await state('a')).state).toBe('trigger disabled');
			const following = await follow(database().url);
			await following.until('the gap', ({ gaps }) => gaps.length > 0);
			await following.close();
			expect(await state('a')).toEqual({ state: 'watched', redacted: ['pin'] });
		});
	}
);

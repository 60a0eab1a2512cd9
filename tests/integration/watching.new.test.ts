/** Tables that are made, restored and attached while every table is watched: each change is recorded once, from the first on. */
import { describe, expect, test } from 'vitest';
import { majors, useDatabase } from '../support/database.ts';
import { follow, openLog, withClients, type Following } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast } from '../support/rowcast.ts';

describe.each(majors())('with watch all on PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	/** Within 5 s, as promised. */
	const told = (following: Following, what: string, condition: Parameters<Following['until']>[1]) =>
		following.until(what, condition, 5_000);
	const table = ({ tables }: Following, name: string) => tables.find((each) => each.table === name);
	const changesOf = ({ ticks }: Following, name: string) =>
		ticks.flatMap(({ changes }) => changes).filter((change) => change.table === name);
	const opsOf = (following: Following, name: string) => changesOf(following, name).map(({ op }) => op);

	test('a table is recorded from its first row on, in whatever way it is made, also where it does not last', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			const following = await follow(url, { redact: [{ schema: '*', table: '*', column: 'pin' }] });
			const one = async (sql: string) => Object.values((await db.query(sql)).rows[0])[0];
			await db.query('create temp sequence mine; create schema born');
			await db.query(`select nextval('mine')`);
			await db.query(`begin; create table born.plain (id serial primary key, pin text); insert into born.plain values (7, 'CANARY');
				create table born.copied as select 7 as id; update born.copied set id = 8;
				select 7 as id into born.chosen; truncate born.chosen; select lastval()`);
			expect(await one('select lastval()'), 'as if nothing had drawn a number').toBe('1');
			await db.query(`create table born.parts (id int) partition by range (id);
				create table born.part partition of born.parts default; insert into born.parts values (7);
				create temp table passing (id int); insert into passing values (7);
				create unlogged table born.light (id int); insert into born.light values (7);
				create table born.brief (id int); insert into born.brief values (7); drop table born.brief; commit`);
			await db.query(`create schema told create table inner_one (id int)`);
			await db.query(`insert into told.inner_one values (7)`);
			await told(following, 'the last', (now) => changesOf(now, 'inner_one').length === 1);
			const changes = following.ticks.flatMap(({ changes }) => changes);
			expect(changes.map(({ table, op, after }) => `${op} ${table} ${after}`).sort()).toEqual([
				'INSERT brief {"id":7}',
				'INSERT inner_one {"id":7}',
				'INSERT light {"id":7}',
				'INSERT parts {"id":7}',
				'INSERT plain {"id":7,"pin":"[redacted]"}',
				'TRUNCATE chosen null',
				'UPDATE copied {"id":8}'
			]);
			await told(following, 'them', (now) => table(now, 'inner_one')?.watched === true);
			const { rows } = await db.query(`select name from rowcast.tables() where state <> 'watched'`);
			expect(rows).toEqual([]);
			expect(following.gaps).toEqual([]);
			await following.close();
			await db.query('drop schema born, told cascade');
		});
	});

	test('a table that no event trigger tells of is watched within 5 s; only where it had rows by then, a gap is told', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			const following = await follow(url);
			await db.query(
				'alter event trigger rowcast_follow_schema disable; create table late (id int primary key)'
			);
			await told(following, 'the table', (now) => table(now, 'late')?.watched === true);
			const { tick } = following.ticks.at(-1) ?? { tick: 0n };
			await db.query('create table later (id int primary key); insert into later values (1)');
			await told(following, 'the gap', ({ gaps }) => gaps.length > 0);
			await db.query('insert into later values (2)');
			await told(following, 'its change', (now) => changesOf(now, 'later').length === 1);
			expect(following.gaps).toHaveLength(1);
			expect(following.gaps[0]).toMatchObject({ reason: 'capture' });
			expect(BigInt(following.gaps[0]!.after)).toBeGreaterThanOrEqual(tick);
			expect(BigInt(following.gaps[0]!.until)).toBeLessThanOrEqual(following.ticks.at(-1)!.tick);
			await following.close();
			await db.query('drop table late, later; alter event trigger rowcast_follow_schema enable always');
		});
	});

	test('a table that is gone is forgotten once the log has none of its changes', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await (await follow(url)).close();
			const known = async () =>
				(await db.query(`select from rowcast.relation where name like 'fleeting%'`)).rowCount;
			await db.query('create table fleeting (id int); insert into fleeting values (1); drop table fleeting');
			await db.query('create table staying (id int)');
			for (let pruned = 0; pruned < 2; pruned++) {
				expect(await known()).toBeGreaterThan(0);
				// So many that are gone stay, which viewers may ask for.
				if (pruned === 1)
					await db.query(`insert into rowcast.relation (oid, schema, name, gone)
						select 4000000000 + n, 'public', 'fled', n from generate_series(1, 1000) n`);
				await db.query('insert into staying values (1)');
				await db.query('select rowcast.advance()');
				await db.query('select rowcast.rotate()');
				while (!(await db.query('select rowcast.prune() as done')).rows[0].done);
			}
			expect(await known()).toBe(0);
			expect((await db.query(`select from rowcast.relation where name = 'staying'`)).rowCount).toBe(1);
			await db.query('drop table staying');
		});
	});

	test('a table that comes back from its dump, with the triggers that it had, is recorded once', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			// No server looks meanwhile: it would take those triggers out.
			await (await follow(url)).close();
			await db.query('create table back (id int primary key)');
			const { rows } = await db.query<{ name: string; made: string }>(
				`select tgname as name, pg_get_triggerdef(oid) as made from pg_trigger where tgrelid = 'back'::regclass order by 1`
			);
			expect(rows).toHaveLength(2);
			const log = await openLog(url);
			await db.query('drop table back; create table back (id int primary key)');
			await db.query('insert into back values (1)');
			for (const { made } of rows) await db.query(made);
			await db.query('insert into back values (2)');
			for (const { name } of rows)
				await db.query(
					`alter table back enable always trigger "${name}"; comment on trigger "${name}" on back is 'as it was'`
				);
			await db.query('insert into back values (3)');
			await db.query('truncate back');
			expect((await log.changes()).map(({ op }) => op)).toEqual(['INSERT', 'INSERT', 'INSERT', 'TRUNCATE']);
			await log.close();
			const following = await follow(url);
			const state = async () =>
				(await db.query(`select rowcast.trigger_state('back') as state`)).rows[0].state;
			await expect.poll(state, { timeout: 5_000 }).toBe('watched');
			expect(following.gaps).toEqual([]);
			await following.close();
			await db.query('drop table back');
		});
	});

	test('partitions are recorded once, as their table, and their truncation too, in the moment they are made or attached', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			const following = await follow(url);
			await db.query(`create table par (id int) partition by range (id);
				create table par_1 partition of par for values from (0) to (10);
				create table par_2 partition of par for values from (10) to (20) partition by range (id);
				create table par_20 partition of par_2 default;
				create table par_3 (id int); insert into par_3 values (21)`);
			await db.query(`alter table par attach partition par_3 for values from (20) to (30)`);
			await db.query(`insert into par values (1), (11), (22)`);
			for (const part of ['par_1', 'par_20', 'par_3']) await db.query(`truncate ${part}`);
			await told(following, 'the last', (now) =>
				changesOf(now, 'par').some(({ partition }) => partition?.table === 'par_3')
			);
			expect(opsOf(following, 'par_3')).toEqual(['INSERT']);
			expect(opsOf(following, 'par')).toEqual([
				...['INSERT', 'INSERT', 'INSERT'],
				...['TRUNCATE', 'TRUNCATE', 'TRUNCATE']
			]);
			const state = async () =>
				(await db.query(`select rowcast.trigger_state('par') as state`)).rows[0].state;
			await expect.poll(state, { timeout: 5_000 }).toBe('watched');
			expect(following.gaps).toEqual([]);
			await following.close();
			await db.query('drop table par');
		});
	});

	test('serializable migrations beside each other come about as without Rowcast', async () => {
		const { url } = database();
		await withClients(url, 2, async ([a, b]) => {
			const following = await follow(url, { redact: [{ schema: '*', table: '*', column: 'pin' }] });
			await a!.query('create table old_a (id int, pen text); create table old_b (id int, pen text)');
			await told(following, 'both', (now) => table(now, 'old_b')?.watched === true);
			await a!.query('analyze');
			for (const db of [a!, b!]) await db.query('begin isolation level serializable; select 1');
			await a!.query('create table serial_a (id int); alter table old_a rename pen to pin');
			await b!.query('create table serial_b (id int); alter table old_b rename pen to pin');
			await a!.query(`insert into old_a values (1, 'CANARY'); insert into serial_a values (1); commit`);
			await b!.query(`insert into old_b values (1, 'CANARY'); insert into serial_b values (1); commit`);
			await told(
				following,
				'them, and what was missed',
				(now) =>
					table(now, 'serial_a')?.watched === true &&
					table(now, 'serial_b')?.watched === true &&
					changesOf(now, 'old_a').length + changesOf(now, 'old_b').length === 2 &&
					now.gaps.length > 0
			);
			expect(
				JSON.stringify(following.ticks, (_, value) => (typeof value === 'bigint' ? String(value) : value))
			).not.toContain('CANARY');
			await following.close();
			await a!.query('drop table old_a, old_b, serial_a, serial_b');
		});
	});
});

describe('through the server', () => {
	const database = useDatabase();

	test('a table is known to whoever asks right after it was made, and a change has the key that its own table had', async () => {
		const { url } = database();
		const server = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
		const viewer = await connect(server.url);
		await withClient(url, async (db) => {
			for (let round = 0; round < 5; round++) {
				await db.query(
					`create table made_${round} (id int primary key); insert into made_${round} values (1)`
				);
				const tables = [{ schema: 'public', table: `made_${round}` }];
				expect(await viewer.subscribe({ filter: { tables } })).toMatchObject({ ok: true });
			}
			await db.query('create table made_last (id int)');
			const tables = [{ schema: 'public', table: 'made_last' }];
			const answers = await Promise.all([viewer.subscribe({ filter: { tables } }), viewer.subscribe()]);
			expect(answers, 'of which the later holds').toMatchObject([{ ok: true }, { ok: true }]);
			await db.query(
				`create table keyed (id int primary key, k text); insert into keyed values (1, 'x'); drop table keyed`
			);
			await db.query(`create table keyed (k text primary key); insert into keyed values ('y')`);
			await viewer.until('the second', ({ changes }) => changes.some(({ key }) => key?.k === 'y'));
			const answer = await viewer.ask('history', {
				filter: { tables: [{ schema: 'public', table: 'keyed' }] },
				limit: 2
			});
			expect(answer.ok && answer.changes.map(({ key }) => key)).toEqual([{ k: 'y' }, null]);
		});
		viewer.close();
		await server.stop();
	});

	test('1,500 tables are watched, and followed again after a restart', { timeout: 120_000 }, async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await (await follow(url)).close();
			await db.query(`do $$ begin for i in 1..1500 loop
				execute format('create table many_%s (id int primary key)', i); commit; end loop; end $$`);
			const following = await follow(url);
			await db.query('insert into many_1500 values (1)');
			await following.until('its change', (now) => changesIn(now, 'many_1500') === 1);
			await db.query('create table one_more (id int primary key); insert into one_more values (1)');
			await following.until('the new table’s', (now) => changesIn(now, 'one_more') === 1);
			expect(following.tables.filter(({ watched }) => watched).length).toBeGreaterThanOrEqual(1_500);
			await following.close();
		});
	});

	test('a start that waits long for tables that others hold comes about', async () => {
		const { url } = database();
		await withClients(url, 2, async ([db, writer]) => {
			await (await follow(url, { watch: null as never })).close();
			await db!.query(`select rowcast.configure('watch_new', 'off')`);
			const tables = Array.from({ length: 20 }, (_, i) => `held_${i}`);
			await db!.query(tables.map((name) => `create table ${name} (id int)`).join('; '));
			await writer!.query(`begin; ${tables.map((name) => `insert into ${name} values (1)`).join('; ')}`);
			// 300 ms each: longer than the 5 s of silence after which a connection is given up.
			const started = performance.now();
			const following = await follow(url);
			expect(performance.now() - started).toBeGreaterThan(5_000);
			await writer!.query('commit');
			await following.until('all watched', (now) =>
				tables.every((name) => now.tables.some(({ table, watched }) => table === name && watched))
			);
			await following.close();
		});
	});

	const changesIn = ({ ticks }: Following, name: string) =>
		ticks.flatMap(({ changes }) => changes).filter((change) => change.table === name).length;

	test('a server that watches nothing leaves it to others to watch new tables', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			const setting = async () =>
				(await db.query(`select value from rowcast.setting where name = 'watch_new'`)).rows[0].value;
			for (const [watch, value] of [
				['all', 'on'],
				[null, 'on'],
				[[], 'off']
			] as const) {
				await (await follow(url, { watch: watch as never })).close();
				expect(await setting()).toBe(value);
			}
		});
	});
});

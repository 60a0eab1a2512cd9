import { describe, expect, test } from 'vitest';
import { majors, useDatabase } from '../support/database.ts';
import { follow, withClients, type Following } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast, type Viewer } from '../support/rowcast.ts';

const database = useDatabase();

describe.each(majors())('with watch all on PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	/** Within 5 s, as promised. */
	const told = (following: Following, what: string, condition: Parameters<Following['until']>[1]) =>
		following.until(what, condition, 5_000);
	const table = ({ tables }: Following, name: string) => tables.find((each) => each.table === name);
	let holed = 0;
	const changesOf = ({ ticks }: Following, name: string) =>
		ticks.flatMap(({ changes }) => changes).filter((change) => change.table === name);

	test('tables that are new, renamed, altered, moved, dropped and made again are followed within 5 s, and told', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			const following = await follow(url);
			await db.query('create table fresh (id int primary key)');
			await told(following, 'the new table', (now) => table(now, 'fresh')?.watched === true);
			await db.query('insert into fresh values (1)');
			await told(following, 'its change', (now) => changesOf(now, 'fresh').length === 1);

			await db.query('alter table fresh rename to renamed; alter table renamed add column more text');
			await told(
				following,
				'the new name and column',
				(now) => table(now, 'renamed')?.columns.length === 2 && !table(now, 'fresh')
			);
			await db.query(`update renamed set more = 'x'`);
			await told(following, 'its change', (now) => changesOf(now, 'renamed').length === 1);
			expect(changesOf(following, 'renamed')[0]).toMatchObject({ op: 'UPDATE', key: { id: '1' } });

			await db.query('create schema elsewhere; alter table renamed set schema elsewhere');
			await told(following, 'the new schema', (now) => table(now, 'renamed')?.schema === 'elsewhere');
			await db.query('delete from elsewhere.renamed');
			await told(following, 'its change', (now) =>
				changesOf(now, 'renamed').some(({ schema, op }) => schema === 'elsewhere' && op === 'DELETE')
			);

			await db.query('drop table elsewhere.renamed');
			await told(following, 'that it is gone', (now) => !table(now, 'renamed'));
			await db.query('create table elsewhere.renamed (key text primary key)');
			await told(following, 'that it is back', (now) => table(now, 'renamed')?.watched === true);
			await db.query(`insert into elsewhere.renamed values ('k')`);
			await told(following, 'its change', (now) =>
				changesOf(now, 'renamed').some(({ key }) => key?.key === 'k')
			);

			await db.query('alter table elsewhere.renamed drop constraint renamed_pkey');
			await told(following, 'that it has no key', (now) => table(now, 'renamed')?.primaryKey.length === 0);
			await following.close();
		});
	});

	test('what is written right behind a rename has the new names, of the table, its schema and its key', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await db.query('create table swap (id int primary key); create table swap_new (id int primary key)');
			const following = await follow(url);
			await told(following, 'both tables', (now) => Boolean(table(now, 'swap') && table(now, 'swap_new')));
			const seen = async (written: number) => {
				const all = () => following.ticks.flatMap(({ changes }) => changes);
				await told(following, 'what was written', () => all().length >= written);
				return all().slice(-1)[0];
			};
			const where = async (where: string) => {
				const query = { filter: { where }, after: 0n, until: following.ticks.at(-1)!.tick, limit: 9 };
				return (await following.follower.reader.changes({ ...query, order: 'asc' })).changes.length;
			};

			await db.query('alter table swap rename to swap_old; alter table swap_new rename to swap');
			await db.query('insert into swap values (1)');
			expect(await seen(1)).toMatchObject({ table: 'swap', key: { id: '1' } });
			expect(following.ticks.at(-1)!.counts).toEqual([
				{ schema: 'public', table: 'swap', op: 'INSERT', rows: 1 }
			]);
			await db.query('alter table swap rename to swapped');
			expect([await where('table:swapped'), await where('table:swap')]).toEqual([1, 0]);

			await db.query('alter table swapped rename id to nr');
			await db.query('insert into swapped values (2)');
			expect(await seen(2)).toMatchObject({ table: 'swapped', key: { nr: '2' } });

			// More than the leader reads along.
			await db.query('create schema moved; alter table swapped set schema moved');
			await db.query('insert into moved.swapped select generate_series(3, 400)');
			expect(await seen(400)).toMatchObject({ schema: 'moved', table: 'swapped', key: { nr: '400' } });
			await db.query('alter schema moved rename to away');
			await db.query('insert into away.swapped values (401)');
			expect(await seen(401)).toMatchObject({ schema: 'away', key: { nr: '401' } });
			await db.query('drop schema away cascade; drop table swap_old');
			await following.close();
		});
	});

	test('a schema and a type that are renamed have their new names within 5 s, also where nothing is watched', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await db.query(
				`create schema before; create type mood as enum ('ok'); create table before.odd (mood mood)`
			);
			const following = await follow(url, { watch: null });
			await told(following, 'the table', (now) => table(now, 'odd')?.schema === 'before');
			await db.query('alter type mood rename to state');
			await told(following, 'the new type', (now) => table(now, 'odd')?.columns[0]?.type === 'state');
			await db.query('alter schema before rename to afterwards');
			await told(following, 'the new schema', (now) => table(now, 'odd')?.schema === 'afterwards');
			await following.close();
			await db.query('drop schema afterwards cascade; drop type state');
		});
	});

	test('new partitions are captured at once, and their truncation within 5 s', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await db.query('create table month (m int primary key) partition by range (m)');
			const following = await follow(url);
			await db.query(
				'create table month_1 partition of month for values from (0) to (10); insert into month_1 values (1)'
			);
			await told(following, 'the row', (now) => changesOf(now, 'month').length === 1);
			const state = async () =>
				(await db.query(`select rowcast.trigger_state('month') as state`)).rows[0].state;
			await expect.poll(state, { timeout: 5_000 }).toBe('watched');
			await db.query('truncate month_1');
			await told(following, 'the truncation', (now) =>
				changesOf(now, 'month').some(({ partition }) => partition?.table === 'month_1')
			);
			await following.close();
		});
	});

	test('a trigger that is disabled or dropped is told as a problem where nobody mends it, and mended where all is watched', async () => {
		const { url } = database();
		await withClient(url, async (db) => {
			await db.query('create table watched_one (id int primary key)');
			await (await follow(url)).close();
			const onlooker = await follow(url, { watch: null });
			await db.query('alter table watched_one disable trigger user');
			await told(
				onlooker,
				'the problem',
				(now) => table(now, 'watched_one')?.problem?.includes('disabled') === true
			);
			expect(table(onlooker, 'watched_one')!.watched).toBe(false);
			const { rows } = await db.query(
				`select tgname from pg_trigger where tgrelid = 'watched_one'::regclass`
			);
			for (const { tgname } of rows) await db.query(`drop trigger "${tgname}" on watched_one`);
			await told(
				onlooker,
				'the problem',
				(now) => table(now, 'watched_one')?.problem?.includes('removed') === true
			);
			await onlooker.close();

			const following = await follow(url);
			await told(following, 'that it is mended', (now) => table(now, 'watched_one')?.watched === true);
			await db.query('alter table watched_one disable trigger all');
			await expect
				.poll(
					async () => (await db.query(`select rowcast.trigger_state('watched_one') as state`)).rows[0].state,
					{ timeout: 5_000 }
				)
				.toBe('watched');
			await following.close();
		});
	});

	const write = (name: string) => `insert into ${name} values (2)`;
	test.each([
		[
			'while triggers were disabled',
			(name: string) => `alter table ${name} disable trigger all; ${write(name)}`
		],
		[
			'where they were so in one transaction',
			(name: string) =>
				`alter table ${name} disable trigger all; ${write(name)}; alter table ${name} enable trigger all`
		],
		[
			'while a trigger was missing',
			(
				name: string
			) => `do $$ begin execute (select format('drop trigger %I on ${name}', tgname) from pg_trigger
				where tgrelid = '${name}'::regclass and tgname !~ 'truncate'); end $$; ${write(name)}`
		]
	])('what was written %s becomes a gap, and nothing else does', async (_, statements) => {
		const { url } = database();
		await withClient(url, async (db) => {
			const name = `holed_${++holed}`;
			const parts = `${name}_parts`;
			const one = async (sql: string) => Object.values((await db.query(sql)).rows[0])[0];
			const gapsNoted = () => one('select count(*)::int from rowcast.gap');
			await db.query(`create table ${name} (id int primary key);
				create table ${parts} (id int primary key) partition by range (id)`);
			const following = await follow(url);
			await told(following, 'that they are watched', (now) => table(now, parts)?.watched === true);
			await db.query(`insert into ${name} values (1)`);
			await told(following, 'the change before', (now) => changesOf(now, name).length === 1);
			const { tick } = following.ticks.at(-1)!;
			// Neither is a hole: a partition that is new, a column that asks for another trigger.
			const known = await gapsNoted();
			await db.query(`create table ${parts}_1 partition of ${parts} for values from (0) to (9);
				alter table ${parts} add column f float8`);
			await told(following, 'the column', (now) => table(now, parts)?.columns.length === 2);
			const state = () => one(`select rowcast.trigger_state('${parts}')`);
			await expect.poll(state, { timeout: 5_000 }).toBe('watched');
			expect(await gapsNoted()).toBe(known);

			await db.query(statements(name));
			await told(following, 'the gap', ({ gaps }) =>
				gaps.some(
					({ after, until, reason }) => reason === 'capture' && BigInt(after) <= tick && tick < BigInt(until)
				)
			);
			await db.query(`insert into ${name} values (3)`);
			await told(following, 'the change behind', (now) => changesOf(now, name).at(-1)?.key?.id === '3');
			expect(await gapsNoted()).toBe(Number(known) + 1);
			await following.close();
		});
	});

	test('a table that a long transaction holds is told as a problem, blocks nobody for long, and is watched when it ends', async () => {
		const { url } = database();
		await withClients(url, 2, async ([holder, writer]) => {
			const following = await follow(url);
			await holder!.query('create table held (id int primary key)');
			// In one transaction, so that it is held before anyone can watch it.
			await holder!.query(
				'drop table held; begin; create table held (id int primary key); commit; begin; insert into held values (0)'
			);
			let longest = 0;
			for (const end = Date.now() + 3_000; Date.now() < end;) {
				const started = performance.now();
				await writer!
					.query('insert into held values ($1)', [Date.now() * 100 + Math.floor(Math.random() * 100)])
					.catch(() => {});
				longest = Math.max(longest, performance.now() - started);
				await new Promise((resolve) => setTimeout(resolve, 5));
			}
			expect(longest).toBeLessThan(1_500);
			if (!table(following, 'held')?.watched)
				expect(table(following, 'held')?.problem).toContain('long transaction');
			await holder!.query('commit');
			await told(following, 'that it is watched', (now) => table(now, 'held')?.watched === true);
			await following.close();
		});
	});
});

test('a table that is named to be watched, dropped and made again is watched again', async () => {
	const { url } = database();
	await withClient(url, (db) => db.query('create table named (id int primary key)'));
	const server = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'public.named' } });
	const viewer = await connect(server.url);
	await viewer.subscribe();
	const watched = ({ tables }: Viewer) => tables.some(({ table, watched }) => table === 'named' && watched);
	expect(watched(viewer)).toBe(true);
	await withClient(url, (db) => db.query('drop table named'));
	await viewer.until('that it is gone', (now) => !watched(now));
	await withClient(url, (db) => db.query('create table named (id int primary key)'));
	await viewer.until('that it is watched', watched, 5_000);
	await withClient(url, (db) => db.query('insert into named values (1)'));
	await viewer.until('the change', ({ changes }) => changes.length === 1);
	viewer.close();
	await server.stop();
});

/** What the first screen is told of installing, from the running server. */
import { beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../support/cli.ts';
import { majors, useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';
import { startRowcast } from '../support/rowcast.ts';

const SHOP = `
	create table plain (id int primary key, name text); insert into plain values (1, 'a');
	create table "Odd ""one" (id int generated always as identity, secret text);
	create table part (a int, b int, day timestamptz, primary key (a, b)) partition by range (a);
	create table part_1 partition of part for values from (0) to (10) partition by range (b);
	create table part_1_1 partition of part_1 for values from (0) to (10);
	insert into part values (1, 2, now())`;
const ENV = { ROWCAST_TOKEN: 'secret', ROWCAST_REDACT: '*.*.secret' };

describe.each(majors().filter((major) => [18, 13].includes(major)))('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });
	beforeAll(() => withClient(database().url, (db) => db.query(SHOP)));

	test('it is the SQL that install runs, to the last trigger, whatever the table is', async () => {
		const { url } = database();
		const rowcast = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: '', ...ENV } });
		const get = (query = '', headers: Record<string, string> = { authorization: 'Bearer secret' }) =>
			fetch(`${rowcast.url}/install${query}`, { headers });
		expect(await (await get('', {})).text()).not.toContain('rowcast.watch');
		expect((await get('?table=public.nope')).status).toBe(404);
		const one = await (await get('?table=public.plain')).json();
		expect(one.test.sql).toBe(
			'update public.plain set name = name\nwhere id = (select id from public.plain limit 1);'
		);
		const all = await (await get()).json();
		const printed = async (command: string) => {
			const { stdout } = await runCli(url, [command, '--dry-run'], ENV);
			return stdout.slice(stdout.indexOf('-- public.')).trimEnd();
		};
		expect(all.watch).toBe(await printed('install'));
		expect(all.watch).toContain(`select rowcast.redact('public."Odd ""one"', 'secret');`);

		await withClient(url, async (db) => {
			const triggers = async () =>
				(
					await db.query(
						`select tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) as sql, obj_description(oid)
						from pg_trigger where tgname ~ '^!rowcast' order by 1, 2`
					)
				).rows;
			expect(await triggers(), 'a look changes nothing').toEqual([]);
			await db.query(all.watch);
			const watched = await triggers();
			expect(watched).toHaveLength(10);
			expect(watched.some(({ sql }) => sql.includes('secret'))).toBe(true);
			expect(`${all.unwatch}\n${all.uninstall}`).toBe(await printed('uninstall'));
			await db.query(all.triggers.drop);
			expect(await triggers()).toEqual([]);
			await db.query(all.triggers.create);
			expect(await triggers()).toEqual(watched);
			const { tgname } = watched.find((t) => t.tgrelid === 'plain' && t.tgname.includes('truncate'))!;
			await db.query(`alter table plain disable trigger user; drop trigger "${tgname}" on plain`);
			const mends = await (await get('?table=public.plain')).json();
			await db.query(mends.triggers.create);
			expect(await triggers()).toEqual(watched);
			await db.query(all.unwatch);
			expect(await triggers()).toEqual([]);
			expect((await db.query(all.test.sql)).rowCount).toBe(1);
		});
		await rowcast.stop();
	});

	test('it says who can run it: whoever it names can, and of others only a superuser', async () => {
		const { url } = database();
		const [app, other] = ['app', 'other'].map((name) => `${name}_${database().name.slice(-8)}`);
		const as = (role: string) => Object.assign(new URL(url), { username: role, password: 'p' }).href;
		await withClient(url, (db) =>
			db.query(`select rowcast.uninstall(); drop table plain, "Odd ""one", part;
				create role ${app} login password 'p'; create role ${other} login password 'p';
				grant create on database ${database().name} to ${app};
				create schema shop authorization ${app};
				create table shop.mine (id int); alter table shop.mine owner to ${app};
				create table shop.theirs (id int); alter table shop.theirs owner to ${other}`)
		);
		const ask = async (role: string) => {
			const rowcast = await startRowcast({ env: { DATABASE_URL: role, ROWCAST_WATCH: '' } });
			const answers = ['?table=shop.mine', '?table=shop.theirs', ''].map(async (query) =>
				(await fetch(`${rowcast.url}/install${query}`)).json()
			);
			const plans = await Promise.all(answers);
			await rowcast.stop();
			return plans;
		};
		const run = (role: string, plan: { watch: string }) => withClient(role, (db) => db.query(plan.watch));
		const denied = expect.objectContaining({ code: '42501' });

		const bySuperuser = await ask(url);
		expect(bySuperuser.map(({ role }) => role)).toEqual([null, null, null]);
		await expect(run(as(app!), bySuperuser[0])).rejects.toEqual(denied);
		await run(url, bySuperuser[0]);
		await withClient(url, (db) => db.query('select rowcast.uninstall()'));

		const [mine, theirs, all] = await ask(as(app!));
		expect([mine, theirs, all].map(({ role }) => role)).toEqual([app, null, null]);
		await run(as(app!), mine);
		await expect(run(as(app!), theirs)).rejects.toEqual(denied);
		await expect(run(as(other!), theirs)).rejects.toEqual(denied);
		await run(url, theirs);
		await withClient(url, (db) =>
			db.query(`select rowcast.uninstall(); drop owned by ${app}, ${other}; drop role ${app}, ${other}`)
		);
	});
});

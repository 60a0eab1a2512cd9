/** What nobody can reach by way of Rowcast: another role's rights, with a type, a name, a policy or a role of their own. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../../src/lib/server/migrate.ts';
import { clusterUrl, majors, useDatabase } from '../support/database.ts';
import { openLog, watchAll, type Log } from '../support/follow.ts';
import { runCli as rowcast } from '../support/cli.ts';
import { createDatabase, startPostgres, withClient } from '../support/postgres.ts';

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });
	const [mallory, reader, owner] = ['mallory', 'reader', 'owner'].map(
		(name) => `${name}_${randomUUID().slice(0, 8)}`
	) as [string, string, string];
	const run = (sql: string) => withClient(database().url, (db) => db.query(sql));
	const as = (role: string, sql: string, url = database().url) =>
		withClient(url, async (db) => {
			await db.query(`set session authorization ${role}`);
			return [await db.query(sql)].flat().at(-1)!.rows;
		});
	const afters = async (log: Log) => (await log.changes()).map(({ after }) => after);

	/** A type of mallory's with this function as its cast to json. */
	const cast = (type: string, body: string, labels = `'a'`) => `
		create type m.${type} as enum (${labels});
		create function m.told(m.${type}) returns json language plpgsql as $$ ${body} $$;
		create cast (m.${type} as json) with function m.told(m.${type});`;

	beforeAll(async () => {
		await withClient(clusterUrl(major), (db) =>
			db.query(`create role ${mallory}; create role ${reader}; create role ${owner}`)
		);
		await watchAll(database().url);
		await run(`create schema m authorization ${mallory}; select rowcast.grant_reading('${reader}')`);
		await as(
			mallory,
			`grant usage on schema m to public; create table m.who (who text, how text); grant insert on m.who to public;
			create function m.see(how text) returns boolean language plpgsql as $$ begin insert into m.who values (current_user, how); return true; end $$`
		);
	});
	afterAll(async () => {
		await run(`drop owned by ${mallory}, ${reader}, ${owner} cascade`);
		await withClient(clusterUrl(major), (db) => db.query(`drop role ${mallory}, ${reader}, ${owner}`));
	});

	test('a cast to json can neither change nor drop the functions of the role that it runs as', async () => {
		const log = await openLog(database().url);
		await as(
			mallory,
			`${cast(
				'grasp',
				`declare got text[] := array[current_user]; command text; begin
					foreach command in array array['alter function rowcast.capture_small() security invoker set search_path = m',
						'drop owned by ' || current_user || ' cascade', 'revoke all on function rowcast.capture() from public',
						'create function rowcast.mine() returns int language sql as ''select 1'''] loop
						begin execute command; got := got || command; exception when insufficient_privilege then null; end;
					end loop;
					return to_json(got);
				end`
			)}
			create table m.known (id int primary key, mood m.grasp);
			create table m.late (id int primary key)`
		);
		await run(`select rowcast.watch('m.known'), rowcast.watch('m.late')`);
		// Its trigger does not know yet.
		await as(
			mallory,
			`insert into m.known values (1, 'a'); alter table m.late add column mood m.grasp; insert into m.late values (1, 'a')`
		);
		const told = await afters(log);
		expect(told[0]).toBe('{"id":1,"mood":["rowcast_json"]}');
		expect(told[1]).toMatch(/^\{"id":1,"mood":\["rowcast_(writer|json)"\]\}$/);
		await log.close();
	});

	test('where the function is gone that runs casts, values are written by their text', async () => {
		await as(mallory, `${cast('gone', `begin return '1'; end`)} create table m.gone_too (mood m.gone)`);
		await run(
			`create table hidden (id int, word text); select rowcast.watch('m.gone_too'), rowcast.watch('hidden'), rowcast.redact('hidden', 'word')`
		);
		await withClient(database().url, async (db) => {
			await db.query(`begin; drop function rowcast.json_of(record);
				insert into m.gone_too values ('a'); insert into hidden values (1, 'x')`);
			const { rows } = await db.query(
				'select after from rowcast.change where xid = pg_current_xact_id() order by lsn'
			);
			expect(rows.map(({ after }) => after)).toEqual(['{"mood":"a"}', '{"id":1,"word":"[redacted]"}']);
			await db.query('rollback');
		});
	});

	test("a superuser's cast that fails does not fail a write, in a small row or in a large one", async () => {
		const log = await openLog(database().url);
		await run(`
			create type shape as enum ('good', 'bad');
			create function geo(shape) returns json language plpgsql as $$ begin
				if $1 = 'bad' then raise exception 'not a shape'; end if; return '{"x":1}'; end $$;
			create cast (shape as json) with function geo(shape);
			create table map (shape shape, parts shape[], note text);
			select rowcast.watch('map');
			insert into map values ('good', '{good}', 'n'), ('bad', '{good}', 'n'), ('good', '{bad}', repeat('x', 40000))`);
		const [good, bad, large] = await afters(log);
		expect(good).toBe('{"shape":{"x":1},"parts":[{"x":1}],"note":"n"}');
		expect(bad).toBe('{"shape":"bad","parts":[{"x":1}],"note":"n"}');
		expect(large).toMatch(/^\{"shape":\{"x":1\},"parts":"\{bad\}","note":"x{1024}/);
		await log.close();
	});

	test('a role that reads has no function of its own run as another role, and reads the history of rows', async () => {
		await as(reader, `create temp table mine (mood text)`);
		const hostile = `create type pg_temp.mood as enum ('a');
			create function pg_temp.told(pg_temp.mood) returns json language sql as 'select to_json(current_user)';
			create cast (pg_temp.mood as json) with function pg_temp.told(pg_temp.mood);
			create temp table mine (note text, mood pg_temp.mood); create temp table other (note text, mood text);
			insert into mine values ('n', 'a');`;
		expect(
			await as(
				reader,
				`${hostile} select row_json from mine, rowcast.abbreviate(mine, 'mine'::regclass, '{}', 1000)`
			)
		).toEqual([{ row_json: '{"note":"n","mood":"a"}' }]);
		await expect(
			as(
				reader,
				`${hostile} select row_json from mine, rowcast.abbreviate(mine, 'other'::regclass, '{}', 1000)`
			)
		).rejects.toThrow('this is no row of');
		const callable = await as(
			reader,
			`select proname from pg_proc where pronamespace = 'rowcast'::regnamespace and has_function_privilege(oid, 'execute')
				and array['anyelement'::regtype::oid, 'record'::regtype] && proargtypes::oid[]`
		);
		expect(callable).toEqual([{ proname: 'abbreviate' }]);

		await run(
			`create table book (id int primary key); select rowcast.watch('book'); insert into book values (7)`
		);
		await run('select rowcast.advance()');
		await run('select rowcast.rotate(), rowcast.index_leaf()');
		const history = `select op from rowcast.changes_of_row(array(select id from rowcast.relation where name = 'book'), '{"id": "7"}', 10)`;
		expect(await as(reader, history)).toEqual([{ op: 'I' }]);
	});

	test('a type named json is not taken for json', async () => {
		const log = await openLog(database().url);
		await as(
			mallory,
			`create type m.json as enum ('a');
			create function m.text_of(m.json) returns text language sql as $$ select m.see('text')::text $$;
			create cast (m.json as text) with function m.text_of(m.json);
			create table m.named (kind m.json, note text)`
		);
		await run(`select rowcast.watch('m.named'); truncate m.who`);
		await as(mallory, `insert into m.named values ('a', repeat('x', 40000))`);
		expect((await afters(log))[0]).toMatch(/^\{"kind":"a","note":"x/);
		expect((await run('select * from m.who')).rows).toEqual([]);
		await log.close();
	});

	test('a key column may have any name, and it is never run', async () => {
		await as(
			mallory,
			`create function m.x() returns void language sql as $$ select m.see('name') $$;
			create table m.odd ("$b$ set check_function_bodies=off;select m.x();--" int, "$b$" int, "it's \\ %s" int,
				primary key ("$b$ set check_function_bodies=off;select m.x();--", "$b$", "it's \\ %s"))`
		);
		await run(`select rowcast.watch('m.odd'); truncate m.who; insert into m.odd values (1, 2, 3)`);
		await run('select rowcast.advance()');
		await run('select rowcast.rotate()');
		while ((await run('select rowcast.index_leaf() as more')).rows[0].more);
		expect((await run('select * from m.who')).rows).toEqual([]);
		const key = `json_build_object('$b$ set check_function_bodies=off;select m.x();--', '1', '$b$', '2', 'it''s \\ %s', '3')`;
		const { rows } = await run(
			`select op from rowcast.changes_of_row(array(select id from rowcast.relation where name = 'odd'), ${key}, 10)`
		);
		expect(rows).toEqual([{ op: 'I' }]);
	});

	test('a policy is not run by the server that announces rows, and the key is told as one that could not be read', async () => {
		await as(
			mallory,
			`create table m.parent (id int primary key, n int); insert into m.parent values (1, 1);
			create table m.child (parent int references m.parent); insert into m.child values (1);
			alter table m.child enable row level security; create policy spy on m.child using (m.see('policy'));
			grant select on m.child to ${reader}`
		);
		await run(`select rowcast.watch('m.parent'); truncate m.who`);
		await as(mallory, 'update m.parent set n = 2');
		await as(reader, 'select rowcast.advance()');
		const rows = await as(
			reader,
			'select appended, failed from rowcast.announce((select max(n) from rowcast.tick), 9, 9)'
		);
		expect(rows).toMatchObject([{ appended: '0', failed: [{ table: 'child', code: '42501' }] }]);
		expect((await run('select * from m.who')).rows).toEqual([]);
	});

	test("nor is a cast to json run in the server's session", async () => {
		await as(
			mallory,
			`${cast('seen', `begin perform m.see('json'); return '1'; end`)}
			create table m.above (id int primary key, n int); insert into m.above values (1, 1);
			create table m.below (above int references m.above, seen m.seen); insert into m.below values (1, 'a')`
		);
		await run(`select rowcast.watch('m.above'); truncate m.who; update m.above set n = 2`);
		await run('select rowcast.advance()');
		await run('select rowcast.announce((select max(n) from rowcast.tick), 9, 9)');
		expect(
			(await run(`select after from rowcast.change where op = 'R' order by lsn desc limit 1`)).rows
		).toEqual([{ after: '{"above":1,"seen":"a"}' }]);
		expect((await run('select * from m.who')).rows).toEqual([]);
	});

	test('an upgrade takes from older installs what they gave', async () => {
		await run(`alter function rowcast.json_of(record) owner to rowcast_writer; delete from rowcast.migration;
			grant execute on function rowcast.json_of(record), rowcast.small_json(anyelement, int) to ${reader}`);
		await withClient(database().url, migrate);
		const { rows } =
			await run(`select proowner::regrole::text as owner, has_function_privilege('${reader}', oid, 'execute') as may
			from pg_proc where oid in ('rowcast.json_of(record)'::regprocedure, 'rowcast.small_json(anyelement, int)'::regprocedure) order by 1`);
		expect(rows).toEqual([
			{ owner: 'rowcast_json', may: false },
			{ owner: 'rowcast_owner', may: false }
		]);
	});

	test('installed by a role that is no superuser, a cast of another role is not run', async () => {
		const { url, drop } = await createDatabase(clusterUrl(major));
		await withClient(url, (db) =>
			db.query(`grant create on database ${new URL(url).pathname.slice(1)} to ${owner};
				create schema m authorization ${mallory}; create schema o authorization ${owner}`)
		);
		await as(
			mallory,
			`grant usage on schema m to public; create table m.who (who text, how text); grant insert on m.who to public;
			create function m.see(how text) returns boolean language sql as $$ insert into m.who values (current_user, how); select true $$;
			${cast('mood', `begin perform m.see('json'); return '1'; end`)} create type m.pair as (n int)`,
			url
		);
		await withClient(url, async (db) => {
			await db.query(`set session authorization ${owner}`);
			await migrate(db);
			await db.query(`create table o.t (id int, mood m.mood, word text); create table o.p (pair m.pair);
				select rowcast.watch('o.t'), rowcast.watch('o.p'), rowcast.redact('o.t', 'word')`);
		});
		// What is made of mallory's types later is hers, too.
		await as(mallory, 'alter type m.pair add attribute mood m.mood', url);
		await as(owner, `insert into o.t values (1, 'a', 'x'); insert into o.p values (row (1, 'a'))`, url);
		expect(await as(owner, 'select after from rowcast.change order by lsn', url)).toEqual([
			{ after: '{"id":1,"mood":"a","word":"[redacted]"}' },
			{ after: '{"pair":"(1,a)"}' }
		]);
		expect(await as(mallory, 'select * from m.who', url)).toEqual([]);
		await drop();
	});
});

test.each(majors())(
	'a role of its name that lets somebody in is not taken, and one that stays is told: PostgreSQL %i',
	async (major) => {
		const { connectionString: url, stop } = await startPostgres({ major });
		try {
			await withClient(url, async (db) => {
				for (const [made, undone] of [
					[`create role rowcast_owner login password 'mine'`, 'drop role rowcast_owner'],
					['create role eve; create role rowcast_json role eve', 'drop role rowcast_json, eve'],
					['create role rowcast_writer in role pg_monitor', 'drop role rowcast_writer']
				] as const) {
					await db.query(made);
					await expect(migrate(db), made).rejects.toThrow(
						/^Role rowcast_\w+ is not as Rowcast makes it.*drop it/s
					);
					await db.query(`rollback; ${undone}`);
				}
				await migrate(db);
				await db.query('create table kept (); alter table kept owner to rowcast_writer');
				const { stdout, stderr, code } = await rowcast(url, ['uninstall']);
				expect([code, stdout, stderr]).toEqual([
					0,
					'Rowcast is removed from this database.\n',
					expect.stringMatching(/its roles stay.*owner of table (public\.)?kept/s)
				]);
				await db.query('drop table kept');
				await migrate(db);
				expect((await rowcast(url, ['uninstall'])).stderr).toBe('');
				expect((await db.query(`select rolname from pg_roles where rolname like 'rowcast%'`)).rows).toEqual(
					[]
				);
			});
		} finally {
			await stop();
		}
	}
);

test('roles that an uninstall in another database drops meanwhile are made again', async () => {
	const { connectionString: url, stop } = await startPostgres();
	try {
		await withClient(url, async (db) => {
			// As an uninstall leaves them for the moment: nothing depends on them, and they are going.
			await db.query('create role rowcast_owner; create role rowcast_writer; create role rowcast_json');
			await db.query('grant rowcast_writer to rowcast_owner');
			await db.query('begin; drop role rowcast_owner, rowcast_writer, rowcast_json');
			await withClient(url, async (other) => {
				const migrated = migrate(other);
				const waits = `select from pg_stat_activity where wait_event_type = 'Lock'`;
				while ((await db.query(waits)).rowCount === 0);
				await db.query('commit');
				await migrated;
				expect((await other.query('select rowcast.uninstall()')).rowCount).toBe(1);
			});
		});
	} finally {
		await stop();
	}
});

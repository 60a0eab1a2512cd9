/** What others own or set: their types and partitions, and the settings of their sessions. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toFailure } from '../../src/lib/server/errors.ts';
import { clusterUrl, majors, useDatabase } from '../support/database.ts';
import { openLog, watchAll } from '../support/follow.ts';
import { createDatabase, withClient } from '../support/postgres.ts';
import { connect, startRowcast } from '../support/rowcast.ts';

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });
	const mallory = `mallory_${randomUUID().slice(0, 8)}`;
	const run = (sql: string) => withClient(database().url, (db) => db.query(sql));

	beforeAll(async () => {
		await withClient(clusterUrl(major), (db) => db.query(`create role ${mallory}`));
		await run(`create schema m authorization ${mallory}`);
	});
	afterAll(async () => {
		await run(`drop schema m cascade; drop owned by ${mallory}`);
		await withClient(clusterUrl(major), (db) => db.query(`drop role ${mallory}`));
	});

	test('no setting hides the truncation of a partition, or fails it', async () => {
		const log = await openLog(await installed());
		await run(`create table m.whole (id int) partition by range (id); alter table m.whole owner to ${mallory};
			create table m.whole_1 partition of m.whole for values from (0) to (10); alter table m.whole_1 owner to ${mallory};
			select rowcast.watch('m.whole')`);
		const mark = (text: string) =>
			`perform set_config('rowcast.truncate', ${text}, true); truncate m.whole_1;`;
		await run(`set role ${mallory}; do $$ begin
			insert into m.whole values (1);
			${mark(`format('%s %s 9 0/0', 'm.whole'::regclass::oid, extract(epoch from statement_timestamp()))`)}
			${['(0,1) 9', '(999999999,9999) 9', '(0,1)', 'x', ''].map((text) => mark(`'${text}'`)).join('')}
			truncate m.whole; insert into m.whole values (2);
			for n in 1..20 loop ${mark(`format('(0,%s) 9', n)`)} end loop;
		end $$`);
		const ops = (await log.changes()).map(({ op, partition }) => op[0]! + (partition ? 'p' : ''));
		expect(ops.join(' ')).toBe(`I ${'Tp '.repeat(6)}T I ${'Tp '.repeat(20)}`.trim());
		await log.close();
	});

	test("a type's own cast to json neither fails a write nor runs with rights over the log", async () => {
		const log = await openLog(await installed());
		await run(`
			set role ${mallory};
			create type m.mood as enum ('tells', 'fails');
			create function m.told(m.mood) returns json language plpgsql as $$ begin
				if $1 = 'fails' then raise exception 'no json for you'; end if;
				return json_build_array(current_user, has_schema_privilege('rowcast', 'usage'),
					pg_has_role('rowcast_owner', 'member'), (select rolsuper from pg_roles where rolname = current_user));
			end $$;
			create cast (m.mood as json) with function m.told(m.mood);
			create table m.known (id int primary key, mood m.mood);
			create table m.late (id int primary key);
			reset role;
			select rowcast.watch('m.known'), rowcast.watch('m.late');
			set role ${mallory};
			insert into m.known values (1, 'tells'), (2, 'fails');
			alter table m.late add column mood m.mood;
			insert into m.late values (1, 'tells')`);
		const powerless = '["rowcast_json", false, false, false]';
		expect((await log.changes()).map(({ after }) => after)).toEqual([
			`{"id":1,"mood":${powerless}}`,
			'{"id":2,"mood":"fails"}',
			// Until its trigger is made anew.
			'{"id":1,"mood":["rowcast_writer", true, false, false]}'
		]);
		await log.close();
	});

	test('nor with the rights of the server that announces rows', async () => {
		await installed();
		await run(`
			set role ${mallory};
			create type m.spy as enum ('a');
			create table m.seen (who text, how text);
			create function m.see(how text) returns boolean language plpgsql security invoker as $$ begin
				insert into m.seen values (current_user, how); return true;
			exception when others then return true;
			end $$;
			create function m.json(m.spy) returns json language sql as $$ select to_json(m.see('json')) $$;
			create cast (m.spy as json) with function m.json(m.spy);
			create domain m.checked as int check (m.see('check'));
			create table m.parent (id int primary key, n int);
			create table m.child (id int primary key, parent m.checked references m.parent, spy m.spy);
			insert into m.parent values (1, 1);
			insert into m.child values (1, 1, 'a');
			truncate m.seen`);
		const server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all' } });
		const viewer = await connect(server.url);
		await viewer.subscribe();
		await run('update m.parent set n = 2');
		await viewer.until('the reference', ({ changes }) => changes.some(({ op }) => op === 'REFERENCE'));
		expect((await run('select * from m.seen')).rows).toEqual([]);
		viewer.close();
		await server.stop();
	});

	test('a role without rights on Rowcast makes and attaches partitions of its watched table', async () => {
		const log = await openLog(await installed());
		await run(`
			set role ${mallory};
			create table m.part (id int, note text) partition by range (id);
			reset role;
			select rowcast.watch('m.part');
			set role ${mallory};
			create table m.part_1 partition of m.part for values from (0) to (10);
			create table m.part_2 (id int, note text);
			alter table m.part attach partition m.part_2 for values from (10) to (20);
			insert into m.part values (1, 'x'), (11, 'y')`);
		expect(await log.changes()).toMatchObject([{ table: 'part' }, { table: 'part' }]);
		await log.close();
	});

	test('sessions that read backslashes in another way write as ever', async () => {
		const log = await openLog(await installed());
		await run(`
			create table slash (id int primary key, note text, secret text);
			select rowcast.watch('slash'), rowcast.redact('slash', 'secret');
			set standard_conforming_strings = off; set escape_string_warning = on; set plpgsql.extra_errors = 'all';
			insert into slash values (1, E'a\\\\u0000\\\\', 'x'), (2, repeat('long ', 5000), 'y');
			update slash set note = 'short'; delete from slash; truncate slash`);
		const changes = await log.changes();
		expect(changes.map(({ op }) => op[0]).join('')).toBe('IIUUDDT');
		expect(JSON.stringify(changes)).not.toMatch(/"[xy]\\"/);
		await log.close();
	});

	test('an event trigger that keeps Rowcast from its log makes a gap that is told, and the state says what to do', async () => {
		await run('create table filling (id serial primary key, note text)');
		const server = await startRowcast({
			env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all', ROWCAST_MAX_LOG: '16MB' }
		});
		const viewer = await connect(server.url);
		await viewer.subscribe();
		await run(`
			create table ddl_log (tag text);
			create function log_ddl() returns event_trigger language plpgsql as $$ begin insert into public.ddl_log values (tg_tag); end $$;
			create event trigger audit on ddl_command_end execute function log_ddl()`);
		let written = 0;
		for (; viewer.gaps.length === 0 && written < 60; written++)
			await run(`insert into filling (note) select repeat('x', 900) from generate_series(1, 1000)`);
		await viewer.until('the gap', ({ gaps }) => gaps.some(({ reason }) => reason === 'capture'));
		await viewer.until('the state', ({ state }) => /cannot keep its log/.test(state?.message ?? ''));
		await run('drop event trigger audit');
		await viewer.until('the state again', ({ state }) => state !== undefined && state.message === undefined);
		viewer.close();
		await server.stop();
	});

	/** The address of the database, with Rowcast in it. */
	async function installed() {
		await watchAll(database().url);
		return database().url;
	}
});

test('a database in another encoding is watched like any', async () => {
	const { url, drop } = await createDatabase(clusterUrl(), { encoding: 'LATIN1' });
	await withClient(url, (db) => db.query('create table word (id int primary key, text text)'));
	await watchAll(url);
	const log = await openLog(url);
	await withClient(url, (db) => db.query(`insert into word values (1, 'né'), (2, repeat('é', 20000))`));
	const [short, long] = await log.changes();
	expect(short!.after).toBe('{"id":1,"text":"né"}');
	expect(long).toMatchObject({
		cut: ['text'],
		after: expect.stringMatching(/é\.\.\. \(\d+ bytes stored\)"\}$/)
	});
	// What it cannot hold is refused at once, also before it would be compared with anything.
	const unheard = [
		log.reader.changes({ filter: { where: '-text:☃' }, after: 1n, until: 1n, order: 'asc', limit: 1 }),
		log.reader.changes({ filter: { where: 'table:☃' }, after: 0n, until: 9n, order: 'asc', limit: 1 }),
		log.reader.row({ schema: 'public', table: 'word', key: { id: '☃' } })
	];
	for (const outcome of await Promise.allSettled(unheard))
		expect(toFailure((outcome as PromiseRejectedResult).reason)).toMatchObject({
			error: { code: 'BAD_REQUEST' }
		});
	await log.close();
	await drop();
});

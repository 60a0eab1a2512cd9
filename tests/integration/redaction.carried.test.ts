/** What is redacted reaches the log by no other way: as a reference, a former partition, a restored dump. */
import { exec } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { majors, useDatabase } from '../support/database.ts';
import { follow, openLog, watchAll } from '../support/follow.ts';
import { systemMajors, withClient } from '../support/postgres.ts';

describe.each(majors().filter((major) => [18, 13].includes(major)))('on PostgreSQL %i', (major) => {
	const database = useDatabase({ major });
	const run = (sql: string) => withClient(database().url, (db) => db.query(sql));

	test('the rows of a table that is not watched are redacted too where they are announced', async () => {
		await run(`create table parent (id int primary key, n int); insert into parent values (1, 1);
			create table child (id int primary key, p int references parent, secret text); insert into child values (1, 1, 'CANARY')`);
		const following = await follow(database().url, {
			watch: [{ schema: 'public', table: 'parent' }],
			redact: [{ schema: 'public', table: '*', column: 'secret' }]
		});
		// One that is renamed meanwhile, and one that comes later.
		await run(`alter table child rename secret to renamed;
			create table late (id int primary key, p int references parent, secret text); insert into late values (1, 1, 'CANARY');
			update parent set n = 2`);
		const references = () =>
			following.ticks.flatMap(({ changes }) => changes).filter(({ op }) => op === 'REFERENCE');
		await following.until('the references', () => references().length === 2);
		await following.close();
		expect(
			references()
				.map(({ after }) => after)
				.sort()
		).toEqual(['{"id":1,"p":1,"renamed":"[redacted]"}', '{"id":1,"p":1,"secret":"[redacted]"}']);
	});

	test('a partition that is detached redacts what its parent did, also where that has been renamed since', async () => {
		await run(`create table part (id int, token text) partition by range (id);
			create table part_1 partition of part for values from (0) to (10);
			create table part_2 (token text, id int); alter table part attach partition part_2 for values from (10) to (20)`);
		await watchAll(database().url);
		await run(`select rowcast.redact('part', 'token'); alter table part detach partition part_1;
			alter table part rename token to ticket; alter table part detach partition part_2`);
		const log = await openLog(database().url);
		await run(`select rowcast.watch('part_1'), rowcast.watch('part_2');
			insert into part_1 values (1, 'CANARY'); insert into part_2 values ('CANARY', 11)`);
		expect((await log.changes()).map(({ after }) => after)).toEqual([
			'{"id":"[redacted]","token":"[redacted]"}',
			'{"ticket":"[redacted]","id":11}'
		]);
		await log.close();
	});

	test('what is redacted is found whatever triggers a table has, in whatever order the planner asks', async () => {
		await run(`create table asked (id int primary key, up int references asked, secret text);
			create trigger said after insert on asked for each row execute function suppress_redundant_updates_trigger('a word');
			create table many as select i from generate_series(1, 10) i`);
		await watchAll(database().url);
		await run('select rowcast.redact($$asked$$, $$secret$$); analyze');
		for (const settings of [
			'set local enable_hashjoin = off',
			'set local enable_nestloop = off; set local enable_mergejoin = off',
			'set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off',
			'set local join_collapse_limit = 1; set local enable_hashjoin = off; set local enable_indexscan = off; set local enable_bitmapscan = off'
		])
			for (const relations of [0, 1_000_000])
				await run(`begin; ${settings}; update pg_class set reltuples = ${relations} where oid = 'rowcast.relation'::regclass;
					select rowcast.named_columns('asked'::regclass); rollback`);
	});
});

describe.skipIf(systemMajors().length === 0)('a dump that is restored', () => {
	const [major] = systemMajors().slice(-1);
	const bin = `/usr/lib/postgresql/${major}/bin`;
	const source = useDatabase({ major });
	const target = useDatabase({ major });

	test('redacts what was renamed with no server there, or every column where nobody noted that', async () => {
		await withClient(source().url, async (db) => {
			await db.query(`create table other (id int);
				create table noted (gone int, id int, secret text); alter table noted drop column gone;
				create table missed (gone int, id int, secret text); alter table missed drop column gone`);
			await watchAll(source().url);
			await db.query(
				`select rowcast.begin_epoch(), rowcast.redact('noted', 'secret'), rowcast.redact('missed', 'secret')`
			);
			await db.query(`alter table noted rename secret to renamed; alter table noted rename to noted_well;
				alter event trigger rowcast_follow_schema disable; alter table missed rename secret to renamed`);
		});
		await promisify(exec)(
			`${bin}/pg_dump -d "${source().url}" | ${bin}/psql -q -v ON_ERROR_STOP=1 -d "${target().url}"`
		);
		await withClient(target().url, async (db) => {
			const write = (id: number) =>
				db.query(`insert into noted_well values (${id}, 'CANARY'), (${id}, repeat('CANARY', 5000));
					insert into missed values (${id}, 'CANARY'), (${id}, repeat('CANARY', 5000))`);
			const rows = async () =>
				(await db.query<{ after: string }>('select after from rowcast.change order by lsn')).rows.map(
					({ after }) => after
				);
			const expected = (id: number) => [
				...Array(2).fill(`{"id":${id},"renamed":"[redacted]"}`),
				...Array(2).fill('{"id":"[redacted]","renamed":"[redacted]"}')
			];
			await write(1);
			expect(await rows(), 'before a server has seen it').toEqual(expected(1));
			await db.query('select rowcast.begin_epoch(), rowcast.watch_all()');
			await write(2);
			expect(await rows()).toEqual(expected(2));
			const { rows: tables } = await db.query(
				`select name, redacted from rowcast.tables() where redacted <> '{}'`
			);
			expect(tables).toEqual([
				{ name: 'missed', redacted: ['id', 'renamed'] },
				{ name: 'noted_well', redacted: ['renamed'] }
			]);
		});
	});
});

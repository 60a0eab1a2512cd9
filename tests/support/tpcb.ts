/** TPC-B, the load that pgbench makes by default: its tables and its transaction. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type pg from 'pg';
import { withClients } from './follow.ts';
import { systemMajors, withClient } from './postgres.ts';

const ACCOUNTS = 10_000;
const BRANCHES = 4;
const TELLERS = 10 * BRANCHES;

export const TABLES = ['pgbench_accounts', 'pgbench_branches', 'pgbench_history', 'pgbench_tellers'];

/** pgbench of Debian's packages, where one is installed. */
export const pgbench = systemMajors()
	.map((major) => `/usr/lib/postgresql/${major}/bin/pgbench`)
	.findLast(existsSync);

export async function makeTables(db: pg.ClientBase): Promise<void> {
	await db.query(`
		create table pgbench_branches (bid int primary key, bbalance int, filler char(88));
		create table pgbench_tellers (tid int primary key, bid int, tbalance int, filler char(84));
		create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
		create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
		insert into pgbench_branches select i, 0 from generate_series(1, ${BRANCHES}) i;
		insert into pgbench_tellers select i, 1 + i % ${BRANCHES}, 0 from generate_series(1, ${TELLERS}) i;
		insert into pgbench_accounts select i, 1 + i % ${BRANCHES}, 0 from generate_series(1, ${ACCOUNTS}) i;`);
}

/** Runs the transaction from several connections for some time, by pgbench itself or by pg. */
export async function run(
	by: 'pgbench' | 'pg',
	url: string,
	connections: number,
	seconds: number
): Promise<void> {
	if (by === 'pgbench') {
		const args = [
			'-n',
			'-s',
			String(BRANCHES),
			'-c',
			String(connections),
			'-T',
			String(seconds),
			'-f',
			'-',
			url
		];
		const running = promisify(execFile)(pgbench!, args);
		running.child.stdin!.end(SCRIPT);
		await running;
		return;
	}
	const end = Date.now() + seconds * 1000;
	await withClients(url, connections, (clients) =>
		Promise.all(
			clients.map(async (db) => {
				while (Date.now() < end) await transaction(db);
			})
		)
	);
}

/** pgbench's built-in script, on fewer accounts. */
const SCRIPT = `\\set aid random(1, ${ACCOUNTS})
\\set bid random(1, ${BRANCHES})
\\set tid random(1, ${TELLERS})
\\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_tellers set tbalance = tbalance + :delta where tid = :tid;
update pgbench_branches set bbalance = bbalance + :delta where bid = :bid;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (:tid, :bid, :aid, :delta, current_timestamp);
end;
`;

async function transaction(db: pg.ClientBase): Promise<void> {
	const random = (n: number) => 1 + Math.floor(Math.random() * n);
	const [aid, bid, tid, delta] = [
		random(ACCOUNTS),
		random(BRANCHES),
		random(TELLERS),
		random(10_001) - 5_001
	];
	await db.query('begin');
	await db.query('update pgbench_accounts set abalance = abalance + $1 where aid = $2', [delta, aid]);
	await db.query('select abalance from pgbench_accounts where aid = $1', [aid]);
	await db.query('update pgbench_tellers set tbalance = tbalance + $1 where tid = $2', [delta, tid]);
	await db.query('update pgbench_branches set bbalance = bbalance + $1 where bid = $2', [delta, bid]);
	await db.query(
		'insert into pgbench_history (tid, bid, aid, delta, mtime) values ($1, $2, $3, $4, current_timestamp)',
		[tid, bid, aid, delta]
	);
	await db.query('commit');
}

/** Rows written so far by table: `{ pgbench_tellers: { INSERT: 40, UPDATE: 0, DELETE: 0 } }`. */
export async function statistics(url: string): Promise<Record<string, Record<string, number>>> {
	return withClient(url, async (db) => {
		const { rows } = await db.query(
			`select relname, n_tup_ins::int as "INSERT", n_tup_upd::int as "UPDATE", n_tup_del::int as "DELETE"
			from pg_stat_user_tables where schemaname = 'public' order by 1`
		);
		return Object.fromEntries(rows.map(({ relname, ...counts }) => [relname, counts]));
	});
}

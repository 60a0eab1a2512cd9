/**
 * Brings schema `rowcast` up to date from the files of sql/, which are plain SQL, safe to run again, and take a lock
 * of their own, so that several servers may start at once.
 */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { StartError } from './errors.ts';

const FILES = Object.entries(
	import.meta.glob<string>('/sql/*.sql', { query: '?raw', import: 'default', eager: true })
)
	.map(([path, sql]) => ({
		name: path.split('/').at(-1) ?? path,
		sql,
		checksum: createHash('sha256').update(sql).digest('hex')
	}))
	.map((file) => ({
		...file,
		/** Notes that it was run. */
		record: `insert into rowcast.migration (name, checksum) values ('${file.name}', '${file.checksum}')
on conflict (name) do update set checksum = excluded.checksum, applied_at = clock_timestamp();`
	}))
	.sort((a, b) => a.name.localeCompare(b.name));

/** The files that a database lacks, or has in another version, in the order in which to run them. */
export async function pending(client: pg.ClientBase): Promise<typeof FILES> {
	const { rows } = await client.query(`select to_regclass('rowcast.migration') is not null as installed`);
	if (!rows[0].installed) return FILES;
	const applied = await client.query('select name, checksum from rowcast.migration');
	const known = new Map(applied.rows.map((row) => [row.name, row.checksum]));
	// A file may replace what a later one built on: from the first that differs, all run again.
	const first = FILES.findIndex((file) => known.get(file.name) !== file.checksum);
	return first < 0 ? [] : FILES.slice(first);
}

/** PostgreSQL's word for a role that another transaction dropped meanwhile. */
const ROLE_DROPPED = '42704';
const TRIES = 3;

/** Runs what is pending. Throws StartError where the server cannot be used at all. */
export async function migrate(client: pg.ClientBase): Promise<void> {
	await checkServer(client);
	for (let tries = 1; ; tries++) {
		try {
			return await runPending(client);
		} catch (err) {
			// An uninstall in another database, the last that had the roles, drops them as they are about to be used here.
			if ((err as pg.DatabaseError).code !== ROLE_DROPPED || tries === TRIES) throw err;
			await client.query('rollback');
		}
	}
}

async function runPending(client: pg.ClientBase): Promise<void> {
	for (const { sql, record } of await pending(client)) {
		await client.query(sql).catch((err) => {
			// A role of its name, made by somebody else, and what to do about it.
			throw err.code === '42710' && err.hint ? new StartError(`${err.message}. ${err.hint}`) : err;
		});
		await client.query(record);
	}
}

/** Throws StartError with what to do where this is no primary of a supported version. */
export async function checkServer(client: pg.ClientBase): Promise<void> {
	const { rows } = await client.query(
		`select current_setting('server_version_num')::int >= 130000 as supported, current_setting('server_version') as version,
			pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only,
			has_database_privilege(current_database(), 'create') or to_regnamespace('rowcast') is not null as may_install,
			current_user as role, current_database() as database`
	);
	const it = rows[0];
	if (!it.supported) {
		throw new StartError(`This is PostgreSQL ${it.version}; Rowcast needs 13 or newer.`);
	}
	if (it.standby) {
		throw new StartError('This server is a standby, where nothing can be recorded; connect to the primary.');
	}
	if (it.read_only) {
		throw new StartError(
			`Transactions of role ${it.role} are read-only here; connect as a role whose default_transaction_read_only is off.`
		);
	}
	if (!it.may_install) {
		throw new StartError(
			`Role ${it.role} may not create schema rowcast; run "grant create on database ${it.database} to ${it.role}" as the owner of the database, or install as another role.`
		);
	}
}

/** What to do about publications that have Rowcast's tables too, as their subscribers lack those; undefined where there are none. */
export async function warnOfPublications(client: pg.ClientBase): Promise<string | undefined> {
	const { rows } = await client.query(
		`select string_agg(format('%I', pubname), ', ' order by pubname) as names from pg_publication where puballtables`
	);
	if (rows[0].names === null) return undefined;
	return `Publication ${rows[0].names} is for all tables, those of schema rowcast too: a subscriber that lacks them stops. Publish a list of tables (from PostgreSQL 15 on, of schemas), or create schema rowcast in the subscriber too (psql -f, the files of sql/ in order) and do not refresh the subscription.`;
}

/** Watches what the configuration asks for: a table a transaction, never queueing the application behind a lock. */
import pg from 'pg';
import type { TableName } from '../protocol.ts';
import { nameOf, type Relations } from './catalog.ts';
import { StartError } from './errors.ts';
import type { Log } from './log.ts';
import type { Config } from './types.ts';

/**
 * How long creating a trigger may wait for the transactions that write to its table. Whoever comes after waits as
 * long, so it is short; the next try comes with the next look at the catalogue.
 */
export const LOCK_TIMEOUT_MS = 300;

/**
 * Notes the redacted columns and watches the tables that are to be watched and are not. Problems go to the catalogue.
 * `first`: a table that is named and not there is a mistake; later it may have been dropped, to be made again.
 * `seen`: the newest tick when the triggers were looked at before.
 */
export async function watchConfigured(
	client: pg.ClientBase,
	{ watch, redact }: Pick<Config, 'watch' | 'redact'>,
	catalog: Relations,
	log: Log,
	first = true,
	seen?: bigint
): Promise<void> {
	const { rows } = await client.query<{ oid: string; schema: string; name: string; state: string }>(
		'select oid, schema, name, rowcast.trigger_state(oid) as state from rowcast.watchable()'
	);
	const tables = rows.map(({ oid, schema, name, state }) => ({ oid, state, schema, table: name }));
	if (first) {
		// A role that only reads has no say in it.
		const { rows } = await client.query(
			`select has_function_privilege('rowcast.set_redaction(jsonb)', 'execute') as may`
		);
		if (rows[0].may) {
			await client.query('select rowcast.set_redaction($1)', [JSON.stringify(redact)]);
			// A server that watches nothing looks on.
			if (watch !== null)
				await client.query(`select rowcast.configure('watch_new', $1)`, [watch === 'all' ? 'on' : 'off']);
		}
	}
	const named = Array.isArray(watch) ? watch : [];
	for (const missing of named.filter((each) => !tables.some((table) => nameOf(table) === nameOf(each)))) {
		const problem = `ROWCAST_WATCH names ${missing.schema}.${missing.table}, which is no table of this database.`;
		if (first) throw new StartError(problem);
		note(missing, problem);
	}
	const wanted = new Set(named.map(nameOf));
	for (const table of tables) {
		if (table.state !== 'watched' && table.state !== 'not watched')
			await client.query('select rowcast.note_unsound($1::oid, $2)', [table.oid, seen]);
		const columns = redact.filter((each) => matches(each, table));
		const due = (watch === 'all' || wanted.has(nameOf(table))) && table.state !== 'watched';
		if (!due && (columns.length === 0 || table.state === 'not watched')) continue;
		try {
			await client.query('begin');
			await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
			if (columns.length > 0) {
				await client.query(
					`select rowcast.redact($1::oid, variadic array(select attname::text from pg_attribute
						where attrelid = $1 and attnum > 0 and not attisdropped and ('*' = any ($2) or attname = any ($2))))`,
					[table.oid, columns.map(({ column }) => column)]
				);
			}
			if (due && table.state === 'not watched' && seen !== undefined)
				await client.query('select rowcast.note_new($1::oid, $2)', [table.oid, seen]);
			if (due) await client.query('select rowcast.watch($1::oid)', [table.oid]);
			await client.query('commit');
			catalog.problems.delete(nameOf(table));
		} catch (err) {
			await client.query('rollback');
			const problem = problemOf(err);
			if (!problem) throw err;
			note(table, problem);
		}
	}

	function note(table: TableName, problem: string) {
		if (!catalog.problems.has(nameOf(table))) log.warn({ schema: table.schema, table: table.table }, problem);
		catalog.problems.set(nameOf(table), problem);
	}
}

/** Does a pattern of ROWCAST_REDACT name columns of this table? */
export const matches = (pattern: TableName, table: TableName) =>
	['*', table.schema].includes(pattern.schema) && ['*', table.table].includes(pattern.table);

/** What keeps one table from being watched and harms no other. */
export function problemOf(err: unknown): string | undefined {
	if (!(err instanceof pg.DatabaseError)) return undefined;
	switch (err.code) {
		case '55P03':
			return 'A long transaction holds this table; Rowcast tries again until it ends.';
		case '42501':
			return 'The role that Rowcast uses may not create triggers here; grant it, or install as the owner: rowcast install';
		case '42P01': // dropped a moment ago
			return 'The table is gone.';
		case '42809':
			return 'Tables of this kind cannot be watched.';
		default:
			return undefined;
	}
}

/** Connections to the database. */
import type { Socket } from 'node:net';
import pg from 'pg';
import type { Log } from './log.ts';

/** How long a read on behalf of a viewer may take. */
export const READ_TIMEOUT_MS = 10_000;

/**
 * How to connect: named in pg_stat_activity, with 5 s to connect and with a heartbeat of TCP, because a connection
 * that is cut silently never errors by itself.
 */
export function connectionOptions(database: { connectionString?: string }): pg.ClientConfig {
	return {
		...database,
		application_name: 'rowcast',
		connectionTimeoutMillis: 5_000,
		keepAlive: true,
		keepAliveInitialDelayMillis: 5_000,
		types: TEXT
	};
}

/** A pool for reads: a statement that outlives its timeout is ended by the server, or given up here. */
export function makePool(database: { connectionString?: string }, log: Log): pg.Pool {
	const pool = new pg.Pool({
		...connectionOptions(database),
		max: 8,
		onConnect: async (client) => {
			if (!shared.has(pool)) await client.query(settings('session'));
		},
		idleTimeoutMillis: 30_000,
		query_timeout: READ_TIMEOUT_MS + 2_000
	});
	// An idle connection that breaks is replaced at the next query; without a listener it would end the process.
	pool.on('error', (err) => log.warn({ err }, 'a connection to the database broke'));
	// The same for one that breaks while it is lent out: the query under way rejects, the error may come once more.
	const open = new Set<pg.PoolClient>();
	clients.set(pool, open);
	pool.on('connect', (client) => {
		open.add(client);
		client.on('error', () => {});
	});
	pool.on('remove', (client) => open.delete(client));
	return pool;
}

/**
 * For reads. The log's leaves have no statistics: PostgreSQL before 18 would compile each query for 300 ms, and all
 * collect a million rows in a bitmap to sort out the first thousand, which an index has in order; or, for the few
 * transactions that were running at a tick, read a whole leaf (25 ms for each tick, with 300,000 rows in it).
 */
const settings = (scope: 'session' | 'local') =>
	Object.entries({
		jit: 'off',
		enable_bitmapscan: 'off',
		enable_seqscan: 'off',
		statement_timeout: READ_TIMEOUT_MS
	})
		.map(([name, value]) => `set ${scope} ${name} = ${value}`)
		.join('; ');

/** Pools whose sessions are lent to others, too. */
const shared = new WeakSet<pg.Pool>();

/**
 * From now on each query is a transaction of its own that leaves nothing behind in the session, which others use next:
 * neither settings nor prepared statements. To be called before the pool is used.
 */
export function shareSessions(pool: pg.Pool): void {
	if (shared.has(pool)) return;
	shared.add(pool);
	const query = async (given: string | pg.QueryConfig, values?: unknown[]) => {
		const { name: _, ...unnamed } = typeof given === 'string' ? { text: given, values, name: '' } : given;
		const client = await pool.connect();
		let broken: unknown;
		try {
			await client.query(`begin; ${settings('local')}`);
			const result = await client.query(unnamed);
			await client.query('commit');
			return result;
		} catch (err) {
			// One that did not answer is not asked again.
			if (!(err instanceof pg.DatabaseError)) broken = err;
			else await client.query('rollback').catch((error) => (broken = error));
			throw err;
		} finally {
			client.release(Boolean(broken));
		}
	};
	pool.query = query as typeof pool.query;
}

/**
 * The pool for one who may leave: once `signal` is aborted, its queries reject, and the one under way ends in the
 * database too (not behind a pooler, which hides whom to tell: there it runs to its end or its timeout).
 */
export function stoppable(pool: pg.Pool, signal: AbortSignal): pg.Pool {
	const query = async (config: pg.QueryConfig) => {
		signal.throwIfAborted();
		if (shared.has(pool)) return pool.query(config);
		const client = await pool.connect();
		let told: Promise<unknown> | undefined;
		let broken: unknown;
		const stop = () => {
			const { processID } = client as unknown as { processID: number };
			told = pool.query('select pg_cancel_backend($1)', [processID]).catch(() => {});
		};
		signal.addEventListener('abort', stop);
		try {
			signal.throwIfAborted();
			return await client.query(config);
		} catch (err) {
			if (err instanceof pg.DatabaseError ? err.severity === 'FATAL' : !signal.aborted) broken = err;
			throw err;
		} finally {
			signal.removeEventListener('abort', stop);
			// Whoever has the connection next is not the one that is told.
			await told;
			client.release(Boolean(broken));
		}
	};
	return Object.create(pool, { query: { value: query } });
}

/** The connections of each pool. */
const clients = new WeakMap<pg.Pool, Set<pg.PoolClient>>();

/**
 * Breaks every connection, so that reads under way fail now. Where one was silent the others are too, and would wait
 * for their timeouts.
 */
export function breakAll(pool: pg.Pool, reason: Error): void {
	for (const client of clients.get(pool) ?? []) {
		// pg has no name for it: end() would be polite to a connection that is idle, and wait.
		const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
		stream.destroy(reason);
	}
}

/** Where the database is, for people and without secrets: `shop @ 127.0.0.1:5433`. */
export function describeDatabase(database: { connectionString?: string }): string {
	const { host, port, database: name } = new pg.Client(database);
	return `${name} @ ${host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`}`;
}

/**
 * Every value is the text that PostgreSQL wrote, so that none loses digits and no row is parsed; booleans alone are
 * worth turning into something else.
 */
const TEXT: pg.CustomTypesConfig = {
	getTypeParser: ((oid: number) =>
		oid === pg.types.builtins.BOOL ? (value: string) => value === 't' : (value: string) => value) as never
};

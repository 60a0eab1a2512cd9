/**
 * Following through a pooler that lends a session for one transaction only, as pgbouncer does with
 * pool_mode=transaction. Nothing of a session lasts there: nobody hears what a LISTEN is for, a SET would change the
 * application's queries, and a session's lock would stay with the pooler for good. So none of them is used: each tick
 * is a transaction of its own, whose locks end with it, and made by looking, for no writer is asked to ring. Several
 * servers may do so beside each other, and beside one that leads.
 */
import pg from 'pg';
import type { Leader, LeaderOptions } from './leader.ts';
import { connectionOptions } from './pool.ts';
import { STEP } from './queries.ts';

export const POOLED_MESSAGE =
	'A pooler in transaction mode stands before the database: changes are told up to 0.2 s late; point DATABASE_URL at PostgreSQL itself, or let the pooler pool sessions.';

/** Between two looks: while someone views, and while nobody does. */
const LOOK_MS = 150;
const IDLE_MS = 1_000;
const READ_ALONG = 100;

const PROBES = 10;
const PROBE_TIMEOUT_MS = 2_000;

/**
 * Does a pooler lend the session behind this connection to others, too? PostgreSQL itself says at connect which process
 * serves; a pooler says something of its own. Then two connections take turns: where sessions are pooled each keeps
 * its own process, and where transactions are they meet the same one, or one meets another than before.
 */
export async function sharesSessions(
	client: pg.Client,
	database: { connectionString?: string }
): Promise<boolean> {
	let mine = await backendOf(client);
	// pg's types do not know it.
	if (String((client as unknown as { processID: number }).processID) === mine) return false;
	const other = new pg.Client({ ...connectionOptions(database), query_timeout: PROBE_TIMEOUT_MS });
	other.on('error', () => {});
	try {
		await other.connect();
		for (let i = 0; i < PROBES; i++) {
			// Once, then twice: where only two sessions are free and they take turns, each connection would meet its own.
			for (let asked = 0; asked <= i % 2; asked++) if ((await backendOf(other)) === mine) return true;
			const now = await backendOf(client);
			if (now !== mine) return true;
			mine = now;
		}
		return false;
	} catch (err) {
		// Sessions are pooled and all are lent out: it waits for one.
		if (err instanceof Error && /timeout/i.test(err.message)) return false;
		throw err;
	} finally {
		other.end().catch(() => {});
	}
}

async function backendOf(client: pg.Client): Promise<string> {
	return (await client.query('select pg_backend_pid() as pid')).rows[0].pid;
}

/** In a leader's place where there are no sessions. */
export function makePooledLeader({ client, viewers, ticked }: LeaderOptions): Leader {
	let running = true;
	let rung = false;
	let wake = () => {};

	return {
		ring() {
			rung = true;
			wake();
		},
		async run() {
			while (running) {
				rung = false;
				// Without a name: a prepared statement belongs to a session.
				const { rows } = await client.query<[settled: boolean, head: string, changes: string, ...unknown[]]>({
					text: STEP,
					values: ['0', READ_ALONG],
					rowMode: 'array'
				});
				const [, head, changes] = rows[0]!;
				const read = changes !== '0' && rows[0]![4] !== null;
				ticked(BigInt(head), read ? rows.map((row) => row.slice(3)) : []);
				if (rung || !running) continue;
				await new Promise<void>((resolve) => {
					const timer = setTimeout(resolve, viewers() > 0 ? LOOK_MS : IDLE_MS);
					wake = () => {
						clearTimeout(timer);
						resolve();
					};
				});
			}
		},
		stop() {
			running = false;
			wake();
		}
	};
}

/** What the leader does for the log once a second: it keeps its limits, and takes along a clock that jumped. */
import pg from 'pg';
import type { makeDatabaseClock } from './clock.ts';
import type { Leader } from './leader.ts';
import type { Log } from './log.ts';
import { connectionOptions } from './pool.ts';

const MAINTAIN = 'select rowcast.maintain($1) as due';
const PRUNE = `select case when rowcast.maintain($1) = 'prune' then rowcast.prune() end`;
/** So many failures to keep the log are no accident. */
const FAILURES = 3;
export const UNKEPT_MESSAGE =
	'Rowcast cannot keep its log within its limits: once it is full, changes are lost. The server’s log says why; an event trigger that fails for role rowcast_owner is a likely cause.';
/** The leader told the log of a jump within. */
const JUMP_KNOWN_MS = 60_000;

export interface Keeper {
	/** Notes a jump of the database's clock; `led`: this server leads, perhaps through a pooler, and may tell the log. */
	mindClock(client: Pick<pg.ClientBase, 'query'>, led?: { leader: Leader; pooled: boolean }): Promise<void>;
	keep(leads: boolean): Promise<void>;
	/** The log could not be kept, several times in a row. */
	failing(): boolean;
	close(): void;
}

export function makeKeeper({
	database,
	pool,
	clock,
	log
}: {
	database: { connectionString?: string };
	pool: pg.Pool;
	clock: ReturnType<typeof makeDatabaseClock>;
	log: Log;
}): Keeper {
	/** By how much the database's clock jumped, until the log knows; and whether this server led before and after. */
	let jump = { ms: 0, noticed: 0, led: false };
	let ledBefore: Leader | undefined;
	let failures = 0;
	let closed = false;

	/**
	 * Where the database's clock jumped, the times of the log jump with it: it ages by the time that passes. The leader's
	 * task, or of whoever takes over from one that died over it.
	 */
	async function mindClock(client: Pick<pg.ClientBase, 'query'>, led?: { leader: Leader; pooled: boolean }) {
		const ms = await clock.look(client);
		const now = performance.now();
		if (now - jump.noticed > JUMP_KNOWN_MS) jump.ms = 0;
		if (ms !== 0) {
			const throughout =
				led !== undefined && led.leader === ledBefore && !led.pooled && (jump.ms === 0 || jump.led);
			jump = { ms: jump.ms + ms, noticed: now, led: throughout };
		}
		ledBefore = led?.leader;
		if (!led || jump.ms === 0) return;
		await client.query('select rowcast.clock_jumped($1, $2)', [`${jump.ms} ms`, jump.led]);
		log.warn(`The clock of the database jumped by ${Math.round(jump.ms / 1000)} s.`);
		jump.ms = 0;
	}

	/** Beside everything else, on a connection without timeouts: 10 us a change, so a minute in a very large log. */
	let indexing: pg.Client | undefined;
	function indexLeaf() {
		if (indexing) return;
		const client = (indexing = new pg.Client(connectionOptions(database)));
		client.on('error', () => {});
		client
			.connect()
			.then(() => client.query('select rowcast.index_leaf()'))
			.catch((err) => {
				// Someone still writes there: next time.
				if (err.code !== '55P03' && !closed)
					log.warn({ err }, 'indexing the rows of the log failed; trying again');
			})
			.finally(() => {
				indexing = undefined;
				client.end().catch(() => {});
			});
	}

	/** As leader: keeps the log within its limits. */
	async function keepLog() {
		const { rows } = await pool.query(MAINTAIN, [clock.expected()]);
		if (rows[0].due === 'prune') {
			// Asked again, because several servers do this where a pooler keeps them from having a leader.
			await pool.query(PRUNE, [clock.expected()]).catch((err) => {
				if (err.code !== '55P03') throw err; // someone still writes there: next time
			});
		} else if (rows[0].due === 'index') {
			indexLeaf();
		}
	}

	async function keep(leads: boolean) {
		if (!leads) {
			failures = 0;
			return;
		}
		try {
			await keepLog();
			failures = 0;
		} catch (err) {
			failures++;
			if (!closed) log.warn({ err }, 'keeping the log within its limits failed; trying again');
			// What was turned away is noted in a transaction of its own: that of maintain() was undone with it.
			await pool.query('select rowcast.note_gap()');
		}
	}

	return {
		mindClock,
		keep,
		failing: () => failures >= FAILURES,
		close() {
			closed = true;
			indexing?.end().catch(() => {});
		}
	};
}

/**
 * The leader: one server at a time turns what became visible into ticks.
 *
 *            viewers, and changes keep coming                    fewer than QUIET_CHANGES within QUIET_MS
 *   awake ──────────────────────────────────► awake      awake ──────────────────────► settling
 *   (ticks every 10-50 ms; nobody rings)                 (takes lock `asleep`: writers ring from now on)
 *
 *   settling ──► asleep    once every transaction has ended that was running when the lock was taken: it may have
 *                          found the lock free and will not ring. Until then ticks go on, every SETTLE_MS.
 *   asleep ──► asleep      a ring: tick at once. Else every SAFETY_MS, which forgives a bug.
 *   either ──► awake       rings come thick (NOTIFY takes a global lock at commit): releases the lock.
 *   any ──► dozing         no viewer anywhere: ticks every SAFETY_MS, lock released, nobody rings.
 *
 * A leader that dies releases its locks by dying: nobody rings into the void, and another server takes over.
 * Why no change is missed: a writer's transaction has its id before it tests the lock. If it finds it held, its
 * commit rings. If it finds it free, it was running, with that id, before the lock was taken, so settling waits for it;
 * and a tick follows that wait. tests/unit/doorbell.test.ts checks every interleaving of it.
 */
import type pg from 'pg';
import { LOCK } from './locks.ts';
import { STEP } from './queries.ts';

/** Below 200 changes a second, ringing costs writers little and shows each change at once. */
const QUIET_MS = 300;
const QUIET_CHANGES = 60;
const SETTLE_MS = 50;
const SAFETY_MS = 1_000;
/** A tick with at most so many changes is read in the round trip that makes it; not tried after one that had more. */
const READ_ALONG = 100;
/**
 * A tick costs both processors: it takes at most a third of the time, and comes 20 times a second where it finds many
 * changes. At 8,000 changes/s that took 21% of a processor, 49 ticks a second took 27%; at 1,000 it would be later by 20 ms.
 */
const MANY = 50;
const pace = (costMs: number, changes: number) =>
	changes > MANY ? 50 : Math.min(50, Math.max(10, 2 * costMs));
/** 30 rings within 100 ms: past 300 a second, NOTIFY costs writers more than polling costs the leader. */
const THICK_RINGS = 30;
const THICK_MS = 100;

type Mode = 'awake' | 'settling' | 'asleep' | 'dozing';

export interface Leader {
	/** A writer rang, or something else happened that may need a tick. */
	ring(): void;
	/** Runs until `stop()`; rejects with the error of the connection. */
	run(): Promise<void>;
	stop(): void;
}

export interface LeaderOptions {
	/** The connection that holds the locks; used by nobody else while a tick runs. */
	client: pg.ClientBase;
	/** Viewers of this server. */
	viewers: () => number;
	/** The newest tick, told after every step and not awaited; with its rows as the query TICKS answers them, if few. */
	ticked: (head: bigint, rows: unknown[][]) => void;
}

export function makeLeader({ client, viewers, ticked }: LeaderOptions): Leader {
	let mode: Mode = 'awake';
	let running = true;
	let rung = false;
	let wake = () => {};
	let rings: number[] = [];
	/** Changes since the window began, and whether the window before had few. */
	let windowStart = performance.now();
	let windowChanges = 0;
	let quiet = false;
	/** Settling waits for every transaction below this id. */
	let barrier = '0';
	let readAlong = READ_ALONG;

	const query = async (text: string, values: unknown[] = []) => (await client.query(text, values)).rows[0];

	function ring() {
		rung = true;
		if (mode === 'settling' || mode === 'asleep') {
			rings.push(performance.now());
			if (rings.length > THICK_RINGS) rings.shift();
		}
		wake();
	}

	async function wait(ms: number) {
		if (!rung && running) {
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, ms);
				wake = () => {
					clearTimeout(timer);
					resolve();
				};
			});
		}
		rung = false;
	}

	const ringsAreThick = () =>
		rings.length === THICK_RINGS && performance.now() - (rings[0] as number) < THICK_MS;

	async function watched(): Promise<boolean> {
		if (viewers() > 0) return true;
		// Where no server holds it shared, this one gets it exclusively for a moment.
		const { alone } = await query(
			`select pg_try_advisory_lock(${LOCK.viewers}) and pg_advisory_unlock(${LOCK.viewers}) as alone`
		);
		return !alone;
	}

	async function awaken(next: 'awake' | 'dozing') {
		if (mode === 'settling' || mode === 'asleep') await query(`select pg_advisory_unlock(${LOCK.asleep})`);
		rings = [];
		windowStart = performance.now();
		windowChanges = 0;
		quiet = false;
		mode = next;
	}

	async function run() {
		// NOTIFY makes PREPARE TRANSACTION fail: where that may be used, nobody is ever asked to ring.
		const { silent } = await query(`select current_setting('max_prepared_transactions')::int > 0 as silent`);
		while (running) {
			const started = performance.now();
			const { rows } = await client.query<
				[settled: boolean, head: string, changes: string, ...tick: unknown[]]
			>({
				name: 'step',
				text: STEP,
				values: [barrier, readAlong],
				rowMode: 'array'
			});
			const [settled, head, changes] = rows[0]!;
			const cost = performance.now() - started;
			windowChanges += Number(changes);
			readAlong = Number(changes) > READ_ALONG ? 0 : READ_ALONG;
			if (performance.now() - windowStart > QUIET_MS) {
				quiet = windowChanges < QUIET_CHANGES;
				windowStart = performance.now();
				windowChanges = 0;
			}
			const read = changes !== '0' && rows[0]![4] !== null;
			ticked(BigInt(head), read ? rows.map((row) => row.slice(3)) : []);

			if (!(await watched())) {
				await awaken('dozing');
			} else if (mode === 'dozing') {
				await awaken('awake');
			} else if (mode === 'awake') {
				if (quiet && !silent && (await query(`select pg_try_advisory_lock(${LOCK.asleep}) as got`)).got) {
					mode = 'settling';
					// An xid of its own: whoever found the lock free has an earlier one. (A snapshot's xmax is the one after the
					// newest that has ended, and writers who have not may be beyond it.)
					barrier = (await query('select pg_current_xact_id() as x')).x;
				}
			} else if (ringsAreThick()) {
				await awaken('awake');
			} else if (mode === 'settling' && settled) {
				mode = 'asleep';
			}

			if (mode === 'awake') await wait(silent && quiet ? SETTLE_MS : pace(cost, Number(changes)));
			else if (mode === 'settling') await wait(SETTLE_MS);
			else await wait(SAFETY_MS);
		}
	}

	return {
		ring,
		run,
		stop() {
			running = false;
			wake();
		}
	};
}

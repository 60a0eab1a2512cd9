/**
 * Follows one database: connects, installs what is missing, leads the ticks where no other server does, reads every
 * tick and hands it on, and comes back after an outage.
 *
 *   connect ─► prepare ─► follow (leading or not) ─► the connection breaks ─► wait ─► connect …
 */
import pg from 'pg';
import { makeCatalog, nameOf } from './catalog.ts';
import { makeDatabaseClock } from './clock.ts';
import { explain, StartError } from './errors.ts';
import { makeLeader, type Leader } from './leader.ts';
import { makeKeeper } from './keeper.ts';
import { LOCK } from './locks.ts';
import type { Log } from './log.ts';
import { migrate, warnOfPublications } from './migrate.ts';
import { breakAll, connectionOptions, shareSessions } from './pool.ts';
import { makePooledLeader, POOLED_MESSAGE, sharesSessions } from './pooled.ts';
import { makePump } from './pump.ts';
import { makeReader } from './reader.ts';
import { makeReferences } from './references.ts';
import { makeStatus } from './status.ts';
import type { Config, Follower, FollowerEvents, Tick } from './types.ts';
import { watchConfigured } from './watch.ts';

/** A follower that hears nothing looks by itself; also how soon a leader's death is noticed. */
const POLL_MS = 1_000;
/** How often the catalogue is looked at and the log is kept within its limits. */
const HOUSEKEEPING_MS = 1_000;
/** A connection that does not answer for so long is given up: half-open ones never error. */
const SILENCE_MS = 4_000;
/** The same the other way: a connection that the database believes in would keep the lead. It is used every second. */
const NOTICE_SILENCE = `
	select set_config(name, case name when 'idle_session_timeout' then '5s' when 'tcp_keepalives_count' then '3' else '1' end, false)
	from pg_settings where name in ('idle_session_timeout', 'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count')`;
const RETRY_MS = [100, 250, 500, 1_000, 2_000];
/** How long a start waits for a database that is starting up or out of connections. */
const START_PATIENCE_MS = 10_000;
/** Behind by more than this, the state says so. */
const CATCHING_UP_MS = 2_000;

export interface FollowerOptions {
	database: { connectionString?: string };
	pool: pg.Pool;
	config: Pick<Config, 'watch' | 'redact' | 'retentionMs' | 'maxLogBytes'>;
	log: Log;
	viewers: () => number;
	/** The most changes of a tick that a viewer can use. */
	wanted: () => number;
	events: FollowerEvents;
}

export function makeFollower({
	database,
	pool,
	config,
	log,
	viewers,
	wanted,
	events
}: FollowerOptions): Follower {
	/** The catalogue has something that viewers were not told. */
	let untold = false;
	const catalog = makeCatalog(pool, () => (untold = true));
	const reader = makeReader(pool, catalog);
	const references = makeReferences(pool, log, {
		appended: () => leader?.ring(),
		missed: () => status.missed()
	});
	let closed = false;
	let epoch = '';
	let gapsSeen = 0n;
	/** The newest tick when the catalogue was looked at before. */
	let seen: bigint | undefined;
	const clock = makeDatabaseClock();
	const keeper = makeKeeper({ database, pool, clock, log });
	let leader: Leader | undefined;
	/** A pooler lends out the sessions. */
	let pooled = false;
	/** Ends the session under way. */
	let interrupt = (_error: Error) => {};
	let wake = () => {};
	let finished: Promise<void> | undefined;

	const status = makeStatus({
		head: () => pump.shown ?? pump.head,
		unkept: () => keeper.failing(),
		pooled: () => pooled,
		changed: events.state
	});

	const pump = makePump({
		reader,
		wanted,
		gap: events.gap,
		current: () => status.tell('live'),
		failed: (err) => interrupt(err),
		async show(ticks) {
			const last = ticks.at(-1) as Tick;
			const lagMs = clock.since(last.at);
			status.reached(last.tick, lagMs);
			status.tell(lagMs > CATCHING_UP_MS && last.tick < pump.head ? 'catching-up' : 'live');
			if (
				ticks.some(({ counts }) => counts.some((count) => count.op === 'UPDATE' && catalog.referenced(count)))
			) {
				announce();
			}
			await events.ticks(ticks);
		}
	});

	/** Up to which tick references were asked for. */
	let announcedTo: bigint | undefined;
	function announce() {
		if (!leader || pump.shown === announcedTo || pump.shown === undefined) return;
		announcedTo = pump.shown;
		references.due(announcedTo);
	}

	/** Until `wake` is called, or for so long. */
	function nap(ms: number) {
		return new Promise<void>((resolve) => {
			const timer = setTimeout(resolve, ms);
			wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});
	}

	async function prepare(client: pg.Client) {
		if (!pooled && (await sharesSessions(client, database))) {
			pooled = true;
			shareSessions(pool);
			log.warn(POOLED_MESSAGE);
		}
		const warning = epoch === '' && (await warnOfPublications(client));
		if (warning) log.warn(warning);
		await migrate(client);
		// A role that may only read takes the limits as they are.
		const rights = await client.query(
			`select has_function_privilege('rowcast.configure(text, text)', 'execute') as configures`
		);
		if (rights.rows[0].configures) {
			await client.query(`select rowcast.configure('retention', $1), rowcast.configure('max_log', $2)`, [
				`${config.retentionMs} ms`,
				String(config.maxLogBytes)
			]);
		}
		const { rows } = await client.query('select rowcast.begin_epoch() as epoch');
		await keeper.mindClock(client);
		const changed = epoch !== rows[0].epoch;
		pump.found(await reader.bounds(), changed);
		if (changed) gapsSeen = pump.head;
		seen = undefined;
		epoch = rows[0].epoch;
		if (!pooled) await client.query('listen rowcast_tick');
		// Not on the connection whose silence would mean that it is dead: thousands of tables may take seconds.
		await watch();
		await catalog.refresh();
		// From here on it is never idle for long.
		if (!pooled) await client.query(NOTICE_SILENCE);
		tellTables();
		if (changed) events.epoch(epoch);
	}

	function tellTables() {
		if (untold) events.tables(catalog.tables());
		untold = false;
	}

	async function watch(first = true) {
		const client = await pool.connect();
		try {
			await watchConfigured(client, config, catalog, log, first, seen);
		} finally {
			client.release();
		}
	}

	/** Leads until the connection breaks. */
	async function lead(client: pg.Client) {
		if (!pooled) await client.query('listen rowcast; unlisten rowcast_tick');
		leader = (pooled ? makePooledLeader : makeLeader)({
			client,
			viewers,
			ticked: (next, rows) => pump.advanceTo(next, rows)
		});
		await leader.run();
	}

	/** Follows another server's ticks; returns once it could take the lead. */
	async function follow(client: pg.Client) {
		let shared = false;
		while (!closed && !pooled) {
			const { rows } = await client.query(
				`select (select max(n) from rowcast.tick) as head, pg_try_advisory_lock(${LOCK.leader}) as leads`
			);
			pump.advanceTo(BigInt(rows[0].head));
			if (rows[0].leads) return;
			if (viewers() > 0 !== shared) {
				shared = !shared;
				await client.query(
					`select ${shared ? 'pg_advisory_lock_shared' : 'pg_advisory_unlock_shared'}(${LOCK.viewers})`
				);
			}
			await nap(POLL_MS);
		}
	}

	/** Keeps the log and the catalogue, and tells what is new in either. */
	async function keepHouse() {
		// Who takes the lead meanwhile keeps the log from the next time on, once it knows whether the clock jumped.
		const leads = leader;
		await keeper.mindClock(pool, leads && { leader: leads, pooled });
		// Ticks without a cause, so that the next cause has few of them to look through; and what a leader before left.
		announce();
		await keeper.keep(leads !== undefined);
		pump.oldest = (await reader.bounds()).oldest;
		for (const gap of await reader.gaps(gapsSeen)) {
			events.gap(gap);
			gapsSeen = BigInt(gap.until);
		}
		const looked = pump.head;
		await catalog.refresh();
		// One that is not there is looked for when the catalogue changes.
		const unwatched = catalog.tables().some((table) => catalog.problems.has(nameOf(table)));
		if (leader && (untold || unwatched)) {
			await watch(false);
			await catalog.refresh();
		}
		seen = looked;
		tellTables();
		status.tell();
	}

	/** One connection's life. */
	async function session(ready: () => void) {
		const client = new pg.Client({ ...connectionOptions(database), query_timeout: SILENCE_MS });
		const broken = new Promise<never>((_, reject) => {
			interrupt = reject;
			client.on('error', reject);
			client.on('end', () => reject(new Error('Connection terminated')));
		});
		broken.catch(() => {});
		client.on('notification', ({ channel, payload }) => {
			if (channel === 'rowcast') leader?.ring();
			else if (!leader && payload) pump.advanceTo(BigInt(payload));
		});
		let housekeeping: NodeJS.Timeout | undefined;
		let ended = false;
		try {
			await Promise.race([client.connect(), broken]);
			await Promise.race([prepare(client), broken]);
			status.tell('live');
			ready();
			const keep = async () => {
				await keepHouse().catch((err) => ended || log.warn({ err }, 'housekeeping failed; trying again'));
				if (!ended) housekeeping = setTimeout(keep, HOUSEKEEPING_MS);
			};
			housekeeping = setTimeout(keep, HOUSEKEEPING_MS);
			pump.run();
			await Promise.race([follow(client).then(() => (closed ? undefined : lead(client))), broken]);
		} finally {
			ended = true;
			clearTimeout(housekeeping);
			leader?.stop();
			leader = undefined;
			// A connection that no longer answers would not end politely either.
			const polite = client.end().catch(() => {});
			await Promise.race([polite, new Promise((resolve) => setTimeout(resolve, 500))]);
		}
	}

	async function run(ready: () => void, fail: (err: unknown) => void) {
		let started = false;
		let attempt = 0;
		const patience = performance.now() + START_PATIENCE_MS;
		while (!closed) {
			try {
				await session(() => {
					started = true;
					attempt = 0;
					ready();
				});
			} catch (err) {
				if (closed) return;
				const message = explain(err) ?? 'The database cannot be followed; the log says why.';
				const starting = ['57P03', '53300'].includes((err as { code?: string }).code ?? '');
				if (!started && !(starting && performance.now() < patience))
					return fail(explain(err) ? new StartError(message, { cause: err }) : err);
				log.warn({ err }, message);
				// It was silent: the pool's connections are too. (The database's own timeouts are of this one alone.)
				if (err instanceof Error && !(err instanceof pg.DatabaseError) && /timeout/i.test(err.message))
					breakAll(pool, err);
				status.tell('disconnected', message);
				const delay = RETRY_MS[Math.min(attempt++, RETRY_MS.length - 1)] as number;
				await nap(delay * (0.75 + Math.random() / 2));
			}
		}
	}

	return {
		start: () => new Promise((resolve, reject) => (finished = run(resolve, reject))),
		async close() {
			closed = true;
			const handed = pump.close();
			leader?.stop();
			wake();
			keeper.close();
			interrupt(new Error('closed'));
			await finished;
			await handed;
			await references.idle();
		},
		state: status.state,
		get epoch() {
			return epoch;
		},
		get head() {
			return pump.shown ?? pump.head;
		},
		get oldest() {
			return pump.oldest;
		},
		reader,
		catalog,
		poke() {
			leader?.ring();
			wake();
		}
	};
}

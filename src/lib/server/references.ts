/**
 * Announces the rows that reference changed rows: the leader's work after the tick, so that no writer waits for it.
 * The announced rows are changes of their own, in a later tick.
 */
import type pg from 'pg';
import type { Log } from './log.ts';

/** Rows announced for one changed row and foreign key; more are told as truncated. */
const MAX_ROWS = 100;
/** Changed rows whose references are looked up, for each batch of ticks and foreign key. */
const MAX_CAUSES = 1_000;
const TIMEOUT_MS = 2_000;

export interface References {
	/** Announces what is due up to this tick, soon; calls while one is under way are merged. */
	due(tick: bigint): void;
	/** Resolves when nothing is under way. */
	idle(): Promise<void>;
}

/** `appended`: told when changes were added, so that a tick is due; `missed`: when some were not that should have been. */
export function makeReferences(
	pool: pg.Pool,
	log: Log,
	{ appended, missed }: { appended(): void; missed(): void }
): References {
	let wanted = 0n;
	let working: Promise<void> | undefined;

	async function announce(until: bigint): Promise<void> {
		const client = await pool.connect();
		try {
			// Nobody sees them before the next tick, whose commit waits for the disk.
			await client.query(
				`begin; set local statement_timeout = ${TIMEOUT_MS}; set local synchronous_commit = off`
			);
			const { rows } = await client.query('select * from rowcast.announce($1, $2, $3)', [
				until,
				MAX_CAUSES,
				MAX_ROWS
			]);
			await client.query('commit');
			const [{ appended: count, skipped, failed }] = rows;
			if (failed !== '[]' || skipped !== '0') missed();
			if (failed !== '[]')
				log.warn(
					{ tick: String(until), failed },
					'references were not announced: their rows could not be read'
				);
			if (skipped !== '0') {
				log.warn(
					{ tick: String(until), skipped },
					'references of changed rows were not announced: too many at once'
				);
			}
			if (count !== '0') appended();
			client.release();
		} catch (err) {
			// A connection in doubt is not used again.
			await client.query('rollback').then(
				() => client.release(),
				() => client.release(true)
			);
			if ((err as { code?: string }).code !== '57014') throw err;
			missed();
			log.warn({ tick: String(until), err }, 'references were not announced: looking them up took too long');
			await pool.query('select rowcast.announced($1)', [until]);
		}
	}

	return {
		due(tick) {
			wanted = tick;
			working ??= (async () => {
				for (let done = -1n; done < wanted;) {
					done = wanted;
					await announce(done);
				}
			})()
				.catch((err) => log.warn({ err }, 'references could not be announced; trying again'))
				.finally(() => (working = undefined));
		},
		idle: async () => working
	};
}

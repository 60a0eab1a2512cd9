/**
 * Counts what matches a condition on values over a time that has passed, beside everything else.
 *
 *     idle ── count ──► counting ── all of it is there ──► idle
 *                       counting ── the log did not answer, some times in a row ──► stopped ── count, stop
 */

import type { Client } from '../client/index.ts';
import { clockTime } from '../format.ts';
import { piecesOf } from '../pieces.ts';
import type { Filter, Rates, RatesRequest } from '../protocol.ts';

/** So often a piece is asked for. */
const TRIES = 3;
const RETRY_MS = 3000;

/** Counts of tables and ops over a time, and what takes those that match. */
type Job = readonly [of: Rates, put: (piece: Rates) => void];

export class Counting {
	/** What matches is counted back to here; null where all of it is. */
	since: number | null = $state(null);
	stopped = $state(false);
	#round = 0;

	constructor(readonly client: () => Client) {}

	/** What is not counted, in one sentence; null where all is. */
	get note(): string | null {
		if (this.since === null) return null;
		const time = clockTime(this.since);
		return this.stopped
			? `Matches are counted from ${time} on: before, it takes the database too long`
			: `Counting what matches: back to ${time} so far`;
	}

	stop(): void {
		this.#round++;
		this.since = null;
		this.stopped = false;
	}

	/** Counts what matches up to a tick, the newest first, one job after the other; true once all of it is there. */
	async count(filter: Filter, until: string, ...jobs: Job[]): Promise<boolean> {
		this.stop();
		const round = this.#round;
		for (const [of, put] of jobs)
			for (const piece of piecesOf(of)) {
				this.since ??= Date.parse(piece.to);
				const rates = await this.#ask({ ...piece, filter, until }, round);
				if (round !== this.#round) return false;
				if (!rates) {
					this.stopped = true;
					return false;
				}
				put(rates);
				this.since = Date.parse(piece.from);
			}
		this.since = null;
		return true;
	}

	/** Null where there is no answer. */
	async #ask(request: RatesRequest, round: number): Promise<Rates | null> {
		for (let tries = 1; ; tries++) {
			try {
				return await this.client().rates(request);
			} catch {
				if (tries === TRIES || round !== this.#round) return null;
				await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
			}
		}
	}
}

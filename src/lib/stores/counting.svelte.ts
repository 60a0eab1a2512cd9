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
export const RETRY_MS = 3000;

/** Counts of tables and ops over a time, and what takes those that match. */
type Job = readonly [of: Rates, put: (piece: Rates) => void];

export class Counting {
	state: 'idle' | 'counting' | 'stopped' = $state('idle');
	/** What matches is counted back to here; null where nothing is yet. */
	since: number | null = $state(null);
	#round = 0;

	constructor(readonly client: () => Client) {}

	/** What is not counted, in one sentence; null where all is. */
	get note(): string | null {
		if (this.state === 'idle') return null;
		const time = this.since === null ? null : clockTime(this.since);
		if (this.state === 'counting') return `Counting matches${time ? `, back to ${time}` : ''}`;
		return time
			? `Matches are counted from ${time} on: the database did not count earlier ones in time`
			: 'Matches are counted from now on: the database did not count earlier ones in time';
	}

	stop(): void {
		this.#round++;
		this.state = 'idle';
	}

	/** Counts what matches up to a tick, the newest first, one job after the other; true once all of it is there. */
	async count(filter: Filter, until: string, ...jobs: Job[]): Promise<boolean> {
		this.stop();
		const round = this.#round;
		this.state = 'counting';
		for (const [of, put] of jobs) {
			this.since = null;
			for (const piece of piecesOf(of)) {
				const rates = await this.#ask({ ...piece, filter, until }, round);
				if (round !== this.#round) return false;
				if (!rates) {
					this.state = 'stopped';
					return false;
				}
				put(rates);
				this.since = Date.parse(piece.from);
			}
		}
		this.state = 'idle';
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

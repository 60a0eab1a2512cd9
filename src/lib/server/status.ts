/** What everyone is told of how the database is followed; and what to do where it is not as it could be. */
import type { State } from '../protocol.ts';
import { UNKEPT_MESSAGE } from './keeper.ts';
import { POOLED_MESSAGE } from './pooled.ts';
import { isoMicroseconds } from './spans.ts';

/** So long it is told that references are missing. */
const MISSED_MS = 30_000;
const MISSED_MESSAGE =
	'Not all rows that reference changed ones were announced just now: too many rows changed at once, or they could not be read. The server’s log says which.';

export interface Status {
	state(): State;
	/** Of the database that is followed or not, by default as before: told where that or the advice is another now. */
	tell(database?: State['database'], message?: string): void;
	/** A tick was handed on, so long after it was made. */
	reached(tick: bigint, lagMs: number): void;
	/** Not all references could be announced. */
	missed(): void;
}

export function makeStatus(follows: {
	/** The newest tick that was handed on. */
	head(): bigint;
	/** The log cannot be kept within its limits. */
	unkept(): boolean;
	/** A pooler lends out the sessions. */
	pooled(): boolean;
	changed(state: State): void;
}): Status {
	let state: State = { database: 'disconnected', head: '0', lagMs: 0, since: isoMicroseconds(Date.now()) };
	let missedAt = -Infinity;

	function advice(): string | undefined {
		if (follows.unkept()) return UNKEPT_MESSAGE;
		if (performance.now() < missedAt + MISSED_MS) return MISSED_MESSAGE;
		return follows.pooled() ? POOLED_MESSAGE : undefined;
	}

	function tell(database = state.database, message = advice()) {
		if (state.database === database && state.message === message) return;
		const since = state.database === database ? state.since : isoMicroseconds(Date.now());
		state = {
			database,
			head: String(follows.head()),
			lagMs: state.lagMs,
			since,
			...(message && { message })
		};
		follows.changed(state);
	}

	return {
		state: () => state,
		tell,
		reached: (tick, lagMs) => void (state = { ...state, head: String(tick), lagMs }),
		missed() {
			missedAt = performance.now();
			tell();
		}
	};
}

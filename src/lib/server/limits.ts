/** What one socket may ask for, and how much is asked of the database at a time. */
import type { Clock } from './delivery.ts';
import { RequestError } from './errors.ts';

/** Enough for a person who scrubs through a replay, and for a program that pages through the log. */
const BURST = 200;
const PER_SECOND = 50;
/** Reads of one socket run one after the other; so many may wait. */
const MAX_WAITING = 50;
/** Reads of all sockets together: the other connections of the pool are for delivery. */
const AT_ONCE = 4;

/** A token bucket: false when it is empty. */
export function makeBucket(clock: Pick<Clock, 'now'>, burst = BURST, perSecond = PER_SECOND): () => boolean {
	let tokens = burst;
	let filledAt = clock.now();
	return () => {
		const now = clock.now();
		tokens = Math.min(burst, tokens + ((now - filledAt) / 1000) * perSecond);
		filledAt = now;
		if (tokens < 1) return false;
		tokens--;
		return true;
	};
}

/** Runs a read when its turn comes. */
export type Turnstile = <T>(read: () => Promise<T>) => Promise<T>;

/** Lets so many reads run at a time, the others wait in order. */
export function makeTurnstile(atOnce = AT_ONCE): Turnstile {
	let running = 0;
	const waiting: (() => void)[] = [];
	return async (read) => {
		if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
		else running++;
		try {
			return await read();
		} finally {
			// The place is handed on rather than freed, so that nobody slips in between.
			const next = waiting.shift();
			if (next) next();
			else running--;
		}
	};
}

/**
 * One socket's place in the queue: its reads one after the other, each through the turnstile of all. None begins before
 * `ready`, nor once the socket is gone.
 */
export function makeQueue(
	turnstile: Turnstile,
	ready: () => Promise<void>,
	gone: AbortSignal,
	maxWaiting = MAX_WAITING
): Turnstile {
	const one = makeTurnstile(1);
	let waiting = 0;
	return async (read) => {
		if (waiting >= maxWaiting)
			throw new RequestError(
				'RATE_LIMITED',
				'Too many requests wait already; send the next when one is answered.'
			);
		waiting++;
		try {
			return await one(async () => {
				await ready();
				gone.throwIfAborted();
				return turnstile(() => {
					gone.throwIfAborted();
					return read();
				});
			});
		} finally {
			waiting--;
		}
	};
}

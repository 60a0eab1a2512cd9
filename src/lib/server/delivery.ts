/**
 * What feed and stream delivery share: the place in the log that the server has reached, and reads from the log that
 * notice when it was pruned or replaced meanwhile.
 */
import type { Gap, TickMessage } from '../protocol.ts';
import { RequestError } from './errors.ts';
import type { Log } from './log.ts';
import type { Recent } from './recent.ts';
import type { Reader } from './types.ts';

/** A connected socket, as far as delivery cares. */
export interface Peer {
	readonly id: string;
	/** Nothing, or little, of what it was sent before still waits in this process. */
	idle(): boolean;
}

/** The way out. */
export interface Transport {
	tick(peers: Peer[], message: TickMessage): void;
	gap(peers: Peer[], message: Gap): void;
	/** Resolves when the peer acknowledged, to false where it is gone already. */
	tickAcknowledged(peer: Peer, message: TickMessage): Promise<boolean>;
}

/** Time, so that tests can hold it. */
export interface Clock {
	now(): number;
	/** Calls back later; returns what cancels it. */
	after(ms: number, call: () => void): () => void;
}

/** What delivery works with. The hub moves `head`. */
export interface Delivery {
	epoch: string;
	/** The newest tick that was handed over. */
	head: bigint;
	readonly recent: Recent;
	readonly reader: Reader;
	readonly transport: Transport;
	readonly clock: Clock;
	readonly log: Log;
	/** These were sent all up to this tick. */
	passed(peers: Peer[], tick: bigint): void;
}

/** One subscription, of either mode. */
export interface Subscription {
	readonly peer: Peer;
	/** The last tick that it was sent. */
	readonly sent: bigint;
	stop(): void;
}

/** A message that covers nothing is sent this often, so that a viewer of something quiet can resume near the head. */
export const QUIET_MS = 5_000;
/** How often it is looked whether a connection that is slow has drained. */
export const LOOK_MS = 33;
/** After a failed read. */
export const RETRY_MS = 500;

export const isGap = (outcome: object): outcome is Gap => 'reason' in outcome;

/**
 * Reads of the ticks after `after`, with a check afterwards that they were all there: retention runs beside it. A gap
 * means that what was read is not to be used.
 */
export async function readAfter<T>(
	delivery: Delivery,
	after: bigint,
	read: (reader: Reader) => Promise<T>
): Promise<T | Gap> {
	const { epoch, reader } = delivery;
	const result = await read(reader);
	const bounds = await reader.bounds();
	if (bounds.epoch !== epoch || delivery.epoch !== epoch)
		throw new RequestError('UNAVAILABLE', 'The log was replaced by another; subscribe anew.');
	return bounds.oldest > after
		? { after: String(after), until: String(bounds.oldest), reason: 'pruned' }
		: result;
}

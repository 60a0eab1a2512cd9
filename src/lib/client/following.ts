/**
 * One subscription over any number of connections.
 *
 *     waiting --start--> asking --accepted--> following --hole--> asking
 *     any --pause (the connection broke)--> waiting        any --stop--> stopped
 *
 * Only while following are ticks taken: one that was under way for an earlier subscription is not ours.
 */
import type { Cursor, ErrorCode, Gap, Subscribed, SubscribeRequest, TickMessage } from '../protocol.ts';

export interface SubscriptionHandlers {
	/** In stream mode the next one is sent when the promise that this returns is fulfilled. */
	tick(message: TickMessage): void | Promise<void>;
	/** These ticks cannot be shown. */
	gap?(gap: Gap): void;
	/** The server refused the subscription: it is over. */
	error?(error: Error): void;
}

/** A request that the server refused, by its code. */
export class Refused extends Error {
	constructor(
		readonly code: ErrorCode,
		message: string
	) {
		super(message);
		this.name = 'Refused';
	}
}

export class Following {
	cursor: Cursor | null;
	#state: 'waiting' | 'asking' | 'following' | 'stopped' = 'waiting';
	/** How much of a large tick was given: after a cut its parts come again from the first. */
	#begun: { tick: string; seq: string } | null = null;
	/** Handlers that are not done yet. */
	#busy: Promise<void> | null = null;
	/** Answers to a question asked before the last pause are not ours. */
	#round = 0;

	constructor(
		readonly request: SubscribeRequest,
		readonly handlers: SubscriptionHandlers,
		readonly send: (
			request: SubscribeRequest,
			accepted: (answer: Subscribed) => void,
			failed: (error: Error) => void
		) => void
	) {
		this.cursor = request.after ?? null;
	}

	start(epoch: string): void {
		if (this.#state === 'stopped') return;
		const round = ++this.#round;
		this.#state = 'asking';
		this.send(
			{ ...this.request, ...(this.cursor ? { after: this.cursor } : {}) },
			({ tick, gap }) => {
				if (round !== this.#round) return;
				this.cursor = { epoch, tick };
				this.#state = 'following';
				if (gap) void this.#tell(() => this.handlers.gap?.(gap));
			},
			(error) => {
				if (round !== this.#round) return;
				if (error instanceof Refused && error.code !== 'UNAVAILABLE' && error.code !== 'RATE_LIMITED') {
					this.#state = 'stopped';
					this.handlers.error?.(error);
				} else setTimeout(() => round === this.#round && this.start(epoch), 2000);
			}
		);
	}

	async receive(message: TickMessage, ack?: () => void): Promise<void> {
		if (this.#state !== 'following' || !this.cursor) return;
		const held = BigInt(this.cursor.tick);
		// A later part of a large tick has the `from` of its first: the cursor stands still until the last.
		if (BigInt(message.from) !== held) {
			if (BigInt(message.tick) <= held) return ack?.();
			return this.start(this.cursor.epoch);
		}
		const begun = this.#begun;
		this.#begun = null;
		if (message.more) {
			const seq = message.changes.at(-1)?.seq ?? begun?.seq ?? '-1';
			const later = begun?.tick === message.tick && BigInt(begun.seq) > BigInt(seq) ? begun.seq : seq;
			this.#begun = { tick: message.tick, seq: later };
		} else this.cursor = { epoch: this.cursor.epoch, tick: message.tick };
		const news = begun?.tick === message.tick ? beyond(message, BigInt(begun.seq)) : message;
		try {
			await this.#tell(() => this.handlers.tick(news));
		} catch (error) {
			// What comes next may build on what was not taken: nothing comes.
			this.stop();
			if (!this.handlers.error) throw error;
			this.handlers.error(error as Error);
			return;
		}
		if (!this.#over()) ack?.();
	}

	missed(gap: Gap): void {
		if (this.#state !== 'following' || !this.cursor) return;
		if (BigInt(gap.until) > BigInt(this.cursor.tick))
			this.cursor = { epoch: this.cursor.epoch, tick: gap.until };
		void this.#tell(() => this.handlers.gap?.(gap));
	}

	/** Calls a handler as soon as those before it are done, in the order of arrival, also over a cut. */
	#tell(handler: () => void | Promise<void>): void | Promise<void> {
		const call = () => (this.#over() ? undefined : handler());
		const told = this.#busy ? this.#busy.then(call) : call();
		if (!told) return;
		const done: Promise<void> = told
			.catch(() => {})
			.then(() => {
				if (this.#busy === done) this.#busy = null;
			});
		this.#busy = done;
		return told;
	}

	pause(): void {
		if (this.#state === 'stopped') return;
		this.#state = 'waiting';
		this.#round++;
	}

	#over(): boolean {
		return this.#state === 'stopped';
	}

	stop(): void {
		this.#state = 'stopped';
		this.#round++;
	}
}

/** The same without the changes up to `seq`, which were given before. */
function beyond(message: TickMessage, seq: bigint): TickMessage {
	return { ...message, changes: message.changes.filter((change) => BigInt(change.seq) > seq) };
}

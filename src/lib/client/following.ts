/**
 * One subscription over any number of connections.
 *
 *     waiting --start--> asking --accepted--> following --hole--> asking
 *     any --pause (the connection broke)--> waiting        any --stop--> stopped
 *
 * Only while following are ticks taken: one that was under way for an earlier subscription is not ours.
 */
import type {
	Change,
	Cursor,
	ErrorCode,
	Gap,
	Subscribed,
	SubscribeRequest,
	TickMessage
} from '../protocol.ts';

export interface SubscriptionHandlers {
	/** In stream mode the next one is sent when the promise that this returns is fulfilled. */
	tick(message: TickMessage): void | Promise<void>;
	/** These ticks cannot be shown; of a `capture` gap they are, without what was not recorded. */
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
	/**
	 * What was given of ticks beyond the cursor: the changes up to this seq, of the ticks up to this one. After a cut they
	 * come again, perhaps merged or split otherwise.
	 */
	#given: { tick: bigint; seq: bigint }[] = [];
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
				if (this.cursor?.epoch !== epoch) this.#given = [];
				this.#moveTo({ epoch, tick });
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
		const news = { ...message, changes: message.changes.filter((change) => !this.#wasGiven(change)) };
		const last = message.changes.at(-1);
		if (!message.more) this.#moveTo({ epoch: this.cursor.epoch, tick: message.tick });
		else if (last) this.#gave(BigInt(message.tick), BigInt(last.seq));
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
		// The ticks of a `capture` gap come all the same, without what was not recorded.
		if (gap.reason !== 'capture' && BigInt(gap.until) > BigInt(this.cursor.tick))
			this.#moveTo({ epoch: this.cursor.epoch, tick: gap.until });
		void this.#tell(() => this.handlers.gap?.(gap));
	}

	#moveTo(cursor: Cursor): void {
		this.cursor = cursor;
		this.#given = this.#given.filter(({ tick }) => tick > BigInt(cursor.tick));
	}

	#gave(tick: bigint, seq: bigint): void {
		const more = this.#given.filter((each) => each.tick > tick || each.seq > seq);
		this.#given = [...more, { tick, seq }];
	}

	#wasGiven(change: Change): boolean {
		return this.#given.some(({ tick, seq }) => BigInt(change.tick) <= tick && BigInt(change.seq) <= seq);
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

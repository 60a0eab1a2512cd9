/**
 * The hub: from ticks, which the follower hands over, to the sockets that subscribed.
 *
 * It knows where the log begins and ends and who watches what, resolves the cursor of a viewer who comes back into a
 * start and the gaps that it must be told, and leaves the sending to feed and stream. Clock and transport are passed
 * in. A new subscription of a socket replaces the one before at the moment when it is acknowledged, so that what comes
 * after the acknowledgement belongs to it. Requests count in the order of their arrival, whichever is read for sooner.
 */
import { MAX_CHANGES, type Cursor, type Filter, type Gap, type Subscribed } from '../protocol.ts';
import type { Clock, Delivery, Peer, Subscription, Transport } from './delivery.ts';
import { makeFeed } from './feed.ts';
import type { Turnstile } from './limits.ts';
import type { Log } from './log.ts';
import { makeRecent } from './recent.ts';
import { makeShare } from './share.ts';
import { startStream, type Stream } from './stream.ts';
import type { Matcher } from './compose.ts';
import type { Bounds, Reader, Tick } from './types.ts';

export interface Wanted {
	filter: Filter;
	mode: 'feed' | 'stream';
	limit: number;
	after?: Cursor | null;
}

export interface Hub {
	/** The newest tick that was handed over. */
	readonly head: bigint;
	/** How many sockets are subscribed. */
	readonly viewers: number;
	/** The most changes of a tick that anyone who is subscribed can use. */
	readonly wanted: number;
	/** How many different things are watched in mode feed. */
	readonly rooms: number;
	/** Calls `acknowledge` with the answer before anything else is sent; rejects when the log cannot be asked. */
	subscribe(
		peer: Peer,
		wanted: Wanted,
		acknowledge: (answer: Subscribed) => void,
		/** Runs what must be read of the log before. */
		turn?: Turnstile,
		/** Rejects where the filter turns out to be none. */
		known?: Promise<void>
	): Promise<void>;
	unsubscribe(peer: Peer): void;
	/** The socket is gone. */
	leave(peer: Peer): void;
	/** From the follower: new ticks, ascending. */
	ticks(ticks: readonly Tick[]): void;
	/** From the follower: what cannot be shown. */
	gap(gap: Gap): void;
	/** From the follower: another log, by `bounds`. Everybody is told, and starts at its head. */
	reset(): void;
	close(): void;
}

export interface HubOptions {
	/** Where the log begins and ends by now; asked whenever it matters. */
	bounds: Readonly<Bounds>;
	reader: Reader;
	transport: Transport;
	clock: Clock;
	log: Log;
	/** The number of subscribed sockets changed. */
	viewersChanged: () => void;
}

interface Entry {
	wanted: Wanted;
	subscription: Subscription;
	stream?: Stream;
	/** Gaps in capture that it is or was told. */
	readonly told: Set<string>;
	/** Where it started. */
	readonly start: bigint;
	/** Those that it is told once it was sent the ticks that they are of. */
	gaps: Gap[];
}

export function makeHub({ bounds, reader, transport, clock, log, viewersChanged }: HubOptions): Hub {
	const delivery: Delivery = {
		epoch: bounds.epoch,
		head: bounds.head,
		recent: makeRecent(),
		reader,
		transport,
		clock,
		log,
		passed(peers, tick) {
			if (behind.size > 0) for (const { id } of peers) tellGaps(entries.get(id), tick);
		}
	};
	const feed = makeFeed(delivery);
	// A herd that comes back asks the log once.
	const shareGaps = makeShare<bigint, Gap[]>(clock);
	/** Told lately: an answer that is shared may be older than they are. */
	let lately: Gap[] = [];
	const entries = new Map<string, Entry>();
	/** Who is to be told a gap. */
	const behind = new Set<Entry>();
	/** The requests of each socket that is here, numbered as they arrive: how many came, and which took effect last. */
	const requests = new Map<string, { came: number; done: number }>();

	/** Tells what ends before this tick, or at the head: what is not recorded is mostly noticed before the next tick. */
	function tellGaps(entry: Entry | undefined, sent: bigint): void {
		if (!entry || entry.gaps.length === 0) return;
		const isDue = ({ until }: Gap) => BigInt(until) <= sent || sent >= delivery.head;
		const due = entry.gaps.filter(isDue);
		entry.gaps = entry.gaps.filter((gap) => !isDue(gap));
		if (entry.gaps.length === 0) behind.delete(entry);
		for (const gap of due) transport.gap([entry.subscription.peer], gap);
	}

	/** Tells a gap once, and in its place: whoever lags is not told of ticks that it was not sent. */
	function owe(entry: Entry, gap: Gap): void {
		const name = nameOf(gap);
		if (entry.told.has(name) || BigInt(gap.until) <= entry.start) return;
		entry.told.add(name);
		entry.gaps.push(gap);
		behind.add(entry);
		tellGaps(entry, entry.subscription.sent);
		if (entry.gaps.length > 0) entry.stream?.wake(true);
	}

	function start(peer: Peer, wanted: Wanted, from: bigint | null, told: (start: bigint) => void): Entry {
		const { filter, mode, limit } = wanted;
		const before = entries.get(peer.id);
		if (before) {
			behind.delete(before);
			before.gaps = [];
		}
		// It may be sent something at once.
		let begun = 0n;
		const begin = (tick: bigint) => told((begun = tick));
		let entry: Entry;
		if (mode === 'feed') {
			const subscription = feed.subscribe(peer, filter, limit, from, (start) => {
				before?.subscription.stop();
				begin(start);
			});
			entry = { wanted, subscription, start: begun, told: new Set(), gaps: [] };
		} else {
			before?.subscription.stop();
			const stream = startStream(delivery, peer, filter, from, begin);
			entry = { wanted, subscription: stream, stream, start: begun, told: new Set(), gaps: [] };
		}
		entries.set(peer.id, entry);
		if (!before) viewersChanged();
		return entry;
	}

	/** Where a subscription starts. The reader refuses a condition that it does not understand. */
	async function look({ filter, after }: Wanted): Promise<{ from: bigint | null; gaps: Gap[] }> {
		const { head } = delivery;
		if (filter.where !== undefined)
			await reader.changes({ filter, after: head, until: head, order: 'asc', limit: 1 });
		return after ? resolve(after) : { from: null, gaps: [] };
	}

	/** Where a cursor starts, and what its owner missed for good. */
	async function resolve(after: Cursor): Promise<{ from: bigint | null; gaps: Gap[] }> {
		const tick = BigInt(after.tick);
		let known = { epoch: delivery.epoch, head: delivery.head, oldest: bounds.oldest };
		// Another server may be further ahead than this one.
		if (after.epoch === known.epoch && tick > known.head) known = await reader.bounds();
		if (after.epoch !== known.epoch || tick > known.head)
			return { from: null, gaps: [{ after: after.tick, until: String(delivery.head), reason: 'epoch' }] };
		if (tick === known.head) return { from: tick, gaps: [] };
		const gaps = tick < known.head ? await gapsAfter(tick) : [];
		if (tick >= known.oldest) return { from: tick, gaps };
		const until = String(known.oldest);
		return { from: known.oldest, gaps: [{ after: after.tick, until, reason: 'pruned' }, ...gaps] };
	}

	async function gapsAfter(tick: bigint): Promise<Gap[]> {
		const known = await shareGaps(tick, () => reader.gaps(tick));
		const isNew = (gap: Gap) => BigInt(gap.until) > tick && !known.some(({ after }) => after === gap.after);
		return [...known, ...lately.filter(isNew)];
	}

	function remove(peer: Peer): void {
		const entry = entries.get(peer.id);
		if (!entry) return;
		entry.subscription.stop();
		entries.delete(peer.id);
		behind.delete(entry);
		viewersChanged();
	}

	return {
		get head() {
			return delivery.head;
		},
		get viewers() {
			return entries.size;
		},
		get wanted() {
			for (const { stream } of entries.values()) if (stream) return MAX_CHANGES;
			return feed.wanted;
		},
		get rooms() {
			return feed.rooms;
		},
		async subscribe(peer, wanted, acknowledge, turn = (read) => read(), known) {
			const order = requests.get(peer.id) ?? { came: 0, done: 0 };
			requests.set(peer.id, order);
			const request = ++order.came;
			const { filter, after } = wanted;
			await known;
			const looks = after || filter.where !== undefined;
			const { from, gaps } = looks ? await turn(() => look(wanted)) : { from: null, gaps: [] };
			if (requests.get(peer.id) !== order) return;
			if (order.done > request) {
				// As if it had been replaced before anything was sent.
				acknowledge({ ok: true, tick: String(from ?? delivery.head), gap: gaps[0] ?? null });
				return;
			}
			order.done = request;
			const entry = start(peer, wanted, from, (tick) => {
				const gap = gaps[0]?.reason === 'epoch' ? { ...gaps[0], until: String(tick) } : gaps[0];
				acknowledge({ ok: true, tick: String(tick), gap: gap ?? null });
			});
			for (const [i, gap] of gaps.entries()) {
				if (i === 0) entry.told.add(nameOf(gap));
				else owe(entry, gap);
			}
		},
		unsubscribe(peer) {
			const order = requests.get(peer.id);
			if (order) order.done = ++order.came;
			remove(peer);
		},
		leave(peer) {
			requests.delete(peer.id);
			remove(peer);
		},
		ticks(ticks) {
			const counts = ticks.flatMap(({ counts }) => counts);
			for (const tick of ticks) delivery.recent.push(tick);
			const last = ticks.at(-1);
			if (!last) return;
			delivery.head = last.tick;
			const isOwing = behind.size > 0;
			feed.advance((matches: Matcher) => isOwing || counts.some(matches));
			for (const { stream } of entries.values()) stream?.wake(isOwing);
		},
		gap(gap) {
			if (gap.reason === 'capture') {
				lately = [...lately, gap].slice(-100);
				for (const entry of entries.values()) owe(entry, gap);
				if (behind.size > 0) feed.advance(() => true);
				return;
			}
			// What was pruned before this server read it: viewers find the gap when they are brought up to the head.
			const until = BigInt(gap.until);
			if (until <= delivery.head) return;
			delivery.recent.clear();
			delivery.head = until;
			feed.advance(() => true);
			for (const { stream } of entries.values()) stream?.wake();
		},
		reset() {
			delivery.epoch = bounds.epoch;
			delivery.head = bounds.head;
			delivery.recent.clear();
			lately = [];
			behind.clear();
			const before = [...entries.values()];
			for (const { subscription } of before) subscription.stop();
			for (const { wanted, subscription } of before) {
				const { peer, sent } = subscription;
				start(peer, wanted, null, (tick) => {
					transport.gap([peer], { after: String(sent), until: String(tick), reason: 'epoch' });
				});
			}
		},
		close() {
			for (const { subscription } of entries.values()) subscription.stop();
			entries.clear();
			feed.close();
		}
	};
}

const nameOf = ({ after, until }: Gap) => `${after} ${until}`;

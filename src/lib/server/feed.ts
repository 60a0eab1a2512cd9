/**
 * Feed delivery: everyone who watches the same is sent the same.
 *
 * A room holds the subscriptions with one filter and limit. Its members are all at the same tick, `room.sent`; a
 * message is composed and serialised once for them all, at most ~30 times a second, with the ticks between merged.
 * Whoever is elsewhere is a straggler: one who resumes, whose connection is slow, or who comes from a server that was
 * further ahead. A straggler is sent one merged message up to `room.sent` as soon as its connection has drained, and
 * then is a member again. So memory does not depend on how slow a viewer is, and nothing is skipped without `omitted`
 * telling so.
 */
import { MAX_CHANGES, type Filter, type Gap, type TickMessage } from '../protocol.ts';
import { makeMatcher, type Matcher } from './compose.ts';
import { QUIET_MS, RETRY_MS, isGap, type Delivery, type Peer, type Subscription } from './delivery.ts';
import { tookTooLong } from './errors.ts';
import { fromLog, fromMemory, type View } from './merge.ts';
import { filterKey } from './messages.ts';
import { makeShare, type Share } from './share.ts';

/** ~30 messages a second to each member, */
const INTERVAL_MS = 33;
/** but to all of a large room together no more than 20,000: beyond it the messages merge further. */
const PER_MEMBER_MS = 0.05;
/** A condition on values asks the database for every message. */
const INTERVAL_WHERE_MS = 200;
/** So long all changes of a tick are read, after the newest had too few that a room selects. */
const STARVED_MS = 10_000;
/** More ticks than a log ever has. */
const WHOLE = 2n ** 62n;

interface Viewer extends Subscription {
	sent: bigint;
	busy: boolean;
}

interface Room extends View {
	readonly key: string;
	readonly interval: number;
	sent: bigint;
	/** By the clock; when members were last sent a message. */
	sentAt: number;
	/** Something between `sent` and the head matches. */
	fresh: boolean;
	busy: boolean;
	readonly members: Set<Viewer>;
	readonly stragglers: Set<Viewer>;
	/** Reads for stragglers, by the tick that they start after. */
	readonly share: Share<bigint, TickMessage | Gap>;
	timer: { at: number; cancel: () => void } | null;
	/** Most ticks that one read of the log covers: half of those of a read that took too long. */
	stride: bigint;
}

export interface Feed {
	/** Starts after `from`, at the head without it. The start is told before anything is sent. */
	subscribe(
		peer: Peer,
		filter: Filter,
		limit: number,
		from: bigint | null,
		told: (start: bigint) => void
	): Subscription;
	/** Ticks arrived: the head has moved, and `touched` says whether a filter is concerned. */
	advance(touched: (matches: Matcher) => boolean): void;
	readonly rooms: number;
	/** The most changes of a tick that its messages can use: what is not sent need not be read. */
	readonly wanted: number;
	close(): void;
}

export function makeFeed(delivery: Delivery): Feed {
	const { clock, transport, log } = delivery;
	const rooms = new Map<string, Room>();
	/** By the clock; when a room last had to ask the log for what the ticks in memory leave out. */
	let starvedAt = -Infinity;

	function roomOf(filter: Filter, limit: number): Room {
		const key = `${limit} ${filterKey(filter)}`;
		let room = rooms.get(key);
		if (!room) {
			room = {
				key,
				filter,
				matches: makeMatcher(filter),
				limit,
				interval: filter.where === undefined ? INTERVAL_MS : INTERVAL_WHERE_MS,
				sent: delivery.head,
				sentAt: clock.now() - INTERVAL_WHERE_MS,
				fresh: false,
				busy: false,
				members: new Set(),
				stragglers: new Set(),
				share: makeShare(clock),
				timer: null,
				stride: WHOLE
			};
			rooms.set(key, room);
		}
		return room;
	}

	/** Sends the members what is new, if it is time. */
	function advance(room: Room): void {
		if (room.busy || room.sent >= delivery.head) return;
		if (room.members.size === 0) {
			moved(room, delivery.head);
			return;
		}
		if (clock.now() >= due(room)) compose(room, delivery.head);
	}

	function compose(room: Room, until: bigint): void {
		room.fresh = false;
		const ready = fromMemory(delivery, room, room.sent, until);
		if (ready) return deliver(room, ready);
		if (room.filter.where === undefined) starvedAt = clock.now();
		room.busy = true;
		read(room, room.sent, until)
			.then(
				(outcome) => {
					room.busy = false;
					if (rooms.get(room.key) === room) deliver(room, outcome);
				},
				(err) => {
					log.warn({ err }, 'reading the log for viewers failed; trying again');
					room.fresh = true;
					clock.after(RETRY_MS, () => {
						room.busy = false;
						tend(room);
					});
				}
			)
			.finally(() => tend(room));
	}

	/** What follows `from`, up to `until` at most. */
	async function read(room: Room, from: bigint, until: bigint): Promise<TickMessage | Gap> {
		const span = until - from < room.stride ? until - from : room.stride;
		try {
			const outcome = await fromLog(delivery, room, from, from + span);
			room.stride = room.stride < WHOLE ? 2n * room.stride : WHOLE;
			return outcome;
		} catch (err) {
			if (tookTooLong(err)) room.stride = span > 1n ? span / 2n : 1n;
			throw err;
		}
	}

	function deliver(room: Room, outcome: TickMessage | Gap): void {
		for (const viewer of room.members)
			if (!viewer.peer.idle()) {
				viewer.sent = room.sent;
				room.members.delete(viewer);
				room.stragglers.add(viewer);
			}
		send([...room.members], outcome);
		room.sentAt = clock.now();
		moved(room, reached(outcome));
	}

	function moved(room: Room, to: bigint): void {
		room.sent = to;
		for (const viewer of room.members) viewer.sent = to;
	}

	/** Brings stragglers to where the room is, those at the same tick together. */
	function gather(room: Room): void {
		const groups = new Map<bigint, Viewer[]>();
		for (const viewer of room.stragglers) {
			if (viewer.busy || viewer.sent > room.sent || !viewer.peer.idle()) continue;
			if (viewer.sent === room.sent) join(room, viewer);
			else groups.set(viewer.sent, [...(groups.get(viewer.sent) ?? []), viewer]);
		}
		for (const [from, viewers] of groups) catchUp(room, from, viewers);
	}

	function join(room: Room, viewer: Viewer): void {
		room.stragglers.delete(viewer);
		room.members.add(viewer);
	}

	function catchUp(room: Room, from: bigint, viewers: Viewer[]): void {
		const ready = fromMemory(delivery, room, from, room.sent);
		if (ready) return give(room, viewers, ready);
		for (const viewer of viewers) viewer.busy = true;
		room
			.share(from, () => read(room, from, room.sent))
			.then(
				(outcome) => {
					for (const viewer of viewers) viewer.busy = false;
					give(room, viewers, outcome);
				},
				(err) => {
					log.warn({ err }, 'reading the log for a viewer who resumes failed; trying again');
					clock.after(RETRY_MS, () => {
						for (const viewer of viewers) viewer.busy = false;
						tend(room);
					});
				}
			)
			.finally(() => tend(room));
	}

	function give(room: Room, viewers: Viewer[], outcome: TickMessage | Gap): void {
		const here = viewers.filter((viewer) => room.stragglers.has(viewer));
		send(here, outcome);
		for (const viewer of here) {
			viewer.sent = reached(outcome);
			if (viewer.sent === room.sent) join(room, viewer);
		}
	}

	function send(viewers: Viewer[], outcome: TickMessage | Gap): void {
		if (viewers.length === 0) return;
		const peers = viewers.map(({ peer }) => peer);
		if (isGap(outcome)) transport.gap(peers, outcome);
		else transport.tick(peers, outcome);
		delivery.passed(peers, reached(outcome));
	}

	/** Does what is due in a room, and comes back while there is something left to do. */
	function tend(room: Room): void {
		if (rooms.get(room.key) !== room) return;
		advance(room);
		gather(room);
		if (room.stragglers.size > 0) wake(room, clock.now() + INTERVAL_MS);
		else if (room.sent < delivery.head && !room.busy) wake(room, due(room));
	}

	function due({ fresh, sentAt, interval, members }: Room): number {
		return sentAt + (fresh ? Math.max(interval, members.size * PER_MEMBER_MS) : QUIET_MS);
	}

	/** Tends the room at that time, unless it is tended earlier. */
	function wake(room: Room, at: number): void {
		if (room.timer && room.timer.at <= at) return;
		room.timer?.cancel();
		const cancel = clock.after(Math.max(at - clock.now(), 1), () => {
			room.timer = null;
			tend(room);
		});
		room.timer = { at, cancel };
	}

	return {
		subscribe(peer, filter, limit, from, told) {
			const room = roomOf(filter, limit);
			// Who starts at the head, or beyond what the members have, must not be sent what they wait for.
			if (!room.busy && room.sent < delivery.head && (from === null ? room.fresh : from > room.sent)) {
				if (room.members.size === 0) moved(room, delivery.head);
				else compose(room, delivery.head);
			}
			const start = from ?? (room.busy ? delivery.head : room.sent);
			const viewer: Viewer = {
				peer,
				sent: start,
				busy: false,
				stop() {
					room.members.delete(viewer);
					room.stragglers.delete(viewer);
					if (room.members.size + room.stragglers.size > 0) return;
					room.timer?.cancel();
					if (rooms.get(room.key) === room) rooms.delete(room.key);
				}
			};
			room.stragglers.add(viewer);
			told(start);
			if (start === room.sent) join(room, viewer);
			else tend(room);
			return viewer;
		},
		advance(touched) {
			for (const room of rooms.values()) {
				room.fresh ||= touched(room.matches);
				tend(room);
			}
		},
		get wanted() {
			if (clock.now() - starvedAt < STARVED_MS) return MAX_CHANGES;
			// A condition on values is judged by the database, for each message.
			const limits = [...rooms.values()].map(({ filter, limit }) => (filter.where === undefined ? limit : 0));
			return Math.max(0, ...limits);
		},
		get rooms() {
			return rooms.size;
		},
		close() {
			for (const room of rooms.values()) room.timer?.cancel();
			rooms.clear();
		}
	};
}

function reached(outcome: TickMessage | Gap): bigint {
	return BigInt(isGap(outcome) ? outcome.until : outcome.tick);
}

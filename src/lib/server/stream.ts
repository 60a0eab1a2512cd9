/**
 * Stream delivery: one viewer is sent every change, and no message before it acknowledged the one before.
 *
 *   waiting ─► (the head moved, and something matches) ─► read ─► send, await the acknowledgement ─► waiting
 *
 * What is near the head comes from memory, the rest from the log page by page: a viewer who lags costs one message,
 * however far behind it is. Small ticks are merged up to the size of a message; a large tick is sent in parts.
 */
import {
	MAX_CHANGES,
	type Change,
	type Count,
	type Filter,
	type Gap,
	type Position,
	type TickMessage
} from '../protocol.ts';
import {
	addUp,
	bySeq,
	countsOf,
	makeMatcher,
	mergeable,
	split,
	sumCounts,
	textOf,
	total,
	MAX_TEXT
} from './compose.ts';
import {
	LOOK_MS,
	QUIET_MS,
	RETRY_MS,
	isGap,
	readAfter,
	type Delivery,
	type Peer,
	type Subscription
} from './delivery.ts';
import { tookTooLong } from './errors.ts';
import type { Reader, Selection, Tick } from './types.ts';

/** Ticks up to `tick` as messages: `pages` yields their changes, in as many pieces as they take. */
interface Portion {
	tick: bigint;
	at: string;
	counts: Count[];
	pages: AsyncIterable<Change[]> | Iterable<Change[]>;
}

type Page = Awaited<ReturnType<Reader['changes']>>;

export interface Stream extends Subscription {
	/** The head moved; `now`: it is told even where nothing matches. */
	wake(now?: boolean): void;
}

/** Starts after `from`, at the head without it. The start is told before anything is sent. */
export function startStream(
	delivery: Delivery,
	peer: Peer,
	filter: Filter,
	from: bigint | null,
	told: (start: bigint) => void
): Stream {
	const { clock, transport, log } = delivery;
	const matches = makeMatcher(filter);
	let sent = from ?? delivery.head;
	/** Nothing matches up to here. */
	let quiet = sent;
	let sentAt = clock.now();
	let running = true;
	let wake = () => {};
	/** Changes that are read at a time. */
	let most = MAX_CHANGES;
	/** Ends the wait for an acknowledgement. */
	let giveUp = () => {};

	function pause(ms: number | null): Promise<void> {
		return new Promise((resolve) => {
			const cancel = ms === null ? () => {} : clock.after(ms, resolve);
			wake = () => {
				cancel();
				resolve();
			};
		});
	}

	/** Until there is something to send. */
	async function due(): Promise<void> {
		while (running) {
			const { head } = delivery;
			if (sent > head || quiet >= head) {
				await pause(sent >= head ? null : Math.max(1, sentAt + QUIET_MS - clock.now()));
			} else {
				const ticks = delivery.recent.range(quiet, head);
				if (!ticks || ticks.some(({ counts }) => counts.some(matches))) return;
				quiet = head;
			}
			if (sent < delivery.head && clock.now() >= sentAt + QUIET_MS) return;
		}
	}

	async function run(): Promise<void> {
		// What was sent for a subscription before this one may wait there unread.
		while (running && !peer.idle()) await pause(LOOK_MS);
		while (running) {
			await due();
			if (!running) return;
			try {
				const portion = fromMemory() ?? (await fromLog());
				if (!running) return;
				if (isGap(portion)) {
					transport.gap([peer], portion);
					sent = quiet = BigInt(portion.until);
				} else {
					if (!(await send(portion))) return;
					sent = portion.tick;
					if (quiet < sent) quiet = sent;
				}
				sentAt = clock.now();
				delivery.passed([peer], sent);
				if (most < MAX_CHANGES) most *= 2;
			} catch (err) {
				await failed(err);
			}
		}
	}

	/** Sends; false when it was not acknowledged before the end. */
	function acknowledged(message: TickMessage): Promise<boolean> {
		return new Promise((resolve, reject) => {
			giveUp = () => resolve(false);
			transport.tickAcknowledged(peer, message).then(resolve, reject);
		});
	}

	/** Sends all parts; false when the viewer is gone. */
	async function send({ tick, at, counts, pages }: Portion): Promise<boolean> {
		const base = { from: String(sent), tick: String(tick), at, omitted: 0 };
		let part = 0;
		let held: Change[] | undefined;
		let matched: Count[] = [];
		const emit = (changes: Change[], more: boolean) => {
			const parted = more || part > 0 ? { part: part++, more } : {};
			const message: TickMessage = { ...base, counts: more ? [] : counts, changes, ...parted };
			if (filter.where !== undefined) {
				matched = addUp([...matched, ...countsOf(changes)]);
				message.matched = more ? [] : matched;
			}
			return acknowledged(message);
		};
		// One part is held back, for only the last one carries the counts, and what all of them matched.
		for await (const page of pages) {
			for (const changes of split(page)) {
				if (held && (!running || !(await emit(held, true)))) return false;
				held = changes;
			}
		}
		return running && emit(held ?? [], false);
	}

	/** As many ticks as fit one message; nothing where memory does not hold the next tick whole. */
	function fromMemory(): Portion | undefined {
		const ticks = filter.where === undefined ? delivery.recent.range(sent, delivery.head) : undefined;
		if (!ticks) return undefined;
		const chosen: Tick[] = [];
		const changes: Change[] = [];
		let text = 0;
		for (const tick of ticks) {
			const matching = tick.changes.filter(matches);
			if (matching.length < total(tick.counts.filter(matches))) break;
			text += matching.reduce((sum, change) => sum + textOf(change), 0);
			if (chosen.length > 0 && (changes.length + matching.length > MAX_CHANGES || text > MAX_TEXT)) break;
			chosen.push(tick);
			changes.push(...matching);
		}
		const last = chosen.at(-1);
		// Nothing to tell before a tick that is too large: it goes first.
		if (!last || (changes.length === 0 && chosen.length < ticks.length)) return undefined;
		return { tick: last.tick, at: last.at, counts: sumCounts(chosen, matches), pages: [changes.sort(bySeq)] };
	}

	async function fromLog(): Promise<Portion | Gap> {
		const after = sent;
		const until = delivery.head;
		return readAfter<Portion>(delivery, after, async (reader) => {
			const query = { filter, after, until, order: 'asc' as const };
			let page = await reader.changes({ ...query, limit: most, ...looking() });
			// A search that ran out of time in the first tick, without a find, goes on from where it stopped.
			while (running && page.next && page.changes.length === 0 && BigInt(page.next.tick) - 1n === after) {
				const { next: from, selection } = page;
				page = await reader.changes({ ...query, selection, from, limit: most, ...looking() });
			}
			const { changes, next, selection } = page;
			const { tick, whole } = mergeable(changes, next ? BigInt(next.tick) - 1n : until);
			if (whole.length > 0 || changes.length === 0)
				return portion(reader, after, tick, whole, [whole.sort(bySeq)]);
			const first = BigInt(changes[0]!.tick);
			return portion(reader, after, first, changes, pagesOf(first, { changes, next, selection }));
		});
	}

	/** After a read that took too long, in smaller steps. */
	function looking() {
		return most < MAX_CHANGES ? { most: 2 * most } : {};
	}

	async function portion(
		reader: Reader,
		after: bigint,
		tick: bigint,
		changes: Change[],
		pages: Portion['pages']
	): Promise<Portion> {
		return { tick, at: await reader.timeOf(tick), counts: await reader.counts(filter, after, tick), pages };
	}

	/** A tick that is larger than a page, page by page; a read that fails begins none of them anew. */
	async function* pagesOf(tick: bigint, page: Page): AsyncGenerator<Change[]> {
		for (;;) {
			if (page.changes.length > 0) yield page.changes;
			if (page.next?.tick !== String(tick)) return;
			page = await readOn(tick, page.next, page.selection);
		}
	}

	async function readOn(tick: bigint, from: Position, selection: Selection): Promise<Page> {
		while (running) {
			const read = readAfter(delivery, tick - 1n, (reader) =>
				reader.changes({
					filter,
					selection,
					after: tick - 1n,
					until: tick,
					from,
					order: 'asc',
					limit: most,
					...looking()
				})
			);
			const outcome = await read.catch(failed);
			if (outcome && isGap(outcome)) throw new Error('a tick was pruned while it was streamed');
			if (outcome) return outcome;
		}
		return { changes: [], next: null, selection };
	}

	/** Waits before the next try. */
	function failed(err: unknown): Promise<void> {
		log.warn({ err }, 'reading the log for a stream failed; trying again');
		if (tookTooLong(err)) most = Math.max(1, most >> 2);
		return new Promise((resolve) => clock.after(RETRY_MS, resolve));
	}

	told(sent);
	void run();
	return {
		peer,
		get sent() {
			return sent;
		},
		wake(now = false) {
			if (now) sentAt = -Infinity;
			wake();
		},
		stop() {
			running = false;
			wake();
			giveUp();
		}
	};
}

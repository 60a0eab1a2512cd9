/** A log in memory, a clock that stands still until it is moved, and peers that remember what they were sent. */
import pino from 'pino';
import {
	MAX_CHANGES,
	OPS,
	type Change,
	type Count,
	type Gap,
	type Op,
	type Subscribed,
	type TickMessage
} from '../../../src/lib/protocol.ts';
import { bySeq, makeMatcher } from '../../../src/lib/server/compose.ts';
import type { Clock, Peer, Transport } from '../../../src/lib/server/delivery.ts';
import { makeHub, type Hub, type Wanted } from '../../../src/lib/server/hub.ts';
import type { Turnstile } from '../../../src/lib/server/limits.ts';
import type { Bounds, Reader, Selection, Tick } from '../../../src/lib/server/types.ts';

/** What a tick is made of: how many changes of which table and op, in order. */
export type Recipe = [table: string, op: Op, rows?: number][];

export interface FakePeer extends Peer {
	slow: boolean;
	/** Asked with each acknowledged message. */
	gone: () => boolean;
	acks: (() => void)[];
	/** In the order of arrival. */
	log: (({ ack: Subscribed } | { tick: TickMessage } | { gap: Gap }) & { at: number })[];
	readonly ticks: TickMessage[];
	readonly gaps: Gap[];
}

export interface World {
	hub: Hub;
	bounds: Bounds & { oldest: bigint };
	ticks: Tick[];
	/** How often the log was asked, by question. */
	asked: Record<string, number>;
	/** Messages composed for one or more peers. */
	sends: number;
	/** Reads fail with this while it is set. */
	failure: Error | null;
	/** A search through more ticks takes too long, and fails. */
	mostTicks: number;
	/** Writes ticks and hands them to the hub. */
	write(...recipes: Recipe[]): void;
	/** Writes ticks that the hub has not read yet. */
	writeUnseen(...recipes: Recipe[]): Tick[];
	peer(options?: Partial<FakePeer>): FakePeer;
	subscribe(peer: FakePeer, wanted?: Partial<Wanted>, turn?: Turnstile): Promise<Subscribed>;
	/** Moves the clock in small steps and lets everything settle. */
	pass(ms: number): Promise<void>;
}

export function makeWorld({ head = 0 }: { head?: number } = {}): World {
	let now = 0;
	let seq = 0;
	let peers = 0;
	const timers = new Map<object, { at: number; call: () => void }>();
	const clock: Clock = {
		now: () => now,
		after(ms, call) {
			const key = {};
			timers.set(key, { at: now + ms, call });
			return () => timers.delete(key);
		}
	};
	const world = {
		asked: {},
		sends: 0,
		failure: null,
		mostTicks: Infinity,
		ticks: [],
		bounds: { epoch: 'one', head: 0n, oldest: 0n }
	} as unknown as World;

	const inside = (after: bigint, until: bigint) =>
		world.ticks.filter(({ tick }) => tick > after && tick <= until && tick > world.bounds.oldest);
	/** As the log has them: also those that a tick in memory does not hold. */
	const whole = new Map<bigint, Change[]>();

	async function ask<T>(question: string, answer: () => T): Promise<T> {
		world.asked[question] = (world.asked[question] ?? 0) + 1;
		await Promise.resolve();
		if (world.failure) throw world.failure;
		return answer();
	}

	const reader: Reader = {
		bounds: () => ask('bounds', () => ({ ...world.bounds })),
		ticks: (after, until) => ask('ticks', () => inside(after, until)),
		timeOf: (tick) => ask('timeOf', () => world.ticks.find((each) => each.tick === tick)?.at ?? ''),
		counts: (filter, after, until) =>
			ask('counts', () => {
				const matches = makeMatcher(filter);
				return inside(after, until).flatMap(({ counts }) => counts.filter(matches));
			}),
		changes: ({ filter, after, until, from, order, limit }) =>
			ask('changes', () => {
				if (until - after > world.mostTicks) throw new Error('canceling statement due to statement timeout');
				const matches = makeMatcher(filter);
				const all = inside(after, until).flatMap(({ tick }) => whole.get(tick)!.filter(matches));
				if (order === 'desc') all.reverse();
				const start = from ? all.findIndex((change) => change.seq === from.seq) + 1 : 0;
				const changes = all.slice(start, start + limit);
				const last = changes.at(-1);
				const more = start + limit < all.length && last;
				const selection: Selection = { scope: [null, null], condition: () => ({ sql: 'true', values: [] }) };
				return { changes, next: more ? { tick: last.tick, seq: last.seq } : null, selection };
			}),
		matching: () => Promise.reject(new Error('not asked here')),
		rates: () => Promise.reject(new Error('not asked here')),
		row: () => Promise.reject(new Error('not asked here')),
		alone: ([first]) =>
			ask('alone', () => whole.get(BigInt(first!.tick))!.every(({ tx }) => tx === first!.tx)),
		range: () => Promise.reject(new Error('nobody asks for a time here')),
		gaps: () => ask('gaps', () => [])
	};
	const transport: Transport = {
		tick(to, message) {
			world.sends++;
			for (const peer of to) (peer as FakePeer).log.push({ tick: message, at: now });
		},
		gap(to, message) {
			for (const peer of to) (peer as FakePeer).log.push({ gap: message, at: now });
		},
		tickAcknowledged(to, message) {
			const peer = to as FakePeer;
			peer.log.push({ tick: message, at: now });
			if (peer.gone()) return Promise.resolve(false);
			return new Promise((resolve) => peer.acks.push(() => resolve(true)));
		}
	};

	world.writeUnseen = (...recipes) =>
		recipes.map((recipe) => {
			const tick = world.bounds.head + 1n;
			const at = new Date(now).toISOString();
			const counts = new Map<string, Count>();
			const changes: Change[] = [];
			for (const [table, op, rows = 1] of recipe) {
				const name = { schema: 'public', table, op };
				const count = counts.get(table + op) ?? { ...name, rows: 0 };
				count.rows += rows;
				counts.set(table + op, count);
				for (let i = 0; i < rows; i++)
					changes.push({
						...name,
						seq: String(++seq),
						tick: String(tick),
						tx: '1',
						at,
						before: null,
						after: '{}',
						key: null
					});
			}
			whole.set(tick, changes);
			// A small tick comes whole, of others what the hub asks for.
			const most = changes.length <= 100 ? MAX_CHANGES : (world.hub?.wanted ?? 0);
			const made: Tick = {
				tick,
				at,
				counts: [...counts.values()],
				changes: most === 0 ? [] : changes.slice(-most),
				complete: changes.length <= most,
				alone: true
			};
			world.ticks.push(made);
			world.bounds.head = tick;
			return made;
		});
	world.write = (...recipes) => world.hub.ticks(world.writeUnseen(...recipes));
	world.peer = (options = {}) => {
		const peer: FakePeer = {
			id: `peer ${++peers}`,
			slow: false,
			gone: () => false,
			acks: [],
			log: [],
			idle: () => !peer.slow,
			get ticks() {
				return peer.log.flatMap((item) => ('tick' in item ? [item.tick] : []));
			},
			get gaps() {
				return peer.log.flatMap((item) =>
					'gap' in item ? [item.gap] : 'ack' in item && item.ack.gap ? [item.ack.gap] : []
				);
			},
			...options
		};
		return peer;
	};
	world.subscribe = async (peer, wanted = {}, turn) => {
		let answer: Subscribed | undefined;
		const told = (given: Subscribed) => {
			answer = given;
			peer.log.push({ ack: given, at: now });
		};
		await world.hub.subscribe(peer, { filter: {}, mode: 'feed', limit: 200, ...wanted }, told, turn);
		return answer!;
	};
	world.pass = async (ms) => {
		const end = now + ms;
		await settle();
		for (;;) {
			const next = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
			if (!next) break;
			timers.delete(next[0]);
			now = Math.max(now, next[1].at);
			next[1].call();
			await settle();
		}
		now = end;
	};

	for (let i = 0; i < head; i++) world.writeUnseen([['a', OPS[0]]]);
	world.hub = makeHub({
		bounds: world.bounds,
		reader,
		transport,
		clock,
		log: pino({ level: 'silent' }),
		viewersChanged: () => {}
	});
	return world;
}

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
	for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** What a viewer must have seen from its start on: every tick once, in order, with exact counts and nothing unsaid. */
export function problemsOf(peer: FakePeer, world: World, filter: Wanted['filter']): string[] {
	const problems: string[] = [];
	const matches = makeMatcher(filter);
	let at: bigint | undefined;
	let before = 0;
	for (const item of peer.log) {
		if ('ack' in item) at = BigInt(item.ack.tick);
		else if ('gap' in item) [at, before] = [BigInt(item.gap.until), 0];
		else {
			const { from, tick, counts, changes, omitted, more } = item.tick;
			if (BigInt(from) !== at) problems.push(`a message from ${from} follows tick ${at}`);
			const expected = world.ticks.filter((each) => each.tick > BigInt(from) && each.tick <= BigInt(tick));
			const wanted = expected.flatMap(({ counts }) => counts.filter(matches));
			const sum = (of: Count[]) => of.reduce((total, { rows }) => total + rows, 0);
			if (!more && sum(counts) !== sum(wanted))
				problems.push(`${from}..${tick}: ${sum(counts)} counted of ${sum(wanted)}`);
			const told = before + changes.length + omitted;
			if (!more && told !== sum(wanted)) problems.push(`${from}..${tick}: ${told} told of ${sum(wanted)}`);
			before = more ? told : 0;
			if (changes.some((change) => !matches(change)))
				problems.push(`${from}..${tick}: a change that does not match`);
			if (changes.some((change, i) => i > 0 && bySeq(changes[i - 1]!, change) >= 0))
				problems.push(`${from}..${tick}: out of order`);
			if (!more) at = BigInt(tick);
		}
	}
	return problems;
}

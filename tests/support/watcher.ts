/** A viewer as people write them, on the client library: it goes on after any cut, and keeps what it was given. */
import { connect, type Client, type Link, type Subscription } from '../../src/lib/client/index.ts';
import type { Change, Gap, State, SubscribeRequest } from '../../src/lib/protocol.ts';

export interface Watcher {
	client: Client;
	subscription: Subscription;
	/** In the order of their arrival; nothing where `keep` is false. */
	changes: Change[];
	/** Exact counts of all messages, by `table op`. */
	counts: Record<string, number>;
	/** Changes that were given plus those that were told to be left out. */
	told: number;
	/** What it saw, or was told the gaps of, are the ticks after `start` up to `end`; -1 before the first message. */
	start: bigint;
	end: bigint;
	gaps: Gap[];
	/** Messages that did not begin where the one before ended, without a gap between. */
	holes: string[];
	states: State[];
	links: Link[];
	epochs: string[];
	errors: Error[];
	/** Waits until the condition holds, looked at after everything that arrives; how long that took, in ms. */
	until(what: string, condition: (watcher: Watcher) => boolean, timeout?: number): Promise<number>;
	/** Until the change that `mark` wrote is here: its tick. Only in stream mode is it sure to come. */
	marked(note: string, timeout?: number): Promise<bigint>;
	/** Until everything up to a tick is here. */
	reached(tick: bigint, timeout?: number): Promise<number>;
	close(): void;
}

export interface WatcherOptions extends SubscribeRequest {
	/** Keep the changes themselves. */
	keep?: boolean;
	/** Called for each change. */
	each?: (change: Change) => void;
}

/** Connects and subscribes, in stream mode unless told otherwise. Resolves once the server accepted it. */
export async function watch(
	url: string,
	{ keep = true, each, ...request }: WatcherOptions = {}
): Promise<Watcher> {
	const waiting = new Set<() => void>();
	const marks = new Map<string, bigint>();
	const look = () => waiting.forEach((check) => check());
	/** A gap moves on where the next message begins. */
	let gapped = false;
	const client = connect(url, {
		hello({ epoch }) {
			if (watcher.epochs.at(-1) !== epoch) watcher.epochs.push(epoch);
			look();
		},
		state(state) {
			watcher.states.push(state);
			look();
		},
		link(link) {
			watcher.links.push(link);
			look();
		}
	});
	const subscription = client.subscribe(
		{ mode: 'stream', ...request },
		{
			tick({ from, tick, changes, counts, omitted, more }) {
				if (watcher.end < 0n) watcher.start = watcher.end = BigInt(from);
				if (BigInt(from) !== watcher.end && !gapped) watcher.holes.push(`${watcher.end} -> ${from}`);
				gapped = false;
				watcher.end = BigInt(more ? from : tick);
				if (keep) watcher.changes.push(...changes);
				for (const change of changes) {
					const { after } = change;
					each?.(change);
					const note = after && /"note":"mark ([^"]*)"/.exec(after)?.[1];
					if (note) marks.set(note, BigInt(tick));
				}
				watcher.told += changes.length + omitted;
				for (const { table, op, rows } of counts)
					watcher.counts[`${table} ${op}`] = (watcher.counts[`${table} ${op}`] ?? 0) + rows;
				look();
			},
			gap(gap) {
				if (gap.reason !== 'capture') gapped = true;
				watcher.gaps.push(gap);
				look();
			},
			error(error) {
				watcher.errors.push(error);
				look();
			}
		}
	);
	const watcher: Watcher = {
		client,
		subscription,
		changes: [],
		counts: {},
		told: 0,
		start: -1n,
		end: -1n,
		gaps: [],
		holes: [],
		states: [],
		links: [],
		epochs: [],
		errors: [],
		until: (what, condition, timeout = 20_000) =>
			new Promise((resolve, reject) => {
				const started = performance.now();
				const timer = setTimeout(() => {
					waiting.delete(check);
					const { told, gaps, links, states, errors } = watcher;
					const end = JSON.stringify({ told, gaps, link: links.at(-1), state: states.at(-1), errors });
					reject(new Error(`Waited ${timeout} ms for ${what}: ${end}`));
				}, timeout);
				const check = () => {
					if (!condition(watcher)) return;
					clearTimeout(timer);
					waiting.delete(check);
					resolve(performance.now() - started);
				};
				waiting.add(check);
				check();
			}),
		async marked(note, timeout) {
			await watcher.until(`the row "${note}"`, () => marks.has(note), timeout);
			return marks.get(note)!;
		},
		reached: (tick, timeout) => watcher.until(`tick ${tick}`, () => watcher.end >= tick, timeout),
		close: () => client.close()
	};
	const accepted = setInterval(look, 20);
	await watcher
		.until('the subscription', () => subscription.cursor !== null)
		.finally(() => clearInterval(accepted));
	return watcher;
}

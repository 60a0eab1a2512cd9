/**
 * The ledger: the newest changes, a bounded number of them, one transaction together and references under their cause.
 *
 * Entries are kept oldest first and shown newest first. What a person is reading is a *view*: a frozen copy of the
 * entries, so that nothing moves under their eyes while new ones go on arriving here.
 */

import type { Entry, Note, References, Transaction } from './lines.ts';
import type { Change, Position, Via } from './protocol.ts';

/** What a moment adds to the feed. */
export interface Arrival {
	at: string;
	changes: readonly Change[];
	omitted: number;
}

/** Changes that the feed holds. */
export const CAPACITY = 10_000;
/** A transaction of more rows than this comes folded. */
const FOLDED_ABOVE = 5;
/** More changes a second than a person can read; a burst of some seconds' worth is kept whole. */
const READABLE = 200;
const BURST = 2000;

export class Feed {
	entries: Entry[] = [];
	/** Changes that are held. */
	size = 0;
	/** The newest tick that is in it. */
	tick = 0n;
	/** Changes of the last whole second that are shown, and that there were. */
	sample = { shown: 0, of: 0 };
	/** Entries born at or before this moment are being read: they keep their lines. */
	frozenAt = -1;
	readonly #byChange = new Map<string, Transaction>();
	#serial = 0;
	/** Changes that may still be shown; grows with time. */
	#allowance = BURST;
	#pushedAt = 0;
	#second = { start: 0, shown: 0, of: 0 };

	constructor(readonly capacity = CAPACITY) {}

	/** Starts over with a page of history, oldest first. */
	reset(changes: readonly Change[]): void {
		this.entries = [];
		this.#byChange.clear();
		this.size = 0;
		this.tick = 0n;
		this.sample = { shown: 0, of: 0 };
		this.#add(changes, 0);
	}

	/** Adds what arrived at `now` (milliseconds on any steady clock). Above what can be read, the newest are kept. */
	push(arrival: Arrival, now: number): void {
		const { changes, omitted } = arrival;
		this.#allowance = Math.min(BURST, this.#allowance + ((now - this.#pushedAt) * READABLE) / 1000);
		this.#pushedAt = now;
		this.#turnSecond(now);
		const room = Math.floor(this.#allowance);
		const kept = changes.length > room ? changes.slice(changes.length - room) : changes;
		this.#allowance -= kept.length;
		this.#second.shown += kept.length;
		this.#second.of += changes.length + omitted;
		const left = omitted + changes.length - kept.length;
		const added = this.#add(kept, now);
		// Rows were left out of a moment in which one transaction wrote: they are that transaction's.
		const only = added.length === 1 ? added[0] : undefined;
		if (left > 0 && only) {
			only.omitted += left;
			only.open = false;
			only.lines = null;
		}
	}

	/** Adds older history (oldest first) below everything else, as far as there is room; gives its entries. */
	extend(changes: readonly Change[]): Entry[] {
		const known = this.entries;
		const { tick: newest } = this;
		this.entries = [];
		this.#add(changes.slice(-Math.max(0, this.capacity - this.size)), 0);
		const older = this.entries;
		this.entries = [...older, ...known];
		this.tick = newest;
		return older;
	}

	/** Adds a page of history (oldest first) of what was left out of a transaction, which goes on before `next`. */
	fill(transaction: Transaction, page: readonly Change[], next: Position | null): void {
		const { tick, tx } = transaction;
		const of = page.filter((change) => change.tick === tick && change.tx === tx);
		for (const change of of) if (change.via) refer(transaction, change, change.via);
		transaction.changes = [...of.filter(({ via }) => !via), ...transaction.changes];
		this.size += of.length;
		const ended = next?.tick !== tick;
		transaction.omitted = ended ? 0 : Math.max(1, transaction.omitted - of.length);
		if (!ended) transaction.next = next;
		transaction.lines = null;
	}

	/** Where the oldest change that is held stands; null while there is none. */
	oldest(): Position | null {
		for (const entry of this.entries) {
			if (entry.kind === 'note') continue;
			const change = entry.kind === 'orphan' ? entry.references.changes[0] : entry.changes[0];
			if (change) return { tick: change.tick, seq: change.seq };
		}
		return null;
	}

	/** Adds the part of a page of history (oldest first) that is newer than all that is held. */
	catchUp(changes: readonly Change[], now: number): void {
		const known = this.tick;
		this.#add(
			changes.filter(({ tick }) => BigInt(tick) > known),
			now
		);
	}

	note(tone: Note['tone'], text: string, at: string, now: number): void {
		this.entries.push({ kind: 'note', id: `note ${++this.#serial}`, at, tone, text, born: now });
	}

	/** Settles the sample when nothing arrived for a while. */
	settle(now: number): void {
		this.#turnSecond(now);
	}

	#turnSecond(now: number): void {
		const { start, shown, of } = this.#second;
		const passed = now - start;
		if (passed < 1000) return;
		const scale = passed < 3000 ? 1000 / passed : 0;
		this.sample = { shown: Math.round(shown * scale), of: Math.round(of * scale) };
		this.#second = { start: now, shown: 0, of: 0 };
	}

	#add(changes: readonly Change[], now: number): Transaction[] {
		const added = new Map<string, Transaction>();
		for (const change of changes) {
			this.size++;
			this.tick = BigInt(change.tick) > this.tick ? BigInt(change.tick) : this.tick;
			if (change.via) {
				this.#refer(change, change.via, now);
				continue;
			}
			const id = `${change.tick} ${change.tx}`;
			let transaction = added.get(id);
			if (!transaction) {
				transaction = {
					kind: 'transaction',
					id,
					tick: change.tick,
					tx: change.tx,
					changes: [],
					omitted: 0,
					references: new Map(),
					open: true,
					born: now,
					lines: null
				};
				added.set(id, transaction);
				this.entries.push(transaction);
			}
			transaction.changes.push(change);
			transaction.open = transaction.changes.length <= FOLDED_ABOVE;
			this.#byChange.set(change.seq, transaction);
		}
		this.#trim();
		return [...added.values()];
	}

	#refer(change: Change, via: Via, now: number): void {
		const { schema, table } = change;
		const id = referencesId(change, via);
		const cause = this.#byChange.get(via.seq);
		if (!cause || cause.born <= this.frozenAt) {
			const last = this.entries.at(-1);
			if (last?.kind === 'orphan' && last.references.id === id) last.references.changes.push(change);
			else {
				const references: References = {
					kind: 'references',
					id,
					schema,
					table,
					via,
					changes: [change],
					open: false
				};
				this.entries.push({
					kind: 'orphan',
					id: `orphan ${change.seq}`,
					tick: change.tick,
					references,
					born: now
				});
			}
			return;
		}
		refer(cause, change, via);
	}

	/** Drops the oldest in chunks, so that the cost of dropping is spread thin. */
	#trim(): void {
		if (this.size <= this.capacity && this.entries.length <= 2 * this.capacity) return;
		const target = this.capacity * 0.95;
		let drop = 0;
		while (drop < this.entries.length - 1 && (this.size > target || this.entries.length - drop > target)) {
			const entry = this.entries[drop++]!;
			this.size -= heldBy(entry);
			if (entry.kind === 'transaction') for (const { seq } of entry.changes) this.#byChange.delete(seq);
		}
		this.entries = this.entries.slice(drop);
	}
}

const referencesId = ({ schema, table }: Change, via: Via) =>
	`${via.seq} ${schema}.${table} ${via.constraint}`;

/** Puts a reference under its cause. */
function refer(cause: Transaction, change: Change, via: Via): void {
	const { schema, table } = change;
	const id = referencesId(change, via);
	const lists = cause.references.get(via.seq) ?? [];
	const known = lists.find((references) => references.id === id);
	if (known) known.changes.push(change);
	else lists.push({ kind: 'references', id, schema, table, via, changes: [change], open: false });
	cause.references.set(via.seq, lists);
	cause.lines = null;
}

/** Where the oldest change that a transaction's card holds stands. */
export function oldestOf({ tick, changes, references }: Transaction): Position {
	const first = [changes[0], ...[...references.values()].flat().map(({ changes }) => changes[0])];
	const seqs = first.flatMap((change) => (change ? [BigInt(change.seq)] : []));
	return { tick, seq: String(seqs.reduce((a, b) => (a < b ? a : b))) };
}

/** Whether a page of what was left out may still be loaded: a card is bounded as the feed is. */
export function fillable({ changes, loading }: Transaction): boolean {
	return !loading && changes.length < CAPACITY;
}

function heldBy(entry: Entry): number {
	if (entry.kind === 'note') return 0;
	if (entry.kind === 'orphan') return entry.references.changes.length;
	let held = entry.changes.length;
	for (const lists of entry.references.values()) for (const { changes } of lists) held += changes.length;
	return held;
}

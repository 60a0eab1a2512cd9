/**
 * The ledger: the newest changes, a bounded number of them, one transaction together and references under their cause.
 *
 * Entries are kept oldest first and shown newest first. What a person is reading is a *view*: a frozen copy of the
 * entries, so that nothing moves under their eyes while new ones go on arriving here.
 */

import { tableKey, tally } from './change.ts';
import {
	changesIn,
	cut,
	doubt,
	FOLDED_ABOVE,
	groupOf,
	keepOpen,
	refer,
	referencesOf,
	type Entry,
	type Note,
	type Orphan,
	type Transaction
} from './lines.ts';
import type { Change, Count, Position, TableInfo, TableName, Via } from './protocol.ts';
import { Sampler } from './sampler.ts';

/** What a moment adds to the feed. */
export interface Arrival {
	at: string;
	changes: readonly Change[];
	omitted: number;
	/** Of them, those of the first change's transaction, where that is known. */
	remainder?: number | undefined;
	/** Of all that matches, where they are known. */
	counts?: readonly Count[];
}

/** Changes that the feed holds. */
export const CAPACITY = 10_000;
/** A page of history; where it is full, it may begin within a transaction. */
const PAGE = 200;

export class Feed {
	entries: Entry[] = [];
	/** The tables of the database, for how their rows hang together. */
	tables: readonly TableInfo[] = [];
	/** Changes that are held. */
	size = 0;
	/** The newest tick that is in it. */
	tick = 0n;
	/** Whether nothing older can be had: all of the log is held, or as much as there is room for. */
	begun = false;
	/** Entries born at or before this moment are being read: they keep their lines. */
	frozenAt = -1;
	readonly #byChange = new Map<string, Transaction>();
	/** The `seq` of each change that is held. */
	readonly #held = new Set<string>();
	/** When the newest change that came of each table was made. */
	readonly #latest = new Map<string, string>();
	/** Where the pages of history that were added begin, null where that is the oldest entry; what it may have split. */
	#reached: Position | null = null;
	#split: Transaction[] = [];
	#serial = 0;
	readonly #sampler = new Sampler();

	constructor(readonly capacity = CAPACITY) {}

	/** Starts over with a page of history, oldest first. */
	reset(changes: readonly Change[]): void {
		const known = this.entries;
		this.entries = [];
		this.#byChange.clear();
		this.#held.clear();
		this.#latest.clear();
		this.size = 0;
		this.tick = 0n;
		this.#sampler.sample = { shown: 0, of: 0 };
		this.begun = false;
		this.#reached = null;
		this.#split = [];
		const added = this.#add(changes, 0);
		for (const entry of known) if (entry.kind === 'transaction') keepOpen(entry, added.get(entry.id));
		if (changes.length >= PAGE) this.#reach(changes[0]!);
	}

	/** Adds all of these, which follow what is held. */
	append(changes: readonly Change[]): void {
		this.#sampler.sample = { shown: 0, of: 0 };
		this.#add(changes, 0);
	}

	/** Adds what arrived at `now` (milliseconds on any steady clock). Above what can be read, the newest are kept. */
	push(arrival: Arrival, now: number): void {
		const { changes, omitted, remainder, counts } = arrival;
		const first = this.size === 0;
		// At least one, which tells of its transaction.
		const shown = Math.max(Math.min(1, changes.length), this.#sampler.take(changes.length, omitted, now));
		const dropped = changes.length - shown;
		// What is shown of a transaction is its end: where some of what goes on with it is left out, so is what came before.
		const begun = dropped + omitted > 0 ? this.#remove(changes) : [];
		const added = this.#add(changes.slice(dropped), now);
		const lost = new Map(begun.map(({ id, changes }) => [id, changes]));
		for (const change of changes.slice(0, dropped)) {
			const id = transactionId(change);
			if (change.via || !added.has(id)) continue;
			const rows = lost.get(id);
			if (rows) rows.push(change);
			else lost.set(id, [change]);
		}
		for (const [id, rows] of lost) {
			const transaction = added.get(id);
			const before = begun.find((each) => each.id === id)?.omitted ?? 0;
			if (transaction) cut(transaction, rows.length + before, tally([...rows, ...transaction.changes]));
		}
		if (omitted === 0 || added.size === 0) return;
		// What was left out came before these, or is of the first's transaction, or of any in the first of the ticks.
		if (first && remainder !== omitted) this.begun = false;
		const oldest = changes[0]!;
		if (remainder === undefined) {
			for (const transaction of added.values())
				if (transaction.tick === oldest.tick && doubt(transaction)) transaction.open = false;
		} else if (remainder > 0) {
			const transaction = oldest.via ? undefined : added.get(transactionId(oldest));
			const did = counts?.filter(({ op }) => op !== 'REFERENCE');
			if (transaction) cut(transaction, remainder, did);
		}
	}

	/** Adds older history (oldest first) below everything else, as far as there is room; gives its new entries. */
	extend(changes: readonly Change[]): Entry[] {
		const room = Math.max(0, this.capacity - this.size);
		const page = changes.slice(Math.max(0, changes.length - room));
		const known = this.entries;
		const { tick: newest } = this;
		const edge = this.oldest()?.tick;
		this.entries = [];
		this.#add(
			page.filter(({ seq }) => !this.#held.has(seq)),
			0
		);
		const older = this.entries.filter(
			(entry) => entry.kind === 'note' || entry.tick !== edge || !this.#join(entry, known)
		);
		this.entries = [...older, ...known];
		this.tick = newest;
		if (page.length > 0 || changes.length === 0) this.#reach(page[0] ?? null);
		else this.begun = true;
		return older;
	}

	/** Puts what a page's beginning had split off a known entry back to it; false where there is no such entry. */
	#join(part: Transaction | Orphan, known: readonly Entry[]): boolean {
		if (part.kind === 'transaction') {
			const whole = known.find((entry) => entry.kind === 'transaction' && entry.id === part.id);
			if (whole?.kind !== 'transaction') return false;
			// One that a person opened stays open.
			if (whole.changes.length <= FOLDED_ABOVE)
				whole.open = whole.changes.length + part.changes.length <= FOLDED_ABOVE;
			if (!whole.open) whole.unfolded.clear();
			whole.changes = [...part.changes, ...whole.changes];
			whole.omitted = Math.max(0, whole.omitted - part.changes.length);
			for (const [seq, lists] of part.references) whole.references.set(seq, lists);
			for (const { seq } of part.changes) this.#byChange.set(seq, whole);
			whole.lines = null;
			return true;
		}
		const { group } = part.references;
		const whole = known.find((entry) => entry.kind === 'orphan' && entry.references.group === group);
		if (whole?.kind !== 'orphan') return false;
		whole.references.changes = [...part.references.changes, ...whole.references.changes];
		return true;
	}

	/** Notes where history that was loaded begins, null for where the log does: a transaction there may go on before. */
	#reach(first: Change | null): void {
		for (const transaction of this.#split) {
			if (transaction.tick === first?.tick || transaction.omitted !== Infinity) continue;
			transaction.omitted = 0;
			transaction.lines = null;
		}
		this.#split = [];
		this.begun = first === null;
		if (!first) return;
		this.#reached = { tick: first.tick, seq: first.seq };
		for (const entry of this.entries) {
			if (entry.kind !== 'transaction' || entry.tick !== first.tick) continue;
			this.#split.push(entry);
			doubt(entry);
		}
	}

	/** Adds a page of history (oldest first) of what was left out of a transaction, which goes on before `next`. */
	fill(transaction: Transaction, page: readonly Change[], next: Position | null): void {
		const { tick, tx } = transaction;
		const of = page.filter(
			(change) => change.tick === tick && change.tx === tx && !this.#held.has(change.seq)
		);
		for (const change of of) {
			this.#held.add(change.seq);
			if (change.via) refer(transaction, change, change.via);
			else this.#byChange.set(change.seq, transaction);
		}
		transaction.changes = [...of.filter(({ via }) => !via), ...transaction.changes];
		this.size += of.length;
		const ended = next?.tick !== tick;
		transaction.omitted = ended ? 0 : Math.max(1, transaction.omitted - of.length);
		if (!ended) transaction.next = next;
		transaction.lines = null;
	}

	/** Where the history that is held begins; null while there is none. */
	oldest(): Position | null {
		if (this.#reached) return this.#reached;
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

	/** When a table was last changed, milliseconds, as far as came here; null where nothing did. */
	latest(table: TableName): number | null {
		return Date.parse(this.#latest.get(tableKey(table)) ?? '') || null;
	}

	/** Of the changes of the last second, how many are shown. */
	get sample() {
		return this.#sampler.sample;
	}

	/** Settles the sample when nothing arrived for a while. */
	settle(now: number): void {
		this.#sampler.settle(now);
	}

	/** The transactions at the end that are of a tick: what comes in pages goes on with them. */
	#last(tick: string | undefined): Transaction[] {
		const start = this.entries.findLastIndex((entry) => entry.kind !== 'note' && entry.tick !== tick) + 1;
		return this.entries.slice(start).filter((entry) => entry.kind === 'transaction');
	}

	/** Takes out the transactions with which these changes go on, and gives them. */
	#remove(changes: readonly Change[]): Transaction[] {
		const ids = new Set(changes.map(transactionId));
		const removed = this.#last(changes[0]?.tick).filter(({ id }) => ids.has(id));
		if (removed.length > 0)
			this.entries = this.entries.filter((entry) => !removed.includes(entry as Transaction));
		for (const transaction of removed) this.#release(transaction);
		return removed;
	}

	#release(entry: Entry): void {
		for (const { seq } of changesIn(entry)) {
			if (this.#held.delete(seq)) this.size--;
			this.#byChange.delete(seq);
		}
	}

	/** Gives the transactions that these are of, by id. */
	#add(changes: readonly Change[], now: number): Map<string, Transaction> {
		const added = new Map(this.#last(changes[0]?.tick).map((transaction) => [transaction.id, transaction]));
		for (const change of changes) {
			this.size++;
			this.#held.add(change.seq);
			this.tick = BigInt(change.tick) > this.tick ? BigInt(change.tick) : this.tick;
			if (change.via) {
				this.#refer(change, change.via, now, added);
				continue;
			}
			const table = tableKey(change);
			if (change.at > (this.#latest.get(table) ?? '')) this.#latest.set(table, change.at);
			const id = transactionId(change);
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
					tables: this.tables,
					open: true,
					unfolded: new Set(),
					born: now,
					lines: null
				};
				added.set(id, transaction);
				this.entries.push(transaction);
			}
			transaction.changes.push(change);
			// One that a person opened stays open.
			if (transaction.changes.length === FOLDED_ABOVE + 1) transaction.open = false;
			transaction.lines = null;
			if (transaction.cascades) delete transaction.cascades;
			this.#byChange.set(change.seq, transaction);
		}
		this.#trim();
		return added;
	}

	#refer(change: Change, via: Via, now: number, added: ReadonlyMap<string, Transaction>): void {
		const cause = this.#byChange.get(via.seq);
		// What comes together is not being read yet, though history is born at 0.
		if (cause && (cause.born > this.frozenAt || added.get(cause.id) === cause))
			return refer(cause, change, via);
		const group = groupOf(change, via);
		const last = this.entries.at(-1);
		if (last?.kind === 'orphan' && last.references.group === group) last.references.changes.push(change);
		else {
			const id = `orphan ${change.seq}`;
			const references = referencesOf(id, change, via);
			this.entries.push({ kind: 'orphan', id, tick: change.tick, references, born: now });
		}
	}

	/** Drops the oldest in chunks, so that the cost of dropping is spread thin. */
	#trim(): void {
		if (this.size <= this.capacity && this.entries.length <= 2 * this.capacity) return;
		this.#reached = null;
		this.begun = false;
		const target = this.capacity * 0.95;
		let drop = 0;
		while (drop < this.entries.length - 1 && (this.size > target || this.entries.length - drop > target)) {
			this.#release(this.entries[drop++]!);
		}
		this.entries = this.entries.slice(drop);
	}
}

const transactionId = ({ tick, tx }: Change) => `${tick} ${tx}`;

/** Whether a page of what was left out may still be loaded: a card is bounded as the feed is. */
export function fillable({ changes, loading }: Transaction): boolean {
	return !loading && changes.length < CAPACITY;
}

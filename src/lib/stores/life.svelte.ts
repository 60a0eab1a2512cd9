/**
 * Reads one row's life, page by page from its end backwards, at least as far as the change that is open.
 *
 *     show ──► reading ── that change, the row's first, or so many pages ──► rest ── more, an older change ──► reading
 */

import type { Change, Position } from '../protocol.ts';
import type { Archive } from './archive.ts';

/** Pages that are read before a person is asked whether to go on. */
const PAGES = 10;

const isOlder = (a: Change, b: Change) => BigInt(a.seq) < BigInt(b.seq);
const rowOf = ({ schema, table, key }: Change) => JSON.stringify([schema, table, key]);

export class Life {
	/** Newest first; null until the first page is there. */
	changes: Change[] | null = $state.raw(null);
	/** Of the whole table: each ended the row that was there. */
	emptyings: Change[] = $state.raw([]);
	reading = $state(false);
	/** The log goes on behind what was read. */
	more = $state(false);
	problem: string | null = $state(null);

	#row = '';
	#next: Position | null = null;
	#round = 0;

	constructor(readonly archive: Archive) {}

	/** Reads what it lacks to hold a change: all, back to it, or what is new. */
	async show(change: Change): Promise<void> {
		const known = this.#row === rowOf(change) ? this.changes : null;
		const [newest, oldest] = [known?.[0], known?.at(-1)];
		if (newest && oldest && !isOlder(newest, change)) {
			if (isOlder(change, oldest) && this.more) await this.#read(change);
			return;
		}
		this.#row = rowOf(change);
		this.#next = null;
		if (!known) {
			this.changes = null;
			this.emptyings = [];
		}
		await this.#read(change, () => this.archive.emptyings(change));
	}

	/** Reads a page more. */
	async readOn(): Promise<void> {
		if (this.more && !this.reading) await this.#read(this.changes!.at(-1)!);
	}

	/** Drops what is under way. */
	stop(): void {
		this.#round++;
		this.reading = false;
	}

	async #read(to: Change, also?: () => Promise<Change[]>): Promise<void> {
		const round = ++this.#round;
		this.reading = true;
		this.problem = null;
		const row = { schema: to.schema, table: to.table, key: to.key ?? {} };
		try {
			for (let pages = 0; pages < PAGES; pages++) {
				const before = this.#next;
				const [page, emptyings] = await Promise.all([this.archive.life(row, before), also?.()]);
				if (round !== this.#round) return;
				if (emptyings) this.emptyings = emptyings;
				also = undefined;
				this.changes = before ? [...this.changes!, ...page.changes] : page.changes;
				this.#next = page.next;
				this.more = page.next !== null;
				const last = this.changes.at(-1);
				if (!this.more || !last || !isOlder(to, last)) break;
			}
		} catch (error) {
			if (round === this.#round) this.problem = `Not read: ${(error as Error).message}`;
		} finally {
			if (round === this.#round) this.reading = false;
		}
	}
}

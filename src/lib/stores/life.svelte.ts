/**
 * Reads one row's life, page by page from its end backwards, at least as far as the change that is open.
 *
 *     show ──► reading ── that change, the row's first, or so many pages ──► rest ── more, an older change ──► reading
 *
 * A row goes by its primary key. A change that gave it another is in both lives: shown, it stays in the one that is open.
 */

import { bySeq } from '../change.ts';
import { keyOf } from '../key.ts';
import type { Change, Position, TableName } from '../protocol.ts';
import type { Archive } from './archive.ts';

/** Pages that are read before a person is asked whether to go on. */
const PAGES = 10;
/** Changes that are read to see what is new. */
const NEW = 200;

interface Row extends TableName {
	key: Record<string, string | null>;
}

/** Whether a change of the row was made before another. */
export const isOlder = (a: Change, b: Change) => bySeq(a, b) < 0;
const rowOf = ({ schema, table, key }: Change): Row => ({ schema, table, key: key ?? {} });
const same = (a: Row | null, b: Row | null) => JSON.stringify(a) === JSON.stringify(b);

export class Life {
	/** Whose life it is. */
	row: Row | null = $state.raw(null);
	/** Newest first; null until the first page is there. */
	changes: Change[] | null = $state.raw(null);
	/** Of the whole table: each ended the row that was there. */
	emptyings: Change[] = $state.raw([]);
	reading = $state(false);
	/** The log goes on behind what was read. */
	more = $state(false);
	problem: string | null = $state(null);

	#next: Position | null = null;
	#round = 0;

	constructor(readonly archive: Archive) {}

	/** Reads what it lacks to hold a change: all, back to it, or what is new. */
	async show(change: Change): Promise<void> {
		if (this.changes?.some(({ seq }) => seq === change.seq)) return;
		const row = same(this.row, rowOf(change)) ? this.row! : rowOf(change);
		const last = this.changes?.at(-1);
		if (row !== this.row || !last) await this.open(row, change);
		else if (isOlder(change, last)) await this.#read(change);
		else await this.renew();
	}

	/** Opens a row's life, as far as a change. */
	async open(row: Row, to: Change): Promise<void> {
		this.row = row;
		this.#next = null;
		this.more = true;
		this.changes = null;
		this.emptyings = [];
		await this.#read(to);
	}

	/** Reads a page more. */
	async readOn(): Promise<void> {
		if (!this.reading) await this.#read(this.changes!.at(-1)!);
	}

	/** Reads what is new. */
	async renew(): Promise<void> {
		const known = this.changes?.[0];
		if (this.reading || !known) return;
		await this.#try(async (current) => {
			const page = await this.archive.life(this.row!, null, NEW);
			if (!current()) return;
			const news = page.changes.filter((change) => isOlder(known, change));
			const whole = news.length < page.changes.length || !page.next;
			this.changes = whole ? [...news, ...this.changes!] : page.changes;
			if (whole) return;
			this.#next = page.next;
			this.more = true;
		});
	}

	/** Drops what is under way. */
	stop(): void {
		this.#round++;
		this.reading = false;
	}

	async #read(to: Change): Promise<void> {
		await this.#try(async (current) => {
			for (let pages = 0; pages < PAGES && this.more; pages++) {
				const [page, emptyings] = await Promise.all([
					this.archive.life(this.row!, this.#next),
					this.changes ? null : this.archive.emptyings(to)
				]);
				if (!current()) return;
				if (emptyings) this.emptyings = emptyings;
				this.changes = [...(this.changes ?? []), ...page.changes];
				this.#next = page.next;
				this.more = page.next !== null;
				const last = this.changes.at(-1);
				if (!last || !isOlder(to, last)) break;
			}
		});
	}

	async #try(read: (current: () => boolean) => Promise<void>): Promise<void> {
		const round = ++this.#round;
		const current = () => round === this.#round;
		this.reading = true;
		this.problem = null;
		try {
			await read(current);
		} catch (error) {
			if (current()) this.problem = `Not read: ${(error as Error).message}`;
		} finally {
			if (current()) this.reading = false;
		}
	}
}

/** The row by the other key, where a change gave one of these lives' rows another. */
export function otherOf(row: Row | null, change: Change): Row | null {
	if (!row || !change.key || change.before === null || change.after === null) return null;
	const key = keyOf(change.before, Object.keys(change.key));
	const ends = [rowOf(change), { ...rowOf(change), key }];
	return same(ends[0]!, ends[1]!) ? null : (ends.find((end) => !same(end, row)) ?? null);
}

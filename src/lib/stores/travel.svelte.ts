/**
 * Reads a table as it was, page by page from a moment backwards.
 *
 *     open ──► loading ── the log's end, a truncate, or so many pages ──► rest ── more ──► loading
 *
 * Opening again, at another moment or of another table, drops what is still under way.
 */

import { Fold, headersOf, type KnownRow } from '../travel.ts';
import type { Position, TableInfo } from '../protocol.ts';
import type { Session } from './session.svelte.ts';

/** Pages of the log that are read before a person is asked whether to go on. */
const PAGES = 20;

export class Travel {
	rows: KnownRow[] = $state.raw([]);
	headers: string[] = $state.raw([]);
	/** Of what `rows` shows; null until the first page is there. */
	fold: Fold | null = $state.raw(null);
	/** The moment that is shown, milliseconds of the database's clock. */
	at = $state(0);
	/** Pages read, of those that are read at a time; null at rest. */
	progress: { pages: number; of: number } | null = $state.raw(null);
	/** The log goes on behind what was read. */
	more = $state(false);
	problem: string | null = $state(null);

	#table: TableInfo | null = null;
	#fold: Fold | null = null;
	#next: Position | null = null;
	#round = 0;

	constructor(readonly session: Session) {}

	/** Opens a table at the playhead, or as it is now. What was shown stays until there is something to show. */
	async open(table: TableInfo): Promise<void> {
		const round = ++this.#round;
		const { player } = this.session;
		// While the server is away, the question waits: it is of when it is answered.
		const { link, present } = this.session;
		const at = player.stretch ? player.at : link.up ? present.now() : null;
		if (this.#table?.table !== table.table || this.#table.schema !== table.schema) this.fold = null;
		this.#table = table;
		this.#fold = new Fold(table.primaryKey);
		this.progress = { pages: 0, of: PAGES };
		this.problem = null;
		try {
			const before = player.stretch ? await player.position() : null;
			if (round === this.#round) await this.#read(before, at);
		} catch (error) {
			this.#failed(error, round);
		}
	}

	/** Reads on where it was left. */
	async readOn(): Promise<void> {
		const round = ++this.#round;
		try {
			await this.#read(this.#next, this.at);
		} catch (error) {
			this.#failed(error, round);
		}
	}

	/** Drops what is under way. */
	stop(): void {
		this.#round++;
		this.progress = null;
	}

	async #read(before: Position | null, at: number | null): Promise<void> {
		const round = this.#round;
		const fold = this.#fold!;
		this.#next = before;
		for (let pages = 0; pages < PAGES; pages++) {
			this.progress = { pages, of: PAGES };
			const page = await this.session.archive.tablePast(this.#table!, this.#next);
			if (round !== this.#round) return;
			fold.add(page.changes);
			this.#next = page.next;
			this.rows = fold.rows();
			this.headers = headersOf(
				this.#table!.columns.map(({ name }) => name),
				this.rows.slice(0, 200)
			);
			this.fold = fold;
			if (pages === 0) this.at = at ?? this.session.present.now();
			this.more = page.next !== null && !fold.ended;
			if (!this.more) break;
		}
		this.progress = null;
	}

	#failed(error: unknown, round: number): void {
		if (round !== this.#round) return;
		this.progress = null;
		this.problem = `Not read: ${(error as Error).message}`;
	}
}

/** What is fetched from the log because a person asks for it. */

import type { Client } from '../client/index.ts';
import { fillable } from '../feed.ts';
import { oldestOf, type Transaction } from '../lines.ts';
import { MAX_CHANGES, OPS } from '../protocol.ts';
import type { Change, Filter, History, Position, RowLife, TableName } from '../protocol.ts';
import type { Board } from './board.svelte.ts';

const PAGE = 200;
/** Pages of the log that are looked through for what one transaction did. */
const UNDO_PAGES = 20;
/** Pages that are looked through for one of a transaction. */
const FILL_PAGES = 5;

export class Archive {
	constructor(
		readonly board: Board,
		readonly client: () => Client,
		/** The filter of the view. */
		readonly filter: () => Filter
	) {}

	/** The change at a position; undefined where the log no longer has it. */
	async change({ tick, seq }: Position): Promise<Change | undefined> {
		const after = { tick, seq: String(BigInt(seq) - 1n) };
		const { changes } = await this.client().history({ after, order: 'asc', limit: 1 });
		return changes.find((change) => change.tick === tick && change.seq === seq);
	}

	/** A page of a row's life, newest first; of what came before a position where one is given. */
	life(
		{ schema, table, key }: TableName & { key: Record<string, string | null> },
		before: Position | null = null,
		limit = MAX_CHANGES
	): Promise<RowLife> {
		return this.client().row({ schema, table, key, limit, ...(before && { before }) });
	}

	/** The newest times that a whole table was emptied, newest first. */
	async emptyings({ schema, table }: TableName): Promise<Change[]> {
		const filter = { tables: [{ schema, table }], ops: ['TRUNCATE' as const] };
		const { changes } = await this.client().history({ filter, limit: PAGE, order: 'desc' });
		return changes.filter(({ partition }) => !partition);
	}

	/** A page of what was done to a table, newest first; of what came before a position where one is given. */
	tablePast({ schema, table }: TableName, before: Position | null): Promise<History> {
		const ops = OPS.filter((op) => op !== 'REFERENCE');
		const filter = { tables: [{ schema, table }], ops };
		const from = before ? { before } : {};
		return this.client().history({ filter, ...from, limit: MAX_CHANGES, order: 'desc' });
	}

	/**
	 * What a change's transaction did, whatever the view leaves out, in the order in which it was done; not `whole` where
	 * that is more than a script is read for, or no longer all in the log.
	 */
	async transaction({ tick, tx, seq }: Change): Promise<{ changes: Change[]; whole: boolean }> {
		const changes: Change[] = [];
		let next: Position | null = { tick, seq: '0' };
		for (let pages = 0; next?.tick === tick && pages < UNDO_PAGES; pages++) {
			const page: History = await this.client().history({ after: next, order: 'asc', limit: MAX_CHANGES });
			changes.push(...page.changes.filter((change) => change.tick === tick && change.tx === tx));
			next = page.changes.at(-1)?.tick === tick || page.changes.length === 0 ? page.next : null;
		}
		return { changes, whole: next?.tick !== tick && changes.some((change) => change.seq === seq) };
	}

	/** Older history than the feed holds, oldest first; none at its end. */
	async older(): Promise<Change[]> {
		const before = this.board.feed.oldest();
		if (!before) return [];
		const { changes } = await this.client().history({ filter: this.filter(), before, limit: PAGE });
		return changes.toReversed();
	}

	/** Loads a page of what a transaction's card leaves out; what others wrote in the same tick is passed over. */
	async fill(card: Transaction): Promise<void> {
		if (!fillable(card)) return;
		const { feed } = this.board;
		const mark = (loading: boolean) => {
			card.loading = loading;
			card.lines = null;
			this.board.touch();
		};
		mark(true);
		try {
			const held = card.changes.length;
			for (let pages = 0; pages < FILL_PAGES && card.omitted > 0 && card.changes.length === held; pages++) {
				const before = card.next ?? oldestOf(card);
				const page = await this.client().history({ filter: this.filter(), before, limit: MAX_CHANGES });
				feed.fill(card, page.changes.toReversed(), page.next);
			}
		} catch {
			// The offer stands; asking again tries again.
		} finally {
			mark(false);
		}
	}
}

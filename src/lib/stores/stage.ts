/** What the board shows of an open stretch of the past: the changes before the playhead, and their counts. */

import { iso } from '../format.ts';
import type { Change, Position } from '../protocol.ts';
import type { Board } from './board.svelte.ts';
import type { Ledger } from './ledger.svelte.ts';
import { SHOWN, type Reel } from './reel.ts';
import type { StretchCounts } from './stretch.ts';

export class Stage {
	/** The board was given to another view. */
	left = false;

	constructor(
		readonly playhead: { readonly at: number },
		readonly board: Board,
		readonly ledger: Ledger,
		readonly counts: StretchCounts,
		readonly reel: Reel
	) {}

	/** Adds what the playhead has passed, oldest first, and how many more there are. */
	push(changes: Change[], omitted: number): void {
		if (this.left) return;
		this.board.feed.push({ at: iso(this.playhead.at), changes, omitted }, performance.now());
		this.#passed(changes, omitted);
	}

	/** Adds all of these, oldest first, to which the playhead was moved. */
	append(changes: Change[]): void {
		this.counts.advance(this.playhead.at);
		this.board.feed.append(changes);
		this.#passed(changes, 0);
	}

	/** Shows these changes, newest first, which stand before a position. */
	rewind(changes: Change[], { tick, seq }: Position): void {
		this.counts.restart(this.playhead.at);
		this.reel.wind({ tick, seq });
		this.board.feed.reset(changes.toReversed());
		this.board.touch();
	}

	/** Shows everything as it was at a moment, if it is still to be shown once it is there. */
	async place(at: number, wanted: () => boolean): Promise<void> {
		this.counts.restart(at);
		const shown = await this.reel.jump(at, SHOWN);
		if (!wanted()) return;
		this.ledger.renew(() => this.board.feed.reset(shown ?? []));
		this.board.touch();
	}

	/** Counts what is shown, once what matches is counted; `anew` also where the board counts something exactly. */
	async count(anew = false): Promise<void> {
		const { counts, reel, playhead } = this;
		const { shown } = reel;
		try {
			if ((counts.exact && !anew) || !counts.counted) return;
			const { series, part } = await reel.counts(counts);
			if (reel.shown === shown && !this.left) counts.show(playhead.at, series, part);
		} catch {
			// The steps that have passed are counted: less fine, and as true.
		} finally {
			if (!this.left) this.beat();
		}
	}

	/** Has the numbers read anew. */
	beat(): void {
		this.board.recent.advance(this.playhead.at);
		this.board.beat++;
	}

	#passed(changes: Change[], omitted: number): void {
		this.counts.pass(this.playhead.at, changes);
		this.ledger.await(changes.length + omitted, changes.length + omitted);
		this.board.touch();
	}
}

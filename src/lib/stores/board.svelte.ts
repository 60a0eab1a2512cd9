/**
 * What the screen shows of one moment: the ledger, the counts over time, and the rates just now.
 *
 * Everything that happens, live or replayed, comes in through `apply` and the clock through `advance`; so the feed, the
 * counters and the chart cannot drift apart. The data itself is plain; what reads it depends on `frame` (the ledger
 * changed; at most once an animation frame) or `beat` (the numbers changed; a few times a second, as fast as one reads).
 */

import { Buckets } from '../buckets.ts';
import { Feed } from '../feed.ts';
import type { Change, Count } from '../protocol.ts';

/** The current rate is of this long. */
const RATE_STEP_MS = 250;
const RATE_STEPS = 20;
/** The ledger is drawn no more often: nobody reads faster, and the chart needs its frames too. */
const DRAW_MS = 50;
const RATE_SECONDS = (RATE_STEP_MS * RATE_STEPS) / 1000;

/** What one moment brought. */
export interface Moment {
	/** When, by the database's clock. */
	at: string;
	counts: readonly Count[];
	changes: readonly Change[];
	/** Matching changes that are not among `changes`. */
	omitted: number;
}

export class Board {
	frame = $state(0);
	beat = $state(0);
	/** The moment that is shown, milliseconds of the database's clock. */
	now = 0;
	readonly feed = new Feed();
	window = new Buckets(1000, 60, 0);
	recent = new Buckets(RATE_STEP_MS, RATE_STEPS, 0);
	#frameAsked = false;
	#drawnAt = 0;

	/** Clears the counts for a window of `size` steps that ends with the step that holds `end`. */
	clear(stepMs: number, size: number, end: number, now = end): void {
		this.now = now;
		this.window = new Buckets(stepMs, size, end);
		this.recent = new Buckets(RATE_STEP_MS, RATE_STEPS, now);
	}

	apply({ at, counts, changes, omitted }: Moment): void {
		const moment = Date.parse(at);
		this.window.add(moment, counts);
		this.recent.add(moment, counts);
		if (changes.length > 0 || omitted > 0)
			this.feed.push({ at, changes, omitted, counts }, performance.now());
		this.touch();
	}

	/** Moves the clock. */
	advance(now: number): void {
		this.now = now;
		this.window.advance(now);
		this.recent.advance(now);
		this.feed.settle(performance.now());
		this.beat++;
	}

	/** Has the ledger drawn again in the next animation frame. */
	touch(): void {
		if (this.#frameAsked) return;
		this.#frameAsked = true;
		const draw = () => {
			this.#frameAsked = false;
			this.#drawnAt = performance.now();
			this.frame++;
		};
		// A hidden page has no frames; nobody sees it either.
		if (document.hidden) return draw();
		const wait = this.#drawnAt + DRAW_MS - performance.now();
		if (wait > 0) setTimeout(() => requestAnimationFrame(draw), wait);
		else requestAnimationFrame(draw);
	}

	/** Changes a second just now of what `rows` picks. */
	rate(rows: number): number {
		return rows / RATE_SECONDS;
	}
}

export { RATE_STEP_MS, RATE_STEPS };

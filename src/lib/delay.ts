/** How long a change takes from its commit to the screen, and how far the two clocks are apart. */

/** Delays that the percentiles are of. */
const KEPT = 200;
/** A smallest delay outside of this (ms) cannot be delay: the clocks differ. */
const PLAUSIBLE = 2000;

export class Delay {
	readonly #recent: number[] = [];
	#next = 0;
	#least = Infinity;
	#previous = -Infinity;

	/** How far this clock is ahead of the database's (ms); 0 while they agree. */
	get skew(): number {
		return this.#least < 0 || this.#least > PLAUSIBLE ? (Number.isFinite(this.#least) ? this.#least : 0) : 0;
	}

	/**
	 * Notes a tick that became visible at `tickAt`, whose newest change was written at `changedAt`, and that arrived at
	 * `now`. A row may be written long before its transaction commits, but not committed before the tick before.
	 */
	note(tickAt: number, changedAt: number | null, now: number): void {
		this.#least = Math.min(this.#least, now - tickAt);
		const committed = Math.min(tickAt, Math.max(changedAt ?? tickAt, this.#previous));
		this.#previous = tickAt;
		this.#recent[this.#next] = Math.max(0, now - this.skew - committed);
		this.#next = (this.#next + 1) % KEPT;
	}

	/** The delay (ms) that the given part of the recent ticks stayed within; null before the first. */
	percentile(part: number): number | null {
		if (this.#recent.length === 0) return null;
		const sorted = this.#recent.toSorted((a, b) => a - b);
		return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;
	}
}

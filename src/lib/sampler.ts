/** How much of what comes is shown: no more than a person can read. */

/** Changes a second; a burst of some seconds' worth is kept whole. */
const READABLE = 200;
const BURST = 2000;

export class Sampler {
	/** Changes of the last whole second that are shown, and that there were. */
	sample = { shown: 0, of: 0 };
	/** Changes that may still be shown; grows with time. */
	#allowance = BURST;
	#askedAt = 0;
	#second = { start: 0, shown: 0, of: 0 };

	/** How many of so many changes are shown, when `omitted` more there were are not here. */
	take(changes: number, omitted: number, now: number): number {
		this.#allowance = Math.min(BURST, this.#allowance + ((now - this.#askedAt) * READABLE) / 1000);
		this.#askedAt = now;
		this.settle(now);
		const shown = Math.min(changes, Math.floor(this.#allowance));
		this.#allowance -= shown;
		this.#second.shown += shown;
		this.#second.of += changes + omitted;
		return shown;
	}

	/** Turns the second, when nothing came for a while too. */
	settle(now: number): void {
		const { start, shown, of } = this.#second;
		const passed = now - start;
		if (passed < 1000) return;
		const scale = passed < 3000 ? 1000 / passed : 0;
		this.sample = { shown: Math.round(shown * scale), of: Math.round(of * scale) };
		this.#second = { start: now, shown: 0, of: 0 };
	}
}

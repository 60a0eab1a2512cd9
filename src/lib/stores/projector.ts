/**
 * A stretch of the past as it is played: how far the playhead comes, and what it hands over on its way. That is every
 * change, or, where more happens than anyone could read at this speed, the newest and how many are left out.
 */

import type { Change } from '../protocol.ts';
import { RETRY_MS } from './counting.svelte.ts';
import { isBefore, type Reel } from './reel.ts';
import type { StretchCounts } from './stretch.ts';

/** Above so many changes a second of the player's time, they are sampled. */
const READABLE = 800;
const SAMPLE = 100;
const SAMPLE_EVERY_MS = 600;
/** So much of the player's time is left of a silence that is passed over. */
const QUIET_LEAD_MS = 500;

export class Projector {
	#sampledAt = 0;
	/** Where the log could not be read: until when it is not asked again. */
	#rests = 0;

	constructor(
		readonly counts: StretchCounts,
		readonly reel: Reel,
		/** Takes changes, oldest first, and how many more there are. */
		readonly push: (changes: Change[], omitted: number) => void,
		/** Told whether the log could be read. */
		readonly told: (read: boolean) => void
	) {}

	/** Where the playhead stands after so much of the player's time; it waits for what it would show. */
	move(at: number, passed: number, speed: number, skipsQuiet: boolean): number {
		const { next, reading, extent } = this.reel;
		const dense = this.#dense(at, speed);
		const waits = reading || performance.now() < this.#rests;
		if (!dense && next === null && waits) return at;
		const moved = Math.min(extent.to, at + passed * speed);
		if (!skipsQuiet || dense || next === null || waits) return moved;
		// Over a silence to just before what comes next.
		const lead = QUIET_LEAD_MS * speed;
		const end = Math.min(next, extent.to);
		return end - moved > 2 * lead ? end - lead : moved;
	}

	/** Hands over what the playhead has passed, and reads on. */
	show(at: number, speed: number, now: number): void {
		if (this.#dense(at, speed)) {
			// Not all that passes is handed over: the steps count it.
			if (this.counts.exact) this.counts.restart(at);
			return void this.#read(() => this.#sample(at, speed, now));
		}
		const changes = this.reel.passed(at);
		if (changes.length > 0) this.push(changes, 0);
		void this.#read(() => this.reel.readOn());
	}

	async #read(read: () => Promise<void>): Promise<void> {
		if (performance.now() < this.#rests) return;
		try {
			await read();
			if (this.#rests > 0) this.told(true);
			this.#rests = 0;
		} catch {
			this.#rests = performance.now() + RETRY_MS;
			this.told(false);
		}
	}

	/** Whether nothing is left to hand over. */
	over(at: number, speed: number): boolean {
		return at >= this.reel.extent.to && (this.#dense(at, speed) || this.reel.next === Infinity);
	}

	#dense(at: number, speed: number): boolean {
		return this.counts.density(at, speed) > READABLE;
	}

	/** Hands over the newest before the playhead, and goes on from there. */
	async #sample(at: number, speed: number, now: number): Promise<void> {
		if (this.reel.reading || now - this.#sampledAt < SAMPLE_EVERY_MS) return;
		this.#sampledAt = now;
		const shown = this.reel.shown;
		const changes = await this.reel.jump(at, SAMPLE);
		const fresh = changes?.filter((change) => !isBefore(change, shown));
		if (!fresh) return;
		const passed = (this.counts.density(at, speed) * SAMPLE_EVERY_MS) / 1000;
		this.push(fresh, fresh.length === SAMPLE ? Math.max(0, Math.round(passed) - SAMPLE) : 0);
	}
}

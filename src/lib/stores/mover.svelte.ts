/** Movings of the playhead by what the log holds. The last that is asked for counts. */

import { RETRY_MS } from './counting.svelte.ts';

export class Mover {
	/** The log cannot be read: what is shown is of where the playhead stood. It is asked again. */
	stuck = $state(false);
	#asked = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;

	/** Moves; where the log cannot be read, again and again until it can, or it is moved otherwise. */
	async move(how: () => Promise<void>): Promise<void> {
		clearTimeout(this.#retry);
		const asked = ++this.#asked;
		try {
			await how();
			if (asked === this.#asked) this.stuck = false;
		} catch {
			if (asked !== this.#asked) return;
			this.stuck = true;
			this.#retry = setTimeout(() => void this.move(how), RETRY_MS);
		}
	}

	/** Drops what is under way. */
	stop(): void {
		this.#asked++;
		clearTimeout(this.#retry);
		this.stuck = false;
	}
}

/**
 * The last ticks, kept in memory: what live viewers are sent comes from here, and so does what a viewer missed who was
 * away for a moment. Bounded by number and by size.
 */
import { textOf } from './compose.ts';
import type { Tick } from './types.ts';

const MAX_TICKS = 1000;
const MAX_CHARACTERS = 16_000_000;
/** What a change weighs besides its row text. */
const OVERHEAD = 300;

export interface Recent {
	push(tick: Tick): void;
	/** The ticks (after, until], or undefined where not all of them are here. */
	range(after: bigint, until: bigint): Tick[] | undefined;
	clear(): void;
}

export function makeRecent(maxTicks = MAX_TICKS, maxCharacters = MAX_CHARACTERS): Recent {
	const kept: { tick: Tick; weight: number }[] = [];
	let size = 0;

	function clear(): void {
		kept.length = size = 0;
	}

	return {
		clear,
		push(tick) {
			const last = kept.at(-1);
			if (last && tick.tick !== last.tick.tick + 1n) clear();
			const weight = tick.changes.reduce((sum, change) => sum + textOf(change) + OVERHEAD, OVERHEAD);
			kept.push({ tick, weight });
			size += weight;
			// The newest always stays: it is about to be sent.
			while (kept.length > 1 && (kept.length > maxTicks || size > maxCharacters))
				size -= kept.shift()!.weight;
		},
		range(after, until) {
			if (after >= until) return [];
			const oldest = kept[0]?.tick.tick;
			const newest = kept.at(-1)?.tick.tick;
			if (oldest === undefined || newest === undefined || after + 1n < oldest || until > newest)
				return undefined;
			const first = Number(after + 1n - oldest);
			return kept.slice(first, first + Number(until - after)).map(({ tick }) => tick);
		}
	};
}

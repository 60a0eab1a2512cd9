/** Chance that a seed repeats. */
export interface Random {
	/** At least 0, below 1. */
	next(): number;
	/** A whole number between the two, both included. */
	between(low: number, high: number): number;
	pick<T>(items: readonly T[]): T;
	/** One of the items, each as likely as its weight. */
	weighted<T extends { weight: number }>(items: readonly T[]): T;
	/** Time until the next of events that come `perSecond` on average, in ms. */
	pause(perSecond: number): number;
}

/** The generator is mulberry32: 32 bits of state, good enough for a shop. */
export function makeRandom(seed: number): Random {
	let state = seed >>> 0;
	const next = () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let bits = Math.imul(state ^ (state >>> 15), state | 1);
		bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
		return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
	};
	return {
		next,
		between: (low, high) => low + Math.floor(next() * (high - low + 1)),
		pick: (items) => items[Math.floor(next() * items.length)]!,
		weighted(items) {
			let left = next() * items.reduce((sum, { weight }) => sum + weight, 0);
			return items.find(({ weight }) => (left -= weight) < 0) ?? items[items.length - 1]!;
		},
		pause: (perSecond) => (-Math.log(1 - next()) / perSecond) * 1000
	};
}

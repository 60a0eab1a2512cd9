/** One read for all who ask the same at about the same time. */
import type { Clock } from './delivery.ts';

/** How long an answer serves those who come after it. */
const SHARE_MS = 1_000;

/** Reads, or hands out what was just read for the same key. A failure is shared by those who wait for it only. */
export type Share<K, T> = (key: K, read: () => Promise<T>) => Promise<T>;

export function makeShare<K, T>(clock: Clock): Share<K, T> {
	const reads = new Map<K, Promise<T>>();
	return (key, read) => {
		const shared = reads.get(key);
		if (shared) return shared;
		const started = read();
		reads.set(key, started);
		const forget = () => reads.delete(key);
		started.then(() => clock.after(SHARE_MS, forget), forget);
		return started;
	};
}

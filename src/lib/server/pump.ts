/** Hands on every tick of the log once, in order; what was pruned before its turn is told as a gap. */
import type { FollowerEvents, Reader, Tick } from './types.ts';

interface PumpOptions {
	reader: Reader & { ticksOf(rows: unknown[][]): Promise<Tick[]> };
	/** The most changes of a tick that a viewer can use. */
	wanted(): number;
	/** Takes some ticks; the next come when it is done. */
	show(ticks: Tick[]): Promise<void>;
	gap: FollowerEvents['gap'];
	/** Nothing is left to hand on. */
	current(): void;
	/** The log could not be read. */
	failed(error: Error): void;
}

export interface Pump {
	/** The newest tick that is known of. */
	readonly head: bigint;
	/** The oldest that can still be read lies behind this one. */
	oldest: bigint;
	/** The newest that was handed on; none before the log was found. */
	readonly shown: bigint | undefined;
	/** The log as it is found on connecting; `anew`: it is not the one from before. */
	found(bounds: { head: bigint; oldest: bigint }, anew: boolean): void;
	/** There are ticks up to `next`; `rows`: of that tick, where they are at hand. */
	advanceTo(next: bigint, rows?: unknown[][]): void;
	/** Hands on what there is. */
	run(): void;
	/** Ends after the ticks that are under way. */
	close(): Promise<void>;
}

export function makePump({ reader, wanted, show, gap, current, failed }: PumpOptions): Pump {
	let head = 0n;
	let oldest = 0n;
	let shown: bigint | undefined;
	let closed = false;

	async function hand(ticks: Tick[]) {
		shown = (ticks.at(-1) as Tick).tick;
		await show(ticks);
	}

	/** One batch after the other; a call while one is under way makes it look again. */
	let pumping: Promise<void> | undefined;
	async function pump(rows: unknown[][] = []) {
		if (pumping) return pumping;
		pumping = (async () => {
			if (rows.length > 0 && shown === head - 1n && shown >= oldest) await hand(await reader.ticksOf(rows));
			while (!closed && shown !== undefined && shown < head) {
				if (shown < oldest) {
					gap({ after: String(shown), until: String(oldest), reason: 'pruned' });
					shown = oldest;
					continue;
				}
				const ticks = await reader.ticks(shown, head, wanted());
				if (ticks.length === 0) {
					// Pruned between the two looks.
					oldest = (await reader.bounds()).oldest;
					if (shown >= oldest) throw new Error(`tick ${shown + 1n} of ${head} cannot be read`);
					continue;
				}
				await hand(ticks);
			}
			if (shown !== undefined && !closed) current();
		})().finally(() => (pumping = undefined));
		return pumping;
	}

	return {
		get head() {
			return head;
		},
		get oldest() {
			return oldest;
		},
		set oldest(tick) {
			oldest = tick;
		},
		get shown() {
			return shown;
		},
		found(bounds, anew) {
			if (anew || shown === undefined) shown = bounds.head;
			({ head, oldest } = bounds);
			if (head < shown) shown = head;
		},
		advanceTo(next, rows) {
			if (next <= head) return;
			head = next;
			pump(rows).catch(failed);
		},
		run: () => void pump().catch(failed),
		async close() {
			closed = true;
			await pumping?.catch(() => {});
		}
	};
}

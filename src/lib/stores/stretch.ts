/** What a stretch of the past counts, in fine steps: on the board up to the playhead, and drawn beyond it. */

import { iso } from '../format.ts';
import { addSeries } from '../pieces.ts';
import type { Change, Count, Rates, Series } from '../protocol.ts';
import type { Board } from './board.svelte.ts';

/** From and to, milliseconds of the database's clock. */
export interface Extent {
	from: number;
	to: number;
}

/** Fine steps of a stretch, and the coarser ones of the chart. */
export const STEPS = 900;
const BARS = 150;

export class StretchCounts {
	/** What the filter matches; with a condition on values, as far as that is counted. */
	readonly #series: Series[];
	/** Whether the board counts the very changes that are shown, rather than the fine steps that have passed. */
	exact = false;
	/** Fine steps that are on the board. */
	#applied = 0;
	readonly #start: number;
	/** What each fine step has of all that matches, once that was asked for. */
	#rows: number[] | null = null;

	/** `all`: by tables and ops alone; `counted`: whether that is all that the filter says. */
	constructor(
		readonly board: Board,
		readonly extent: Extent,
		readonly all: Rates,
		public counted: boolean
	) {
		this.#series = counted ? all.series : [];
		this.#start = Date.parse(all.from);
	}

	/** Adds a piece of what matches; it is on the board once that counts anew. */
	add(piece: Rates): void {
		addSeries(this.#series, this.all, piece);
		this.#rows = null;
	}

	/** When a fine step is, as `rates` asks for it. */
	timeOf(step: number): { from: string; to: string } {
		const { stepMs } = this.all;
		const start = this.#start + step * stepMs;
		return { from: iso(start), to: iso(start + stepMs) };
	}

	/** What matches in the fine steps before one, and of that one these. */
	upTo(step: number, piece: Rates): Series[] {
		const series = this.#series.map((each) => ({ ...each, rows: each.rows.slice(0, step) }));
		addSeries(series, this.all, piece);
		return series;
	}

	/** Counts up to the playhead anew, in fine steps. */
	restart(at: number): void {
		this.exact = false;
		this.#clear(at);
		this.#applied = 0;
		this.advance(at);
	}

	/** Counts anew what is shown: these counts of fine steps, and these changes. */
	show(at: number, series: readonly Series[], changes: readonly Change[]): void {
		this.#clear(at);
		this.board.window.fill(this.#start, this.all.stepMs, series);
		this.board.recent.fill(this.#start, this.all.stepMs, series, at);
		this.exact = true;
		this.pass(at, changes);
	}

	/** Counts changes that are shown now, where the chart has them as to come: at their tick, not when they were written. */
	pass(at: number, changes: readonly Change[]): void {
		if (!this.exact) return;
		let passed = Object.values(this.board.window.sums).reduce((sum, rows) => sum + rows, 0);
		const rows = (this.#rows ??= sumOf(this.#series));
		let step = 0;
		let ahead = rows[0]!;
		for (const { schema, table, op } of changes) {
			for (; step < STEPS - 1 && ahead <= passed; ahead += rows[step]!) step++;
			passed++;
			const moment = this.#start + step * this.all.stepMs;
			const counts = [{ schema, table, op, rows: 1 }];
			this.board.window.add(moment, counts);
			this.board.recent.add(Math.min(at, moment), counts);
		}
	}

	#clear(at: number): void {
		const { from, to } = this.extent;
		const stepMs = Math.max(1, Math.ceil((to - from) / BARS));
		// The window's steps are counted from 1970: aligned to them, the stretch lies within one more than BARS.
		const size = Math.floor((to - 1) / stepMs) - Math.floor(from / stepMs) + 1;
		this.board.clear(stepMs, size, to - 1, at);
	}

	/** Puts the fine steps that end before the playhead on the board. */
	advance(at: number): void {
		this.board.now = at;
		if (this.exact) return;
		const { stepMs } = this.all;
		const until = at >= this.extent.to ? STEPS : Math.floor((at - this.#start) / stepMs);
		for (; this.#applied < until; this.#applied++) {
			const i = this.#applied;
			const counts: Count[] = [];
			for (const { schema, table, op, rows } of this.#series)
				if (rows[i]) counts.push({ schema, table, op, rows: rows[i] });
			if (counts.length === 0) continue;
			this.board.window.add(this.#start + i * stepMs, counts);
			this.board.recent.add(this.#start + i * stepMs, counts);
		}
	}

	/** The rows written in the chart's steps, beyond the playhead too. */
	outline(): number[] {
		const { stepMs, size, from } = this.board.window;
		const rows = new Array<number>(size).fill(0);
		for (const series of this.#series) {
			if (series.op === 'REFERENCE') continue;
			series.rows.forEach((value, i) => {
				const bar = Math.floor((this.#start + i * this.all.stepMs - from) / stepMs);
				if (bar >= 0 && bar < size) rows[bar]! += value;
			});
		}
		return rows;
	}

	/** Just before the first change: nobody wants to watch the silence before it. */
	firstActivity(): number {
		const { series, stepMs } = this.all;
		const first = Math.min(
			...series.map(({ rows }) => rows.findIndex((value) => value > 0)).filter((i) => i >= 0)
		);
		const { from } = this.extent;
		return Number.isFinite(first) ? Math.max(from, this.#start + first * stepMs - 500) : from;
	}

	/** Changes a second of the player's time that lie ahead; at most so many, until what matches is counted. */
	density(at: number, speed: number): number {
		const { series, stepMs } = this.all;
		const first = Math.floor((at - this.#start) / stepMs);
		const steps = Math.max(1, Math.ceil((speed * 1000) / stepMs));
		let rows = 0;
		for (const { rows: counts } of this.counted ? this.#series : series)
			for (let i = first; i < first + steps; i++) rows += counts[i] ?? 0;
		return rows / ((steps * stepMs) / (speed * 1000));
	}
}

function sumOf(series: readonly Series[]): number[] {
	const sums = new Array<number>(STEPS).fill(0);
	for (const { rows } of series) rows.forEach((value, i) => (sums[i]! += value));
	return sums;
}

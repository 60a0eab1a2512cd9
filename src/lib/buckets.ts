/**
 * Counts over time: a fixed window of equal steps that slides with the clock.
 *
 * Counters, rates, sparklines and the chart all read from it, so they cannot disagree. Sums of the window are kept as
 * rows come and go; nothing is recounted, and memory is bounded by tables × steps.
 */

import { tableKey } from './change.ts';
import { OPS, type Count, type Op, type Rates, type Series, type TableName } from './protocol.ts';

/** Rows by op. */
export type Tallies = Record<Op, number>;

interface TableCounts extends TableName {
	/** The latest moment that rows were added for. */
	last: number;
	sums: Tallies;
	steps: Partial<Record<Op, Float64Array>>;
}

export function noTallies(): Tallies {
	return { INSERT: 0, UPDATE: 0, DELETE: 0, TRUNCATE: 0, REFERENCE: 0 };
}

/** Rows that were written; what merely references them is not. */
export function written(tallies: Tallies): number {
	return tallies.INSERT + tallies.UPDATE + tallies.DELETE + tallies.TRUNCATE;
}

export class Buckets {
	/** Over all tables. */
	readonly sums = noTallies();
	readonly #tables = new Map<string, TableCounts>();
	readonly #all: Record<Op, Float64Array>;
	/** The newest step, counted from 1970. */
	#head: number;

	/** A window of `size` steps whose newest one holds the moment `now` (milliseconds). */
	constructor(
		readonly stepMs: number,
		readonly size: number,
		now: number
	) {
		this.#head = Math.floor(now / stepMs);
		this.#all = {
			INSERT: new Float64Array(size),
			UPDATE: new Float64Array(size),
			DELETE: new Float64Array(size),
			TRUNCATE: new Float64Array(size),
			REFERENCE: new Float64Array(size)
		};
	}

	/** Start of the window. */
	get from(): number {
		return (this.#head - this.size + 1) * this.stepMs;
	}

	/** End of the window: of its newest step. */
	get to(): number {
		return (this.#head + 1) * this.stepMs;
	}

	/** Slides the window so that its newest step holds `now`; what falls out leaves the sums. */
	advance(now: number): void {
		const head = Math.floor(now / this.stepMs);
		const steps = Math.min(head - this.#head, this.size);
		for (let i = 1; i <= steps; i++) this.#clear((this.#head + i) % this.size);
		if (steps > 0) this.#head = head;
	}

	/** Adds the rows of a moment. What is older than the window is not counted. */
	add(at: number, counts: readonly Count[]): void {
		this.advance(at);
		const step = Math.floor(at / this.stepMs);
		if (step <= this.#head - this.size) return;
		for (const count of counts) this.#put(count, count.op, step % this.size, count.rows, at);
	}

	/** Adds recorded series whose first step begins at `from`; what begins after `latest` as of then. */
	fill(from: number, stepMs: number, series: readonly Series[], latest = Infinity): void {
		for (const { schema, table, op, rows } of series) {
			rows.forEach((value, i) => {
				const at = Math.min(latest, from + i * stepMs);
				if (value > 0) this.add(at, [{ schema, table, op, rows: value }]);
			});
		}
	}

	/** Takes over when tables were last written, of those that are counted. */
	touch(last: NonNullable<Rates['last']>): void {
		for (const { at, ...name } of last) {
			const table = this.#tables.get(tableKey(name));
			if (table) table.last = Math.max(table.last, Date.parse(at));
		}
	}

	/** Rows of each step of one op over all tables, oldest first, written into `into`. */
	read(op: Op, into: number[]): void {
		const steps = this.#all[op];
		for (let i = 0; i < this.size; i++) into[i] = steps[(this.#head + 1 + i) % this.size]!;
	}

	/** One table's rows in the window, by op. */
	of(table: TableName): Tallies {
		return this.#tables.get(tableKey(table))?.sums ?? noTallies();
	}

	/** When rows of the table were last written, as far as was counted; null where never. */
	last(table: TableName): number | null {
		return this.#tables.get(tableKey(table))?.last || null;
	}

	/** One table's written rows over the window in `points` equal parts, oldest first. */
	spark(table: TableName, points: number): number[] {
		const line = new Array<number>(points).fill(0);
		const steps = this.#tables.get(tableKey(table))?.steps;
		if (!steps) return line;
		for (const op of OPS) {
			const rows = steps[op];
			if (!rows || op === 'REFERENCE') continue;
			for (let i = 0; i < this.size; i++)
				line[Math.floor((i * points) / this.size)]! += rows[(this.#head + 1 + i) % this.size]!;
		}
		return line;
	}

	#put(name: TableName, op: Op, slot: number, rows: number, at: number): void {
		const key = tableKey(name);
		let table = this.#tables.get(key);
		if (!table) {
			table = { schema: name.schema, table: name.table, last: 0, sums: noTallies(), steps: {} };
			this.#tables.set(key, table);
		}
		const steps = (table.steps[op] ??= new Float64Array(this.size));
		steps[slot]! += rows;
		table.sums[op] += rows;
		if (op !== 'REFERENCE') table.last = Math.max(table.last, at);
		this.#all[op][slot]! += rows;
		this.sums[op] += rows;
	}

	#clear(slot: number): void {
		for (const op of OPS) {
			this.sums[op] -= this.#all[op][slot]!;
			this.#all[op][slot] = 0;
		}
		for (const table of this.#tables.values()) {
			for (const op of OPS) {
				const steps = table.steps[op];
				if (!steps) continue;
				table.sums[op] -= steps[slot]!;
				steps[slot] = 0;
			}
		}
	}
}

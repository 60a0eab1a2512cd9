/**
 * A table as it was: its rows at a moment, as far as the log knows them.
 *
 * The log is read backwards from that moment, so the first thing that is heard of a row is the last that happened to
 * it. What is folded so far is right whatever lies before: reading on only adds rows that changed longer ago.
 */

import { members, valuesOf } from './json.ts';
import type { Change } from './protocol.ts';

/** A row, and the change that left it so. */
export interface KnownRow {
	/** Its identity, column by column, as JSON text. */
	key: string[];
	/** JSON text, exactly as PostgreSQL wrote it. */
	row: string;
	change: Change;
}

/** A row that went to another identity: what it was, and by whose hand. */
interface Moved {
	row: string | null;
	tick: string;
	tx: string;
}

export class Fold {
	/** Changes that were folded. */
	read = 0;
	/** When the oldest of them was made. */
	since: string | null = null;
	/** The truncate before which there is nothing to know. */
	truncated: Change | null = null;
	/** A truncate of one partition: which of the older rows it took, the log does not say. */
	partly: Change | null = null;
	/** The newest change of a row that had not the columns of today's key: they were renamed, or others were the key. */
	rekeyed: Change | null = null;
	readonly #rows = new Map<string, KnownRow | Moved | null>();

	constructor(readonly primaryKey: readonly string[]) {}

	/** Takes the next older changes of the table, newest first. */
	add(changes: readonly Change[]): void {
		for (const change of changes) {
			if (this.ended) return;
			if (change.op === 'REFERENCE') continue;
			this.read++;
			this.since = change.at;
			if (change.op === 'TRUNCATE') {
				if (change.partition) this.partly ??= change;
				else this.truncated = change;
			} else this.#take(change);
		}
	}

	/** Whether nothing older says more of these rows. */
	get ended(): boolean {
		return this.truncated !== null || this.rekeyed !== null;
	}

	/** The rows that were there, in the order of their keys. */
	rows(): KnownRow[] {
		return [...this.#rows.values()].filter((row) => row !== null && 'key' in row).sort(byKey);
	}

	#take(change: Change): void {
		const { before, after, tick, tx } = change;
		const from = before === null ? null : this.#keyOf(before);
		const to = after === null ? null : this.#keyOf(after);
		if (from === undefined || to === undefined) {
			this.rekeyed = change;
			return;
		}
		if (to) {
			const id = to.join('\0');
			const later = this.#rows.get(id);
			if (later === undefined) this.#rows.set(id, { key: to, row: after!, change });
			else if (later && !('key' in later))
				// One statement may move rows along a line (2 to 3, then 1 to 2): what left is not always what came.
				this.#rows.set(
					id,
					later.row !== after && later.tick === tick && later.tx === tx
						? { key: to, row: after!, change }
						: null
				);
		}
		if (!from) return;
		const id = from.join('\0');
		if (!this.#rows.has(id)) this.#rows.set(id, to ? { row: before, tick, tx } : null);
	}

	/** Undefined where the row has not all of the key's columns. */
	#keyOf(row: string): string[] | undefined {
		const texts = valuesOf(row);
		const key = this.primaryKey.map((name) => texts.get(name));
		return key.every((text) => text !== undefined) ? key : undefined;
	}
}

/** The columns of these rows: those the table has, in its order, then what it had besides. */
export function headersOf(columns: readonly string[], rows: readonly KnownRow[]): string[] {
	const names = new Set(columns);
	for (const { row } of rows) for (const { name } of members(row)) names.add(name);
	return [...names];
}

const WHOLE = /^-?\d+$/;

/** Numbers by their value, all else by its text. */
function byKey(a: KnownRow, b: KnownRow): number {
	for (let i = 0; i < a.key.length; i++) {
		const [x, y] = [a.key[i]!, b.key[i]!];
		if (x === y) continue;
		const order = WHOLE.test(x) && WHOLE.test(y) ? Number(x) - Number(y) : 0;
		return order || (x < y ? -1 : 1);
	}
	return 0;
}

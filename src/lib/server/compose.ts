/**
 * From ticks to messages: which changes of some ticks a filter selects, merged, counted and bounded. Pure.
 */
import { MAX_CHANGES, type Change, type Count, type Filter, type Op, type TableName } from '../protocol.ts';
import type { Tick } from './types.ts';

/** Most row text that one message carries, in characters. One change alone may have more. */
export const MAX_TEXT = 1_000_000;

/** Does the filter select changes of this table and op? Its `where` is not looked at. */
export type Matcher = (of: TableName & { op: Op }) => boolean;

/** Prepares a filter's tables and ops for many questions. */
export function makeMatcher({ tables, ops }: Filter): Matcher {
	const byName = tables && new Map<string, Set<string>>();
	for (const { schema, table } of tables ?? [])
		byName!.set(schema, (byName!.get(schema) ?? new Set()).add(table));
	const wanted = ops && new Set(ops);
	return ({ schema, table, op }) =>
		(byName?.get(schema)?.has(table) ?? byName === undefined) && (wanted?.has(op) ?? true);
}

/** Exact counts of what matches in the ticks, by table and op. */
export function sumCounts(ticks: readonly Tick[], matches: Matcher): Count[] {
	return addUp(ticks.flatMap(({ counts }) => counts.filter(matches)));
}

/** Changes counted by table and op. */
export function countsOf(changes: readonly Change[]): Count[] {
	return addUp(changes.map(({ schema, table, op }) => ({ schema, table, op, rows: 1 })));
}

/** One count for each table and op. */
export function addUp(counts: readonly Count[]): Count[] {
	const sums = new Map<string, Count>();
	for (const count of counts) {
		const key = JSON.stringify([count.schema, count.table, count.op]);
		const sum = sums.get(key);
		if (sum) sum.rows += count.rows;
		else sums.set(key, { ...count });
	}
	return [...sums.values()];
}

/** How many changes these counts count. */
export function total(counts: readonly Count[]): number {
	return counts.reduce((sum, { rows }) => sum + rows, 0);
}

/**
 * The newest at most `limit` changes that match, by seq; undefined where the ticks do not hold them all, because one
 * of them is too large to be held whole.
 */
export function newest(ticks: readonly Tick[], matches: Matcher, limit: number): Change[] | undefined {
	const chosen: Change[] = [];
	let text = 0;
	for (let i = ticks.length - 1; i >= 0; i--) {
		const { changes, counts, complete } = ticks[i]!;
		let found = 0;
		for (let j = changes.length - 1; j >= 0; j--) {
			const change = changes[j]!;
			if (!matches(change)) continue;
			found++;
			text += textOf(change);
			if (chosen.length === limit || (text > MAX_TEXT && chosen.length > 0)) return chosen.sort(bySeq);
			chosen.push(change);
		}
		if (!complete && chosen.length < limit && found < total(counts.filter(matches))) return undefined;
	}
	return chosen.sort(bySeq);
}

/**
 * How many matching changes of the tick of the first of `changes` are left out, where all of them are of its own
 * transaction; undefined where they may be of others.
 */
export function remainderOf(
	ticks: readonly Tick[],
	matches: Matcher,
	changes: readonly Change[]
): number | undefined {
	const [first] = changes;
	const tick = first && ticks.find((each) => String(each.tick) === first.tick);
	if (!tick) return undefined;
	const left = total(tick.counts.filter(matches)) - countTick(changes);
	const all =
		tick.complete &&
		tick.changes.every((change) => change.tx === first.tx || !matches(change) || bySeq(change, first) >= 0);
	return left === 0 || tick.alone || all ? left : undefined;
}

/** How many of the first changes are of one tick. */
export function countTick(changes: readonly Change[]): number {
	return changes.filter(({ tick }) => tick === changes[0]!.tick).length;
}

/** Cuts changes that were read newest first (or in any order) down to the newest that fit a message, by seq. */
export function fit(newestFirst: readonly Change[]): Change[] {
	let text = 0;
	const end = newestFirst.findIndex((change, i) => (text += textOf(change)) > MAX_TEXT && i > 0);
	return (end < 0 ? [...newestFirst] : newestFirst.slice(0, end)).sort(bySeq);
}

/**
 * The changes, ascending, of the first ticks up to `end` that fit a message together, and the last of these ticks. One
 * that needs several messages is alone, so that it is of the same ticks whenever it is sent.
 */
export function mergeable(changes: readonly Change[], end: bigint): { tick: bigint; whole: Change[] } {
	let text = 0;
	/** Where the tick begins that is looked at. */
	let start = 0;
	for (const [i, change] of changes.entries()) {
		if (change.tick !== changes[start]!.tick) start = i;
		if (BigInt(change.tick) > end) return { tick: end, whole: changes.slice(0, start) };
		text += textOf(change);
		if (text <= MAX_TEXT) continue;
		if (start > 0) return { tick: BigInt(change.tick) - 1n, whole: changes.slice(0, start) };
		const behind = changes.findIndex(({ tick }) => tick !== change.tick);
		return { tick: BigInt(change.tick), whole: changes.slice(0, behind < 0 ? undefined : behind) };
	}
	return { tick: end, whole: [...changes] };
}

/** Splits changes into parts that each fit a message; one empty part where there are none. */
export function split(changes: readonly Change[]): Change[][] {
	const parts: Change[][] = [[]];
	let text = 0;
	for (const change of changes) {
		const size = textOf(change);
		const part = parts.at(-1)!;
		if (part.length > 0 && (part.length === MAX_CHANGES || text + size > MAX_TEXT)) {
			parts.push([change]);
			text = size;
		} else {
			part.push(change);
			text += size;
		}
	}
	return parts;
}

/** Characters of row text in a change. */
export function textOf({ before, after }: Change): number {
	return (before?.length ?? 0) + (after?.length ?? 0);
}

/** Order of each row's history. A seq is a decimal number of any length without leading zeros. */
export function bySeq(a: { seq: string }, b: { seq: string }): number {
	return a.seq.length - b.seq.length || (a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0);
}

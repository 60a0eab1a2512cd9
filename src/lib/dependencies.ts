/**
 * The order of an undo's steps. Backwards in time each leads to a state that was, but the log has the rows of one
 * statement one by one: among these a row may come before the one that it references, or go before one that
 * references it. Such a step waits for the other.
 */
import { keyLabel, tableKey, tableLabel } from './change.ts';
import { valuesOf } from './json.ts';
import { pointedAt, pointer } from './pointers.ts';
import type { Change, TableInfo, TableName } from './protocol.ts';

/** What undoes one change. */
export interface Step {
	kind: 'insert' | 'update' | 'delete';
	change: Change;
	/** Whose steps keep their order. */
	row: object;
}

/** What the steps do to one value that foreign keys point at, by their place in time backwards. */
interface Value {
	/** Steps that bring the row with this value, or take it away. */
	rows: { i: number; brings: boolean }[];
	/** Steps that let go of it: a row that pointed at it goes, or points elsewhere. */
	released: number[];
}

/** `steps`: the last change first. Adds to the problems what can have no order. */
export function ordered<S extends Step>(
	steps: readonly S[],
	tables: readonly TableInfo[],
	problems: Set<string>
): S[] {
	const waits = waitsOf(steps, tables);
	const order: S[] = [];
	const begun = new Set<number>();
	const done = new Set<number>();
	for (let first = 0; first < steps.length; first++) {
		// Not by recursion: a list of rows that point at each other may be long.
		const stack = [first];
		while (stack.length > 0) {
			const i = stack.at(-1)!;
			const open = begun.has(i) ? [] : waits(i).filter((j) => !done.has(j));
			begun.add(i);
			const circle = open.find((j) => begun.has(j));
			if (circle !== undefined)
				problems.add(
					`${labelOf(steps[i]!)} and ${labelOf(steps[circle]!)} point at each other: the script can run only where such a foreign key is deferrable.`
				);
			const next = open.filter((j) => !begun.has(j));
			if (next.length > 0) stack.push(...next.toReversed());
			else {
				stack.pop();
				if (!done.has(i)) order.push(steps[i]!);
				done.add(i);
			}
		}
	}
	return order;
}

/** Gives the steps that must come before each: those of its row that are later in time, and what its statement did. */
function waitsOf(steps: readonly Step[], tables: readonly TableInfo[]): (i: number) => number[] {
	const infos = new Map(tables.map((info) => [tableKey(info), info]));
	const parents = pointedAt(tables);
	/** The values of these columns, on the side of a foreign key that is pointed at. */
	const values = new Map<string, Value>();
	const valueOf = (table: TableName, names: string[], row: string | null, columns = names) => {
		const id = pointer(table, names, valuesOf(row), columns);
		if (id === null) return null;
		let value = values.get(id);
		if (!value) values.set(id, (value = { rows: [], released: [] }));
		return value;
	};
	const latest = new Map<object, number>();
	const touched = steps.map(({ change, row }, i) => {
		const previous = latest.get(row);
		latest.set(row, i);
		const sides = (of: (row: string | null) => Value | null) => {
			const [was, is] = [of(change.before), of(change.after)];
			return was === is ? [] : [[was, is] as const];
		};
		const own = (parents.get(tableKey(change)) ?? []).flatMap((names) =>
			sides((side) => valueOf(change, names, side))
		);
		const others = (infos.get(tableKey(change))?.references ?? []).flatMap((reference) =>
			sides((side) => valueOf(reference, reference.referenced, side, reference.columns))
		);
		for (const [was, is] of own) {
			was?.rows.push({ i, brings: true });
			is?.rows.push({ i, brings: false });
		}
		for (const [, is] of others) is?.released.push(i);
		return { own, others, previous };
	});
	return (i) => {
		const { own, others, previous } = touched[i]!;
		const found = previous === undefined ? [] : [previous];
		for (const [was] of others) {
			// It is to point at a row: one that is there by now, or is yet to come back.
			const before = was?.rows.findLast((row) => row.i < i);
			const next = was?.rows.find((row) => row.i > i);
			for (const row of [before, next]) if (row?.brings) found.push(row.i);
		}
		if (steps[i]!.kind === 'delete')
			for (const [, is] of own) {
				const until = is?.rows.find((row) => row.i > i)?.i ?? Infinity;
				found.push(...(is?.released ?? []).filter((j) => j !== i && j < until));
			}
		return found;
	};
}

const labelOf = ({ change }: Step) => `${tableLabel(change)} ${keyLabel(change.key)}`;

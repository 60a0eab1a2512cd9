/** What foreign keys took along: rows of a transaction that were changed because another row of it was. */

import { tableKey } from './change.ts';
import { valuesOf } from './json.ts';
import { referencesOf, type References } from './lines.ts';
import { pointedAt, pointer } from './pointers.ts';
import type { Change, TableInfo } from './protocol.ts';

export interface Cascades {
	/** Of these changes. */
	of: readonly Change[];
	/** Alike rows, by the seq of the change that took them along. */
	under: Map<string, References[]>;
	/** The seqs of all rows that were taken along. */
	taken: Set<string>;
}

/** A row follows one that was deleted, or whose key was changed, before it and that it pointed at until then. */
export function cascadesOf(changes: readonly Change[], tables: readonly TableInfo[]): Cascades {
	const cascades: Cascades = { of: changes, under: new Map(), taken: new Set() };
	const children = new Map(tables.map((table) => [tableKey(table), table.references]));
	const parents = pointedAt(tables);
	/** By the key under which a row was pointed at. */
	const gone = new Map<string, Change>();
	for (const change of changes) {
		const own = children.get(tableKey(change)) ?? [];
		const keys = parents.get(tableKey(change));
		if ((change.op !== 'DELETE' && change.op !== 'UPDATE') || (own.length === 0 && !keys)) continue;
		const before = valuesOf(change.before);
		const after = valuesOf(change.after);
		for (const { constraint, columns, referenced, ...parent } of own) {
			const key = pointer(parent, referenced, before, columns);
			const cause = key && gone.get(key);
			if (!cause || key === pointer(parent, referenced, after, columns)) continue;
			const { seq, schema, table } = cause;
			take(cascades, change, { seq, schema, table, constraint, truncated: false });
			break;
		}
		for (const columns of keys ?? []) {
			const key = pointer(change, columns, before);
			if (key && key !== pointer(change, columns, after)) gone.set(key, change);
		}
	}
	return cascades;
}

function take({ under, taken }: Cascades, change: Change, via: References['via']): void {
	const list = under.get(via.seq) ?? [];
	const id = `${change.op} ${via.seq} ${tableKey(change)} ${via.constraint}`;
	const known = list.find((references) => references.id === id);
	if (known) known.changes.push(change);
	else list.push(referencesOf(id, change, via));
	under.set(via.seq, list);
	taken.add(change.seq);
}

/** How the tables changed, in words. */

import { tableKey, tableLabel } from './change.ts';
import type { TableInfo } from './protocol.ts';

/** One sentence for each table that came, went, or is otherwise than before. */
export function differences(before: readonly TableInfo[], after: readonly TableInfo[]): string[] {
	const moves = renames(before, after);
	const moved = new Map(moves.map(([old, table]) => [table, old]));
	const known = new Map(before.map((table) => [tableKey(table), table]));
	for (const [old] of moves) known.delete(tableKey(old));
	const texts: string[] = [];
	for (const table of after) {
		const label = tableLabel(table);
		const former = moved.get(table);
		const old = former ?? known.get(tableKey(table));
		if (!former) known.delete(tableKey(table));
		else texts.push(`${tableLabel(former)} is called ${label} now`);
		if (!old) texts.push(`${label} is a new table${table.watched ? ', watched from now on' : ''}`);
		else texts.push(...ofTable(label, old, table));
	}
	for (const table of known.values()) texts.push(`${tableLabel(table)} is gone`);
	return texts;
}

/** The tables that go by another name than before, or are in another schema: each as it was, and as it is. */
export function renames(before: readonly TableInfo[], after: readonly TableInfo[]): [TableInfo, TableInfo][] {
	const known = new Map(before.map((table) => [table.oid, table]));
	return after.flatMap((table) => {
		const old = known.get(table.oid);
		return old && tableKey(old) !== tableKey(table) ? [[old, table] as [TableInfo, TableInfo]] : [];
	});
}

function ofTable(label: string, before: TableInfo, after: TableInfo): string[] {
	const texts: string[] = [];
	if (before.watched !== after.watched)
		texts.push(`${label} is ${after.watched ? 'watched from now on' : 'no longer watched'}`);
	const old = new Map(before.columns.map(({ name, type }) => [name, type]));
	for (const { name, type } of after.columns) {
		const was = old.get(name);
		old.delete(name);
		if (was === undefined) texts.push(`${label} has a new column ${name} (${type})`);
		else if (was !== type) texts.push(`${label}: column ${name} is ${type} now, was ${was}`);
	}
	for (const name of old.keys()) texts.push(`${label} lost its column ${name}`);
	return texts;
}

/** How the tables changed, in words. */

import { tableKey, tableLabel } from './change.ts';
import type { TableInfo } from './protocol.ts';

/** One sentence for each table that came, went, or is otherwise than before. */
export function differences(before: readonly TableInfo[], after: readonly TableInfo[]): string[] {
	const known = new Map(before.map((table) => [tableKey(table), table]));
	const texts: string[] = [];
	for (const table of after) {
		const old = known.get(tableKey(table));
		known.delete(tableKey(table));
		const label = tableLabel(table);
		if (!old) texts.push(`${label} is a new table${table.watched ? ', watched from now on' : ''}`);
		else texts.push(...ofTable(label, old, table));
	}
	for (const table of known.values()) texts.push(`${tableLabel(table)} is gone`);
	return texts;
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

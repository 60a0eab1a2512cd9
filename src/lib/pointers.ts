/** What foreign keys point at: a row by the values of the columns that they name. */
import { tableKey } from './change.ts';
import type { TableInfo, TableName } from './protocol.ts';

/** By table, the lists of columns that some foreign key points at. */
export function pointedAt(tables: readonly TableInfo[]): Map<string, string[][]> {
	const lists = new Map<string, Map<string, string[]>>();
	for (const { references } of tables)
		for (const reference of references) {
			const of = lists.get(tableKey(reference)) ?? new Map<string, string[]>();
			lists.set(tableKey(reference), of.set(String(reference.referenced), reference.referenced));
		}
	return new Map([...lists].map(([table, of]) => [table, [...of.values()]]));
}

/**
 * Which row of the table these columns of a row point at, or which it is, where they are its own; null where a part is
 * null.
 */
export function pointer(
	table: TableName,
	referenced: readonly string[],
	row: ReadonlyMap<string, string>,
	columns = referenced
): string | null {
	const values = referenced.map((name, i) => [name, row.get(columns[i]!) ?? 'null'] as const);
	return values.some(([, text]) => text === 'null')
		? null
		: JSON.stringify([tableKey(table), values.toSorted()]);
}

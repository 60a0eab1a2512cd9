/** SQL that would do a change again, or undo it: for a person to read and run; Rowcast never does. */

import { columnsOf, type ColumnChange } from './change.ts';
import { kindOf, plain } from './json.ts';
import type { Change, TableInfo, TableName } from './protocol.ts';

/** A name as SQL writes it: quoted, so that any name there is comes out right. */
export function identifier(name: string): string {
	return `"${name.replaceAll('"', '""')}"`;
}

function text(value: string): string {
	const quoted = `'${value.replaceAll("'", "''")}'`;
	// A backslash means itself only while standard_conforming_strings is on; the E form means the same either way.
	return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** A table's name as SQL writes it. */
export function quoted({ schema, table }: TableName): string {
	return `${identifier(schema)}.${identifier(table)}`;
}

/** A value as SQL. Arrays and composites go through PostgreSQL's own reading of its JSON: no type is lost. */
export function literal(table: TableName, name: string, json: string, info?: TableInfo): string {
	const kind = kindOf(json);
	if (kind === 'null') return 'null';
	if (kind === 'number' || kind === 'boolean') return json;
	if (kind === 'string') return text(plain(json));
	const type = info?.columns.find((column) => column.name === name)?.type;
	if (type === 'json' || type === 'jsonb') return text(json);
	const row = text(`{${JSON.stringify(name)}: ${json}}`);
	return `(json_populate_record(null::${quoted(table)}, ${row})).${identifier(name)}`;
}

function condition(
	change: Change,
	columns: ColumnChange[],
	side: 'before' | 'after',
	info?: TableInfo
): string {
	const keys = Object.keys(change.key ?? {});
	const by = keys.length > 0 ? columns.filter(({ name }) => keys.includes(name)) : columns;
	return by
		.map((column) => {
			const value = literal(change, column.name, column[side] ?? 'null', info);
			return `${identifier(column.name)} ${value === 'null' ? 'is null' : `= ${value}`}`;
		})
		.join(' and ');
}

function insert(change: Change, columns: ColumnChange[], side: 'before' | 'after', info?: TableInfo): string {
	const names = columns.map(({ name }) => identifier(name)).join(', ');
	const values = columns
		.map((column) => literal(change, column.name, column[side] ?? 'null', info))
		.join(', ');
	return `insert into ${quoted(change)} (${names})\nvalues (${values});`;
}

function update(
	change: Change,
	columns: ColumnChange[],
	from: 'before' | 'after',
	to: 'before' | 'after',
	info?: TableInfo
): string {
	const set = columns
		.filter(({ changed }) => changed)
		.map(
			(column) => `${identifier(column.name)} = ${literal(change, column.name, column[to] ?? 'null', info)}`
		)
		.join(', ');
	if (!set) return '-- no value changed';
	return `update ${quoted(change)}\nset ${set}\nwhere ${condition(change, columns, from, info)};`;
}

function remove(change: Change, columns: ColumnChange[], side: 'before' | 'after', info?: TableInfo): string {
	return `delete from ${quoted(change)}\nwhere ${condition(change, columns, side, info)};`;
}

/** SQL with the change's effect; null where it has none of its own. */
export function redoSql(change: Change, info?: TableInfo): string | null {
	const columns = columnsOf(change);
	if (change.op === 'INSERT') return warn(change, insert(change, columns, 'after', info));
	if (change.op === 'UPDATE') return warn(change, update(change, columns, 'before', 'after', info));
	if (change.op === 'DELETE') return warn(change, remove(change, columns, 'before', info));
	if (change.op === 'TRUNCATE') return `truncate ${quoted(change)};`;
	return null;
}

/** SQL with the opposite effect; null where the log does not hold what it would take. */
export function undoSql(change: Change, info?: TableInfo): string | null {
	const columns = columnsOf(change);
	if (change.op === 'INSERT') return warn(change, remove(change, columns, 'after', info));
	if (change.op === 'UPDATE') return warn(change, update(change, columns, 'after', 'before', info));
	if (change.op === 'DELETE') return warn(change, insert(change, columns, 'before', info));
	return null;
}

function warn(change: Change, sql: string): string {
	const cut = change.cut?.length ? `-- not whole: ${change.cut.join(', ').replace(/[\r\n]+/g, ' ')}\n` : '';
	const keyless =
		!change.key && change.op !== 'INSERT' ? '-- no primary key: equal rows are all meant\n' : '';
	return cut + keyless + sql;
}

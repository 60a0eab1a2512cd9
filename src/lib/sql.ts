/** SQL that would do a change again, and the parts of what would undo it: for a person to read and run; Rowcast never does. */

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

const typeOf = (name: string, info?: TableInfo) =>
	info?.columns.find((column) => column.name === name)?.type ?? '';
const JSON_TYPE = /^jsonb?$/;
/** Types without an equality, or with one that means something else. */
const INCOMPARABLE = /^(json|xml|point|line|lseg|box|path|polygon|circle)(\[\])*$/;

/** A value as SQL. Arrays and composites go through PostgreSQL's own reading of its JSON: no type is lost. */
export function literal(table: TableName, name: string, json: string, info?: TableInfo): string {
	const kind = kindOf(json);
	if (kind === 'null') return 'null';
	// Quoted, a number is read as the column's type: a bare 1.1 is equal to no real.
	if (kind === 'number' || JSON_TYPE.test(typeOf(name, info))) return text(json);
	if (kind === 'boolean') return json;
	if (kind === 'string') return text(plain(json));
	const row = text(`{${JSON.stringify(name)}: ${json}}`);
	return `(json_populate_record(null::${quoted(table)}, ${row})).${identifier(name)}`;
}

/** The condition that a column has a value. */
export function holds(table: TableName, name: string, json: string, info?: TableInfo): string {
	const column = identifier(name);
	const value = literal(table, name, json, info);
	const type = typeOf(name, info);
	// A null of JSON is written as a null of SQL is.
	if (value === 'null')
		return JSON_TYPE.test(type) ? `coalesce(${column}::text, 'null') = 'null'` : `${column} is null`;
	return INCOMPARABLE.test(type) ? `${column}::text = (${value})::text` : `${column} = ${value}`;
}

/** Whether the table of today has a column of a change. */
export function isThere(name: string, info?: TableInfo): boolean {
	return !info || info.columns.some((column) => column.name === name);
}

/** The columns of a change that a writer may set: not those that PostgreSQL computes, nor what is no more. */
export function writable(change: Pick<Change, 'before' | 'after' | 'cut'>, info?: TableInfo): ColumnChange[] {
	const computed = new Set(info?.columns.filter(({ generated }) => generated).map(({ name }) => name));
	return columnsOf(change).filter(({ name }) => isThere(name, info) && !computed.has(name));
}

type Side = 'before' | 'after';

/** Puts a row there as it was on one side of a change, without semicolon. */
export function insertion(table: TableName, columns: ColumnChange[], side: Side, info?: TableInfo): string {
	if (columns.length === 0) return `insert into ${quoted(table)} default values`;
	const names = columns.map(({ name }) => identifier(name)).join(', ');
	const values = columns.map((column) => literal(table, column.name, column[side] ?? 'null', info));
	// An identity, too, is to be what it was.
	return `insert into ${quoted(table)} (${names})\noverriding system value values (${values.join(', ')})`;
}

/** The values of one side, as an update sets them. */
export function assignments(table: TableName, columns: ColumnChange[], side: Side, info?: TableInfo): string {
	return columns
		.map(({ name, [side]: json }) => `${identifier(name)} = ${literal(table, name, json ?? 'null', info)}`)
		.join(', ');
}

/** SQL with the change's effect; null where it has none of its own. */
export function redoSql(change: Change, info?: TableInfo): string | null {
	const { op } = change;
	if (op === 'TRUNCATE') return `truncate ${quoted(change.partition ?? change)};`;
	if (op === 'REFERENCE') return null;
	const columns = writable(change, info);
	if (op === 'INSERT') return warn(change, `${insertion(change, columns, 'after', info)};`);
	const where = `where ${condition(change, info)};`;
	if (op === 'DELETE') return warn(change, `delete from ${quoted(change)}\n${where}`);
	const changed = columns.filter((column) => column.changed);
	if (changed.length === 0) return warn(change, '-- no value changed');
	const set = assignments(change, changed, 'after', info);
	return warn(change, `update ${quoted(change)}\nset ${set}\n${where}`);
}

/** That of the row before the change. */
function condition(change: Change, info?: TableInfo): string {
	const columns = columnsOf(change);
	const keys = Object.keys(change.key ?? {});
	const by = columns.filter(({ name }) => (keys.length > 0 ? keys.includes(name) : isThere(name, info)));
	return (
		by.map((column) => holds(change, column.name, column.before ?? 'null', info)).join(' and ') || 'true'
	);
}

function warn(change: Change, sql: string): string {
	const cut = change.cut?.length ? `-- not whole: ${change.cut.join(', ').replace(/[\r\n]+/g, ' ')}\n` : '';
	const keyless =
		!change.key && change.op !== 'INSERT' ? '-- no primary key: equal rows are all meant\n' : '';
	return cut + keyless + sql;
}

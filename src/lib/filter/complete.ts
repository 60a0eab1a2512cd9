/** What could stand at a place of a filter: names of tables, columns and ops, as a person types. */
import { OPS, type TableInfo } from '../protocol.ts';
import { tableLabel } from './scope.ts';
import { quoteName } from './format.ts';

/** Put `text` in the place of what stands from `from` up to `to`. */
export interface Suggestion {
	from: number;
	to: number;
	text: string;
	/** For people: the type of a column, what a keyword selects. */
	detail: string;
}

const MOST = 50;
/** A word: anything without blanks and parentheses, except within double quotes. */
const WORD = /(?:"(?:[^"\\]|\\.)*"?|[^\s()"])+/g;
const HEAD = /^-*((?:"(?:[^"\\]|\\.)*"?|[^":=!<>~])*)(!=|<=|>=|[:=<>~])?/;

const KEYWORDS: [text: string, detail: string][] = [
	['table:', 'changes of one table'],
	['op:', 'insert, update, delete, truncate or reference'],
	['changed:', 'updates that changed a column'],
	['before.', 'a column as it was'],
	['after.', 'a column as it is now'],
	['tx:', 'changes of one transaction']
];

/** Suggestions for the place of the cursor, those first that begin with what is typed there. */
export function complete(text: string, cursor: number, tables: readonly TableInfo[]): Suggestion[] {
	const word = wordAt(text, cursor);
	const [head, name = '', comparison] = HEAD.exec(text.slice(word.from, word.to))!;
	const start = word.from + head.length;
	const columns = columnsOf(text, tables);
	if (!comparison || cursor < start) {
		const from = word.from + (/^-*/.exec(head)?.[0].length ?? 0);
		const [, row] = /^(before|after)\./i.exec(name) ?? [];
		const own: Option[] = columns.map(([column, type]) => [withRow(row, columnName(column, row)), type]);
		const options = row ? own : [...KEYWORDS, ...own, ['or', 'either what stands before it, or after']];
		return pick(text, from, comparison ? start - comparison.length : word.to, cursor, options as Option[]);
	}
	return pick(text, start, word.to, cursor, valuesFor(name, columns, tables));
}

type Option = [text: string, detail: string];

function valuesFor(name: string, columns: Option[], tables: readonly TableInfo[]): Option[] {
	switch (name.toLowerCase()) {
		case 'table':
			return tables.map((table) => [tableLabel(table, tables), table.watched ? table.schema : 'not watched']);
		case 'op':
			return OPS.map((op) => [op.toLowerCase(), '']);
		case 'changed':
			return columns.map(([column, type]) => [quoteName(column), type]);
		case 'tx':
			return [];
	}
	const bare = name.replace(/^(before|after)\./i, '').replace(/^"|"$/g, '');
	const type = columns.find(([column]) => column === bare)?.[1];
	const values: Option[] = [['null', 'no value']];
	if (type === 'boolean') values.unshift(['true', ''], ['false', '']);
	const same = columns.filter(([, other]) => other === type);
	for (const row of ['before', 'after'])
		for (const [column, type] of same) values.push([`${row}.${quoteName(column)}`, type]);
	return values;
}

/** The word that the cursor is in or at the end of; empty at the cursor where there is none. */
function wordAt(text: string, cursor: number): { from: number; to: number } {
	for (const { index, 0: word } of text.matchAll(WORD)) {
		if (index > cursor) break;
		if (cursor <= index + word.length) return { from: index, to: index + word.length };
	}
	return { from: cursor, to: cursor };
}

/** Columns with their types, of the tables that the text names, else of all. */
function columnsOf(text: string, tables: readonly TableInfo[]): Option[] {
	const words = new Set((text.match(WORD) ?? []).map((word) => word.replace(/^-*/, '')));
	const mentioned = tables.filter(
		(table) =>
			words.has(`table:${quoteName(table.table)}`) ||
			words.has(`table:${quoteName(table.schema)}.${quoteName(table.table)}`)
	);
	const types = new Map<string, string>();
	for (const { columns } of mentioned.length > 0 ? mentioned : tables)
		for (const { name, type } of columns) if (!types.has(name)) types.set(name, type);
	return [...types];
}

function columnName(column: string, row: string | undefined): string {
	const word = column.toLowerCase();
	return !row && (word === 'or' || KEYWORDS.some(([keyword]) => keyword.slice(0, -1) === word))
		? `"${column}"`
		: quoteName(column);
}

const withRow = (row: string | undefined, column: string) => (row ? `${row}.${column}` : column);

function pick(text: string, from: number, to: number, cursor: number, options: Option[]): Suggestion[] {
	const typed = plain(text.slice(from, Math.max(from, cursor)));
	const begin = options.filter(([option]) => plain(option).startsWith(typed));
	const contain = typed === '' ? [] : options.filter(([option]) => plain(option).indexOf(typed) > 0);
	return [...begin, ...contain]
		.filter(([option]) => option !== text.slice(from, to))
		.slice(0, MOST)
		.map(([option, detail]) => ({ from, to, text: option, detail }));
}

/** As people type it: without quotes, whatever its case. */
const plain = (text: string) => text.replace(/["\\]/g, '').toLowerCase();

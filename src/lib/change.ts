/** What a change means to a person: which row, which columns, from what to what. */

import { alike } from './differing.ts';
import { clockTime, dayTime, sameDay } from './format.ts';
import { plain, unquote, valuesOf } from './json.ts';
import { pathChanges } from './paths.ts';
import type { Change, Op, TableName } from './protocol.ts';
import { looksOther, shortened, wholeAt } from './signs.ts';

/** Glyph and word of an operation: always shown together, so that colour says nothing alone. */
export const OP_SIGNS: Record<Op, { glyph: string; word: string }> = {
	INSERT: { glyph: '+', word: 'insert' },
	UPDATE: { glyph: '~', word: 'update' },
	DELETE: { glyph: '−', word: 'delete' },
	TRUNCATE: { glyph: '!', word: 'truncate' },
	REFERENCE: { glyph: '↳', word: 'ref' }
};

/** A table's identity as one string; PostgreSQL allows no NUL in a name. */
export function tableKey({ schema, table }: TableName): string {
	return `${schema}\u0000${table}`;
}

/** A table's name for people: the schema only where it is not `public`; in quotes what has a dot or a quote itself. */
export function tableLabel({ schema, table }: TableName): string {
	const [first, last] = [schema, table].map((part) =>
		/[."]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part
	);
	return schema === 'public' ? last! : `${first}.${last}`;
}

/** The primary key as people write it: `42`, or `7/2` of several columns; empty where the table has none. */
export function keyLabel(key: Change['key']): string {
	return key
		? Object.values(key)
				.map((value) => (value === '' ? '""' : (value ?? 'null')))
				.join('/')
		: '';
}

/** A key that is short enough for a line: a uuid by its first part. */
export function briefKey(key: Change['key']): string {
	const label = keyLabel(key);
	if (/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}$/i.test(label)) return `${label.slice(0, 8)}…`;
	return shortened(onOneLine(label), 32);
}

/** Orders the changes of a row, as they were made. */
export const bySeq = (a: Change, b: Change) => (a.seq === b.seq ? 0 : BigInt(a.seq) < BigInt(b.seq) ? -1 : 1);

/** One column of a changed row. A side is null where the row, or the column, did not exist. */
export interface ColumnChange {
	name: string;
	/** JSON text, exactly as PostgreSQL wrote it. */
	before: string | null;
	after: string | null;
	changed: boolean;
	/** Too large: what is shown is not the whole value. */
	cut: boolean;
	/** A member of a document: no column by its own. */
	part?: true;
}

/** Every column of the row, in the table's order, with both sides. */
export function columnsOf(change: Pick<Change, 'before' | 'after' | 'cut'>): ColumnChange[] {
	const before = valuesOf(change.before);
	const after = valuesOf(change.after);
	const names = new Set([...after.keys(), ...before.keys()]);
	const cut = new Set(change.cut);
	return [...names].map((name) => {
		const from = before.get(name) ?? null;
		const to = after.get(name) ?? null;
		return { name, before: from, after: to, changed: from !== to, cut: cut.has(name) };
	});
}

/** A change in words: a few columns, and how many more there are. */
export interface Summary {
	/** A name that people would call the row by, where it has one: a title, a name, an e-mail address. */
	title: string | null;
	/** The column that the title is the value of. */
	titled: ColumnChange | null;
	/** Those of the primary key. */
	keys: ColumnChange[];
	columns: ColumnChange[];
	more: number;
}

const TITLE = /^(title|name|label|subject|display_?name|full_?name|e?mail|slug|sku|code)$/i;
const BOOKKEEPING =
	/(^|_)(at|on|ts|time|timestamp|updated|modified|created|changed|version)$|[a-z](At|On|Time)$/;
/** Columns of a row that its line has room for. */
const SHOWN = 3;
/** Characters of a value on a line, and of what stands between two. */
const LONGEST = 48;
const SHORTEST = 6;
const GAP = 2;
/** Characters of how many more there are. */
const MORE = 3;
/** Characters of a document, above which a line tells no more of it than its members. */
const LARGE = 20_000;

const summaries = new WeakMap<Change, Summary>();

/** Says what a change did, shortest first: an update's changed columns, else what describes the row best. */
export function summarise(change: Change): Summary {
	let summary = summaries.get(change);
	if (!summary) {
		summary = work(change);
		summaries.set(change, summary);
	}
	return summary;
}

function work(change: Change): Summary {
	const columns = columnsOf(change);
	const keys = columns.filter(({ name }) => change.key && Object.hasOwn(change.key, name));
	if (change.op === 'UPDATE') {
		const changed = columns.filter((column) => column.changed);
		const telling = changed.filter((column) => !BOOKKEEPING.test(column.name));
		const told = (telling.length > 0 ? telling : changed).slice(0, SHOWN);
		const more = changed.length - told.length;
		return { title: null, titled: null, keys, columns: told.flatMap(inside), more };
	}
	const told = columns.filter(
		(column) => !keys.includes(column) && (column.after ?? column.before ?? 'null') !== 'null'
	);
	const named =
		told.find((column) => TITLE.test(column.name) && (column.after ?? column.before)!.startsWith('"')) ??
		null;
	const rest = quietLast(told.filter((column) => column !== named));
	const room = named ? SHOWN - 1 : SHOWN;
	return {
		title: named ? unquote((named.after ?? named.before)!) : null,
		titled: named,
		keys,
		columns: rest.slice(0, room),
		more: Math.max(0, rest.length - room)
	};
}

/** A changed document as what changed inside it: `details.rating`, `dim.h`, at most one line's worth of that. */
function inside(column: ColumnChange): ColumnChange[] {
	const { name, before, after } = column;
	if (before === null || after === null) return [column];
	const deepest = before.length + after.length > LARGE ? 1 : undefined;
	const told = pathChanges(before, after, deepest)
		.filter(({ changed }) => changed)
		.slice(0, SHOWN);
	if (told.length === 0) return [column];
	return told.map(({ path, before, after, changed }) => ({
		name: `${name}.${path}`,
		before,
		after,
		changed,
		cut: column.cut,
		part: true
	}));
}

/** Times and versions that change with every write say the least: they come last. */
function quietLast(columns: ColumnChange[]): ColumnChange[] {
	const quiet = columns.filter((column) => BOOKKEEPING.test(column.name));
	return quiet.length === 0 ? columns : [...columns.filter((column) => !quiet.includes(column)), ...quiet];
}

const TIMESTAMP = /^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)"$/;

/** A moment as day and seconds in the person's zone; the seconds alone where the day is `today`. */
function briefTime(text: string, today: string): string | null {
	if (text.length > 40 || !TIMESTAMP.test(text)) return null;
	const at = new Date(text.slice(1, -1));
	if (Number.isNaN(at.getTime())) return null;
	return sameDay(at.getTime(), Date.parse(today)) ? clockTime(at.getTime()) : dayTime(at.getTime());
}

/**
 * A value on one line: no longer than `most` characters, line breaks shown as a sign, a time without its day where that is
 * the day of `today`, a text that reads as a number or as no value in quotes.
 */
export function brief(text: string | null, most = LONGEST, today = ''): string {
	if (text === null) return '∅';
	const line = briefTime(text, today) ?? oneLine(text, most);
	return text === '""' || (text[0] === '"' && looksOther(line)) ? `"${line}"` : line;
}

function oneLine(text: string, most: number): string {
	// Long values are cut before they are read: a row of a megabyte costs a line's work.
	const value = text.length > 4 * most ? plainStart(text, most) : plain(text);
	return shortened(onOneLine(value), most);
}

/** A text with its line breaks as signs. */
export const onOneLine = (text: string) => text.replaceAll('\n', '⏎').replaceAll('\r', '␍');

/** What is shown of the same, before where two long values differ. */
const LEAD = 8;

/** A value on one line from shortly before its character `at`, which counts in its JSON text. */
function briefFrom(text: string, at: number, most: number): string {
	let from = at - LEAD;
	if (from < 2) return oneLine(text, most);
	// Not from within an escape, nor from half a character.
	const escape = /\\+(u[0-9a-f]{0,3})?$/i.exec(text.slice(Math.max(0, from - 64), from))?.[0] ?? '';
	const odd = escape.replace(/u.*/i, '').length % 2;
	if (odd) from -= escape.replace(/^\\+/, '').length + 1;
	from = wholeAt(text, from);
	const rest = text.slice(from, from + 4 * most);
	return `…${oneLine(text[0] === '"' ? `"${rest}${from + rest.length < text.length ? '"' : ''}` : rest, most - 1)}`;
}

function plainStart(text: string, most: number): string {
	if (text[0] !== '"') return text.slice(0, 2 * most);
	// A cut may fall inside an escape; give back as much as still parses.
	for (let end = 3 * most; end > 3 * most - 8; end--) {
		const part = `${text.slice(0, end)}"`;
		const value = unquote(part);
		if (value !== part) return value;
	}
	return text.slice(1, 2 * most);
}

/** A column as its line tells it. */
export interface Told {
	column: ColumnChange;
	before: string;
	after: string;
}

/** What a line of `room` characters tells of a change; what does not fit is left out whole and counted, but the first. */
export function tell(
	change: Change,
	room: number
): Pick<Summary, 'title' | 'titled' | 'more'> & { columns: Told[] } {
	const summary = summarise(change);
	const most = Math.max(SHORTEST, Math.min(LONGEST, room - GAP));
	const title = summary.title && oneLine(JSON.stringify(summary.title), most);
	let left = room - (title === null ? 0 : title.length + 2 + GAP);
	let { more } = summary;
	const columns: Told[] = [];
	const ordered = change.op === 'UPDATE' ? wholeFirst(change, summary.columns, left) : summary.columns;
	for (const column of ordered) {
		const first = columns.length === 0 && title === null;
		const others = more > 0 || ordered.length > 1 ? MORE : 0;
		const told = tellColumn(change, column, first ? left - GAP - others : Infinity);
		if (first || (more === summary.more && lengthOf(told) <= left)) columns.push(told);
		else more++;
		left -= lengthOf(told);
	}
	return { title, titled: summary.titled, columns, more };
}

const lengthOf = ({ column, before, after }: Told) =>
	column.name.length + before.length + after.length + 2 * GAP;

/** In little room a value that is told whole says more than one that is cut. */
function wholeFirst(change: Change, columns: ColumnChange[], room: number): ColumnChange[] {
	const at = columns.findIndex(
		(column) => !BOOKKEEPING.test(column.name) && lengthOf(tellColumn(change, column, Infinity)) <= room
	);
	return at > 0 ? [columns[at]!, ...columns.slice(0, at), ...columns.slice(at + 1)] : columns;
}

/** Neither side takes the room of the other. */
function tellColumn({ op, at }: Change, column: ColumnChange, room: number): Told {
	const update = op === 'UPDATE';
	const before = (most: number) => (update ? brief(column.before, Math.min(most, LONGEST), at) : '');
	const after = (most: number) =>
		brief(update ? column.after : (column.after ?? column.before), Math.min(most, LONGEST), at);
	const left = Math.max(2 * SHORTEST, room - column.name.length - 2 * GAP);
	const half = Math.floor(left / 2);
	const [from, to] = [before(LONGEST), after(LONGEST)];
	const fits = from.length + to.length <= left;
	const rooms = fits
		? [LONGEST, LONGEST]
		: [Math.max(half, left - to.length), Math.max(half, left - from.length)];
	const told = { column, before: before(rooms[0]!), after: after(rooms[1]!) };
	if (!update || column.before === null || column.after === null || !seemAlike(told)) return told;
	// Where they begin to differ is what is to be seen of them.
	const split = alike(column.before, column.after);
	return {
		column,
		before: briefFrom(column.before, split, Math.min(rooms[0]!, LONGEST)),
		after: briefFrom(column.after, split, Math.min(rooms[1]!, LONGEST))
	};
}

/** Whether two sides, or what there is room for of them, read the same. */
function seemAlike({ before, after }: Told): boolean {
	if (before === after) return true;
	if (!before.endsWith('…') || !after.endsWith('…')) return false;
	const [shorter, longer] = before.length < after.length ? [before, after] : [after, before];
	return longer.startsWith(shorter.slice(0, -1));
}

/** Alike changes counted: `Book ×3`. */
export interface Tally extends TableName {
	op: Op;
	rows: number;
}

/** How many changes of each table and op, in the order of their first. */
export function tally(changes: Change[]): Tally[] {
	const found = new Map<string, Tally>();
	for (const { schema, table, op } of changes) {
		const key = `${op} ${tableKey({ schema, table })}`;
		const known = found.get(key);
		if (known) known.rows++;
		else found.set(key, { schema, table, op, rows: 1 });
	}
	return [...found.values()];
}

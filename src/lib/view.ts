/** What the screen shows, as an address: a link opens the same view for a colleague, and Back works. */

import { split } from './filter/scope.ts';
import { OPS, type Filter, type Op, type Position, type TableInfo, type TableName } from './protocol.ts';
import { tableKey } from './change.ts';
import { duration } from './format.ts';
import { shortened } from './signs.ts';

/** Spans of the chart, and the step of each: enough bars to see a shape, few enough to tell them apart. */
export const SPANS = [
	{ label: '1m', ms: 60_000, stepMs: 1000 },
	{ label: '5m', ms: 300_000, stepMs: 2000 },
	{ label: '15m', ms: 900_000, stepMs: 10_000 },
	{ label: '1h', ms: 3_600_000, stepMs: 30_000 },
	{ label: '24h', ms: 86_400_000, stepMs: 600_000 },
	{ label: '7d', ms: 604_800_000, stepMs: 3_600_000 },
	{ label: '30d', ms: 2_592_000_000, stepMs: 14_400_000 },
	{ label: '1y', ms: 31_622_400_000, stepMs: 172_800_000 },
	{ label: '10y', ms: 316_224_000_000, stepMs: 1_728_000_000 }
] as const;

const MONTH_MS = 2_592_000_000;

export type Span = (typeof SPANS)[number];
export const DEFAULT_SPAN: Span = SPANS[1];

/** `5 min`, `30 d`, `1 y`. */
export function spanName({ label, ms }: Span): string {
	return label.endsWith('y') ? label.replace('y', ' y') : duration(ms);
}

/** Spans to choose from beside the one that is shown: up to a month, and a longer one where the log goes on before it. */
export function spansBeside(shown: Span, goesOn: boolean): Span[] {
	const most = SPANS.indexOf(shown) + Number(goesOn);
	return SPANS.filter(({ ms }, i) => i <= most || ms <= MONTH_MS);
}

/** A stretch of the past that is shown instead of the present, and where in it the playhead stands. */
export interface Stretch {
	from: number;
	to: number;
	at: number;
	/** Where the playhead stands at a change, within a transaction it may be: all before this has happened. */
	place: Position | null;
}

export interface View {
	tables: TableName[];
	/** Tables that are left out instead. */
	without: TableName[];
	ops: Op[];
	where: string;
	span: Span;
	/** Null: the present. */
	past: Stretch | null;
	/** The change whose row is open. */
	row: Position | null;
	/** The table that is open as it was. */
	then: TableName | null;
	/** What of the address could not be read. */
	unread: string | null;
}

/** Reads a view from an address. What cannot be read is left at its default: an old link still opens. */
export function parseView(params: URLSearchParams): View {
	const ops = params.getAll('op').map((op) => op.toUpperCase());
	const time = parseTime(params);
	return {
		tables: params.getAll('table').flatMap(parseTable),
		without: params.getAll('without').flatMap(parseTable),
		ops: OPS.filter((op) => ops.includes(op)),
		where: params.get('q') ?? '',
		span: SPANS.find(({ label }) => label === params.get('span')) ?? DEFAULT_SPAN,
		...time,
		unread: [time.unread, parseNames(params)].filter(Boolean).join('. ') || null,
		row: parsePosition(params.get('row') ?? ''),
		then: parseTable(params.get('then') ?? '')[0] ?? null
	};
}

/** The shortest address of a view; empty for the plain live one. */
export function formatView({ tables, without, ops, where, span, past, row, then }: View): string {
	const params = new URLSearchParams();
	for (const table of tables) params.append('table', formatTable(table));
	for (const table of without) params.append('without', formatTable(table));
	for (const op of ops) params.append('op', op.toLowerCase());
	if (where) params.set('q', where);
	if (span !== DEFAULT_SPAN) params.set('span', span.label);
	if (past) {
		params.set('from', new Date(past.from).toISOString());
		params.set('to', new Date(past.to).toISOString());
		if (past.at !== past.from) params.set('at', new Date(past.at).toISOString());
		if (past.place) params.set('place', formatPosition(past.place));
	}
	if (row) params.set('row', formatPosition(row));
	if (then) params.set('then', formatTable(then));
	const text = params.toString();
	return text && `?${text}`;
}

/** Chosen tables that the database does not have. */
export function missingTables({ tables }: View, known: readonly TableName[]): TableName[] {
	const there = new Set(known.map(tableKey));
	return there.size === 0 ? [] : tables.filter((table) => !there.has(tableKey(table)));
}

/**
 * The filter that a view asks the server for, given the tables there are: a table that is missing is passed over. What
 * the text says of tables and ops alone becomes a part of its own, which the log has sums of.
 */
export function filterOf(view: View, known: readonly TableInfo[]): Filter {
	const text = split(view.where, known);
	const said: Filter = text.ok ? text.filter : { where: view.where.trim() };
	const chosen = both(tablesOf(view, known), said.tables, tableKey);
	const ops = both(view.ops.length > 0 ? view.ops : undefined, said.ops, String);
	return {
		...(chosen ? { tables: chosen.map(({ schema, table }) => ({ schema, table })) } : {}),
		...(ops ? { ops } : {}),
		...(said.where ? { where: said.where } : {})
	};
}

/** The tables that were chosen by click; undefined where all are shown. */
function tablesOf(view: View, known: readonly TableName[]): readonly TableName[] | undefined {
	const missing = new Set(missingTables(view, known).map(tableKey));
	const there = view.tables.filter((table) => !missing.has(tableKey(table)));
	if (there.length > 0) return there;
	const left = new Set(view.without.map(tableKey));
	return left.size > 0 ? known.filter((table) => !left.has(tableKey(table))) : undefined;
}

/** What is in both lists; an undefined one holds everything. */
function both<T>(
	a: readonly T[] | undefined,
	b: readonly T[] | undefined,
	key: (item: T) => string
): T[] | undefined {
	if (!a || !b) return (a ?? b) as T[] | undefined;
	const keys = new Set(b.map(key));
	return a.filter((item) => keys.has(key(item)));
}

/** Whether a table's changes are in the view. */
export function includes({ tables, without }: View, table: TableName): boolean {
	const key = tableKey(table);
	if (tables.length > 0) return tables.some((chosen) => tableKey(chosen) === key);
	return !without.some((left) => tableKey(left) === key);
}

/** A chosen item put in or taken out of a list. */
export function toggled<T>(list: readonly T[], item: T, same: (a: T, b: T) => boolean = Object.is): T[] {
	return list.some((other) => same(other, item))
		? list.filter((other) => !same(other, item))
		: [...list, item];
}

/** `schema.table`; a dot inside a name is escaped, so that any name there is comes back as it was. */
export function formatTable({ schema, table }: TableName): string {
	return [schema, table]
		.map((part) => part.replace(/[%.]/g, (char) => (char === '.' ? '%2E' : '%25')))
		.join('.');
}

function parseTable(text: string): TableName[] {
	const parts = text.split('.').map((part) => part.replace(/%2E/g, '.').replace(/%25/g, '%'));
	if (parts.length === 1 && parts[0]) return [{ schema: 'public', table: parts[0] }];
	return parts.length === 2 && parts[0] && parts[1] ? [{ schema: parts[0], table: parts[1] }] : [];
}

const formatPosition = ({ tick, seq }: Position) => `${tick}-${seq}`;

/** As the protocol has a position. */
function parsePosition(text: string): Position | null {
	const [, tick, seq] = /^(0|[1-9]\d{0,18})-(0|[1-9]\d{0,38})$/.exec(text) ?? [];
	return tick && seq ? { tick, seq } : null;
}

/** What names no operation and no span, as a notice. */
function parseNames(params: URLSearchParams): string | null {
	const span = params.get('span');
	const unknown = [
		...params
			.getAll('op')
			.filter((op) => !OPS.some((known) => known === op.toUpperCase()))
			.map((op) => `operation “${shortened(op, 20)}”`),
		...(span !== null && !SPANS.some(({ label }) => label === span)
			? [`time span “${shortened(span, 20)}”`]
			: [])
	];
	return unknown.length > 0 ? `There is no ${unknown.join(' and no ')}: showing the rest` : null;
}

/** The protocol's times have years of four digits. */
const TIME = /^\d{4}-\d\d-\d\d(T|$)/;
const LAST = Date.parse('9999-12-31T00:00:00Z');

function parseTime(params: URLSearchParams): Pick<View, 'past' | 'unread'> {
	const texts = ['from', 'to', 'at'].map((name) => params.get(name));
	const [from, to, at] = texts.map((text) => (TIME.test(text ?? '') ? Date.parse(text!) : NaN)) as [
		number,
		number,
		number
	];
	if (texts.every((text) => text === null)) return { past: null, unread: null };
	if (!(from >= 0 && to >= 0 && from < LAST && to < LAST))
		return { past: null, unread: 'The time of this link cannot be read: showing the present' };
	if (from >= to)
		return { past: null, unread: 'The time of this link does not end after it begins: showing the present' };
	const within = at >= from && at <= to;
	return {
		past: { from, to, at: within ? at : from, place: parsePosition(params.get('place') ?? '') },
		unread:
			within || !params.has('at') ? null : 'The moment of this link is not within its time: showing the start'
	};
}

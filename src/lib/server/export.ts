/**
 * Changes as a file: one page after the other as fast as it is taken away, so that it may be as large as the log.
 */
import { isNumber } from '../filter.ts';
import { plain, valuesOf } from '../json.ts';
import {
	MAX_CHANGES,
	type Change,
	type Filter,
	type Gap,
	type Position,
	type TableInfo
} from '../protocol.ts';
import { textOf, total } from './compose.ts';
import { RequestError } from './errors.ts';
import type { Turnstile } from './limits.ts';
import replay from './replay.html?raw';
import type { Reader, Selection } from './types.ts';

export const FORMATS = {
	ndjson: 'application/x-ndjson; charset=utf-8',
	csv: 'text/csv; charset=utf-8; header=present',
	html: 'text/html; charset=utf-8'
} as const;
export type Format = keyof typeof FORMATS;

/** Changes whose size is measured to tell that of the file. */
const SAMPLE = 200;
/** What a browser keeps in memory with ease. */
const MAX_REPLAY = 200_000;

/** Characters of row text that a page should not exceed by much: it grows up to there, for the next may be larger. */
const PAGE_TEXT = 2_000_000;
const FIRST_PAGE = 50;

/** What a running server lends to those who ask for the past outside of a socket. */
export interface Past {
	readonly reader: Reader;
	tables(): TableInfo[];
	/** Reads wait here for their turn, with those of all sockets. */
	readonly turn: Turnstile;
}

export interface ExportRequest {
	filter: Filter;
	/** Of the ticks (after, until]. */
	after: bigint;
	until: bigint;
	format: Format;
}

/** How a file begins, goes on and ends. */
interface Writer {
	head: string;
	write(entries: Entry[]): string;
	tail: string;
}

/** What retention took away while the file was read is told where it would stand. */
type Entry = Change | Gap;

/** The file in pieces, in the order of ticks. */
export async function* exportChanges(past: Past, request: ExportRequest): AsyncGenerator<string> {
	const { head, write, tail } = writerOf(request, past.tables());
	yield head;
	let changes = 0;
	for await (const entries of pagesOf(past, request)) {
		checkSize(request, (changes += entries.length));
		yield write(entries);
	}
	yield tail;
}

/** Throws a RequestError where a page that replays would hold more changes than a browser can. */
export function checkSize({ format }: ExportRequest, changes: number): void {
	if (format === 'html' && changes > MAX_REPLAY)
		throw new RequestError(
			'BAD_REQUEST',
			`A replay holds ${MAX_REPLAY} changes, and these are ${changes}: choose a shorter time or fewer tables.`
		);
}

/** How large a file of `changes` will be, about, in bytes: by its first page. */
export async function sizeOf(past: Past, request: ExportRequest, changes: number): Promise<number> {
	const { reader, turn } = past;
	const { filter, after, until } = request;
	const { head, write, tail } = writerOf(request, past.tables());
	const frame = Buffer.byteLength(head) + Buffer.byteLength(tail);
	if (changes === 0) return frame;
	const page = await turn(() => reader.changes({ filter, after, until, order: 'asc', limit: SAMPLE }));
	const each = Buffer.byteLength(write(page.changes)) / Math.max(1, page.changes.length);
	return Math.round(frame + changes * each);
}

/** How many changes there are at most: exactly so many where no condition on values is asked. */
export async function countOf({ reader, turn }: Past, request: ExportRequest): Promise<number> {
	return total(await turn(() => reader.counts(request.filter, request.after, request.until)));
}

/** How many of these at most there are exactly; null where to find those that match takes too long. */
export async function exactCountOf(
	{ reader, turn }: Past,
	{ filter, after, until }: ExportRequest,
	most: number
): Promise<number | null> {
	if (filter.where === undefined || most === 0) return most;
	return turn(() => reader.matching(filter, after, until)).then(total, () => null);
}

async function* pagesOf(
	{ reader, turn }: Past,
	{ filter, after, until }: ExportRequest
): AsyncGenerator<Entry[]> {
	let from: Position | undefined;
	let limit = FIRST_PAGE;
	let selection: Selection | undefined;
	for (;;) {
		const page = await turn(() =>
			reader.changes({
				filter,
				after,
				until,
				order: 'asc',
				limit,
				selection,
				...(from && { from })
			})
		);
		const { changes, next } = page;
		selection = page.selection;
		const { oldest } = await reader.bounds();
		const reached = from ? BigInt(from.tick) - 1n : after;
		if (oldest > reached) {
			// The page may lack what was pruned while it was read: it is read again behind the gap.
			const end = oldest < until ? oldest : until;
			yield [{ after: String(reached), until: String(end), reason: 'pruned' }];
			if (end === until) return;
			after = oldest;
			from = undefined;
			continue;
		}
		if (changes.length > 0) yield changes;
		if (!next) return;
		from = next;
		const text = changes.reduce((sum, change) => sum + textOf(change), 0);
		const fitting = text > PAGE_TEXT ? Math.ceil((changes.length * PAGE_TEXT) / text) : 2 * limit;
		limit = Math.min(fitting, MAX_CHANGES);
	}
}

function writerOf({ format, filter }: ExportRequest, tables: TableInfo[]): Writer {
	switch (format) {
		case 'ndjson':
			return { head: '', write: ndjson, tail: '' };
		case 'csv':
			return csv(onlyTable(filter, tables));
		case 'html': {
			const [head, tail] = replay.split('<!-- changes -->') as [string, string];
			// Within a script element `<` could end it; in JSON it stands in strings only.
			return { head, write: (entries) => ndjson(entries).replaceAll('<', '\\u003c'), tail };
		}
	}
}

const isGap = (entry: Entry): entry is Gap => 'reason' in entry;

/** Each change as the protocol has it; a gap as `{"gap": …}`. */
const ndjson = (entries: Entry[]) =>
	entries.map((entry) => `${JSON.stringify(isGap(entry) ? { gap: entry } : entry)}\n`).join('');

const COLUMNS = [
	'seq',
	'tick',
	'tx',
	'at',
	'schema',
	'table',
	'op',
	'key',
	'before',
	'after',
	'via',
	'cut'
] as const;

/** With the rows as JSON, and where all are of one table, with a column for each of theirs, before and after. */
function csv(table: TableInfo | undefined): Writer {
	const names = table?.columns.map(({ name }) => name) ?? [];
	const head = [...COLUMNS, ...names.flatMap((name) => [`before.${name}`, `after.${name}`])];
	const write = (entry: Entry) => {
		if (isGap(entry))
			return line([null, `${entry.after}-${entry.until}`, null, null, null, null, `GAP (${entry.reason})`]);
		const rows = [entry.before, entry.after].map((row) => valuesOf(row));
		return line([
			...COLUMNS.map((column) => {
				const value = entry[column] ?? null;
				return typeof value === 'string' || value === null ? value : JSON.stringify(value);
			}),
			...names.flatMap((name) => rows.map((row) => valueOf(row.get(name))))
		]);
	};
	return { head: line(head), write: (entries) => entries.map(write).join(''), tail: '' };
}

const valueOf = (text: string | undefined) => (text === undefined || text === 'null' ? null : plain(text));

const line = (cells: (string | null)[]) => `${cells.map(cell).join(',')}\r\n`;

/**
 * Null is nothing at all and the empty text is "", as PostgreSQL's COPY writes and reads them. A text that a spreadsheet
 * would take for a formula gets an apostrophe before it; a number is none.
 */
function cell(text: string | null): string {
	if (text === null) return '';
	if (text === '') return '""';
	const guarded = /^[=+\-@\t\r]/.test(text) && !isNumber(text) ? `'${text}` : text;
	return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

function onlyTable({ tables: chosen }: Filter, tables: TableInfo[]): TableInfo | undefined {
	if (chosen?.length !== 1) return undefined;
	return tables.find(({ schema, table }) => schema === chosen[0]!.schema && table === chosen[0]!.table);
}

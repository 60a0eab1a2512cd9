/**
 * The wire between a Rowcast server and anything that connects to it, version 1.
 *
 * Every bigint is a decimal string of any length (compare with `BigInt`, never with `Number`). Times are ISO 8601 in
 * UTC with microseconds. Fields and events may be added; none is renamed or dropped within a version.
 */

export const PROTOCOL_VERSION = 1;

/** Most changes that a feed message, a part of a streamed tick, or a page of history carries. */
export const MAX_CHANGES = 1000;

/** Changes in a feed message when the subscriber names no `limit`. */
export const DEFAULT_LIMIT = 200;

export const OPS = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCE'] as const;
export type Op = (typeof OPS)[number];

export interface TableName {
	schema: string;
	table: string;
}

/** The change that caused a REFERENCE, and the foreign key that led from it. */
export interface Via extends TableName {
	seq: string;
	constraint: string;
	/** More rows referenced the changed row than were announced. */
	truncated: boolean;
}

/** One row's insert, update or delete; a truncate; or one row that references a changed row. */
export interface Change extends TableName {
	/** Orders each row's history; unique within an epoch. */
	seq: string;
	tick: string;
	/** The writing transaction. A label, not a cursor: PostgreSQL may use it again after a crash. */
	tx: string;
	/** When the row was changed. */
	at: string;
	op: Op;
	/** The row as JSON text, exactly as PostgreSQL wrote it; null where there is none. */
	before: string | null;
	/** As `before`; for a REFERENCE the referencing row as it was when announced. */
	after: string | null;
	/** Primary key columns as text; null where the table has none. */
	key: Record<string, string | null> | null;
	/** REFERENCE only. */
	via?: Via;
	/** Columns whose value was too large and is abbreviated. */
	cut?: string[];
	/** TRUNCATE only: the partition of the table that was truncated, where it was not the whole. */
	partition?: TableName;
}

/** Exact number of changes of one table and op. */
export interface Count extends TableName {
	op: Op;
	rows: number;
}

/** All given parts must match; `{}` matches everything. */
export interface Filter {
	tables?: TableName[];
	ops?: Op[];
	/** The filter language of the dashboard; absent: no condition. */
	where?: string;
}

export interface TickMessage {
	/** The message covers the ticks after `from` up to and including `tick`. */
	from: string;
	tick: string;
	at: string;
	/** Exact, of every change in those ticks on the filter's tables and ops. */
	counts: Count[];
	/** Only where the filter has `where`: exact, of every change in those ticks that matches all of it. */
	matched?: Count[];
	/** Those that match, by `seq`. */
	changes: Change[];
	/** Matching changes left out of `changes` (always 0 in stream mode). */
	omitted: number;
	/**
	 * How many of `omitted` the transaction of the first of `changes` made, where its tick leaves out nothing else; absent
	 * where that is not known.
	 */
	remainder?: number;
	/** Stream mode: position of this message within a large tick, from 0. */
	part?: number;
	/** Stream mode: further parts of this tick follow. */
	more?: boolean;
}

export interface Column {
	name: string;
	type: string;
	redacted: boolean;
	/** PostgreSQL computes it from the others: nobody may write it. */
	generated?: true;
}

/** A foreign key of a table: its `columns` point at `referenced` of another table (or of itself). */
export interface Reference extends TableName {
	constraint: string;
	columns: string[];
	referenced: string[];
	/** What becomes of a row when the one that it points at is deleted; absent where that is refused. */
	onDelete?: 'cascade' | 'set null' | 'set default';
}

export interface TableInfo extends TableName {
	/** PostgreSQL's number of the table, which it keeps under another name or in another schema. */
	oid: number;
	watched: boolean;
	columns: Column[];
	primaryKey: string[];
	references: Reference[];
	/** Why nothing, or not everything, of this table is captured; absent when all is well. */
	problem?: string;
}

export type ErrorCode =
	'BAD_REQUEST' | 'UNAUTHORIZED' | 'RATE_LIMITED' | 'NOT_FOUND' | 'UNAVAILABLE' | 'INTERNAL';

export interface Failure {
	ok: false;
	error: { code: ErrorCode; message: string };
}

/** The ticks after `after` up to and including `until` cannot be shown, or not wholly (`capture`). */
export interface Gap {
	after: string;
	until: string;
	reason: 'pruned' | 'epoch' | 'capture';
}

/** A position in the log: a change within a tick. */
export interface Position {
	tick: string;
	seq: string;
}

/** Where a client left off. A different `epoch` means another log: start afresh. */
export interface Cursor {
	epoch: string;
	tick: string;
}

export interface Hello {
	protocol: typeof PROTOCOL_VERSION;
	version: string;
	epoch: string;
	/** For people: `shop @ 127.0.0.1:5433`. */
	database: string;
	tables: TableInfo[];
	head: string;
	/** The first tick that can still be shown is the one after this. */
	oldest: string;
}

/** The message of the last State that a server sends: it goes, whatever the database does. */
export const STOPPED = 'Rowcast was stopped.';

export interface State {
	database: 'live' | 'catching-up' | 'disconnected';
	head: string;
	/** How long ago the newest tick that was delivered became visible, at the moment of delivery. */
	lagMs: number;
	/** Since when `database` has its value. */
	since: string;
	/** What to do, where `database` is not live, or is not followed as it could be. */
	message?: string;
}

export interface SubscribeRequest {
	filter?: Filter;
	after?: Cursor;
	mode?: 'feed' | 'stream';
	limit?: number;
}
export interface HistoryRequest {
	filter?: Filter;
	before?: Position;
	after?: Position;
	limit?: number;
	order?: 'asc' | 'desc';
}
export interface RatesRequest {
	from: string;
	to: string;
	buckets: number;
	filter?: Filter;
	/** A tick: later ones are not counted. So a time that was asked in pieces adds up to one state of the log. */
	until?: string;
}
export interface RowRequest extends TableName {
	key: Record<string, string | null>;
	before?: Position;
	limit?: number;
}

export interface Subscribed {
	ok: true;
	/** The subscription starts after this tick. */
	tick: string;
	gap: Gap | null;
}
export interface History {
	ok: true;
	changes: Change[];
	/** Where the next page starts; null at the end. */
	next: Position | null;
}
export interface Series extends TableName {
	op: Op;
	rows: number[];
}
export interface Rates {
	ok: true;
	/** Start of the first bucket. */
	from: string;
	stepMs: number;
	series: Series[];
	/** The counts are of the ticks after `after` up to and including `tick`: subscribe after `tick` to continue. */
	after: string;
	tick: string;
	/** When what the log holds begins, where that is after `from`. */
	since?: string;
	/** When tables were last written of which that is quickly found; without `where` only. */
	last?: (TableName & { at: string })[];
}
export interface RowLife {
	ok: true;
	changes: Change[];
	/** Where the next page, of what came before, starts; null at the end. */
	next: Position | null;
}

type Ack<T> = (answer: T | Failure) => void;

/** What a server sends. */
export interface ServerEvents {
	/** First on every connection. */
	hello: (message: Hello) => void;
	/** Whenever the tables, or what is watched of them, change. */
	tables: (message: TableInfo[]) => void;
	/** On each change and every few seconds. */
	state: (message: State) => void;
	/** Of the socket's subscription; `from` equals the last `tick` it was sent. In stream mode it awaits `ack`. */
	tick: (message: TickMessage, ack?: () => void) => void;
	/** These ticks cannot be shown. */
	gap: (message: Gap) => void;
}

/** What a client sends; each is acknowledged. */
export interface ClientEvents {
	subscribe: (request: SubscribeRequest, ack: Ack<Subscribed>) => void;
	unsubscribe: (request: Record<string, never>, ack: Ack<{ ok: true }>) => void;
	history: (request: HistoryRequest, ack: Ack<History>) => void;
	rates: (request: RatesRequest, ack: Ack<Rates>) => void;
	row: (request: RowRequest, ack: Ack<RowLife>) => void;
}

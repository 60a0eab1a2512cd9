/**
 * The shapes that the server's modules agree on. Reader and follower are written against these, and so are the hub
 * and its tests.
 */
import type {
	Change,
	Count,
	Filter,
	Gap,
	Position,
	Rates,
	RatesRequest,
	State,
	TableInfo,
	TableName
} from '../protocol.ts';
import type { Condition } from './where.ts';

/** A column whose values never reach the log; `*` in a part matches every name. */
export interface RedactedColumn extends TableName {
	column: string;
}

/** Everything that a running server was told from outside, checked. */
export interface Config {
	/** A connection string, an empty object for the `PG*` variables, or the embedded demo database. */
	database: { connectionString?: string } | 'embedded';
	host: string;
	/** 0 takes a free port. */
	port: number;
	/** Tables to watch at start: all of them, these, or null for what is installed already. */
	watch: 'all' | TableName[] | null;
	/** What every socket and page must show; null where none is needed. */
	token: string | null;
	/** Origins of pages, other than the server's own, that may connect. */
	origins: string[];
	redact: RedactedColumn[];
	/** How long changes are kept. */
	retentionMs: number;
	/** How large the log may grow. */
	maxLogBytes: number;
	/** Rowcast's own version. */
	version: string;
}

/** One durable tick: the changes that became visible since the tick before. */
export interface Tick {
	tick: bigint;
	at: string;
	/** Exact, of every change of the tick. */
	counts: Count[];
	/** The newest, as many as were asked for, by `seq` ascending. */
	changes: Change[];
	/** False where the tick has more than `changes` holds. */
	complete: boolean;
	/** One transaction made all of it. Not looked for where the tick is complete, or has its counts alone. */
	alone: boolean;
}

/** Where the log begins and ends. */
export interface Bounds {
	epoch: string;
	head: bigint;
	/** The first tick that can still be shown is the one after this. */
	oldest: bigint;
}

/** Tables by their numbers in the log, and ops by their letters; null for all. */
export type Scope = [relations: string[] | null, ops: string[] | null];

/** What a filter selects, in numbers, which outlive a rename. */
export interface Selection {
	/** As far as the filter and the outermost terms of its condition name tables and ops. */
	scope: Scope;
	/** The condition; `first` is the number of the first parameter that it may use. */
	condition(first: number): Condition;
}

/** A question for matching changes of the ticks (after, until], beginning beyond `from`. */
export interface ChangesQuery {
	filter: Filter;
	/** That of the page before, so that a table which is renamed between two pages is in both. */
	selection?: Selection | undefined;
	after: bigint;
	until: bigint;
	from?: Position;
	order: 'asc' | 'desc';
	limit: number;
	/** Changes that one query looks through at most, where a condition on values takes long. */
	most?: number;
}

/** A question for the changes of one row, newest first, beginning before a position. */
export interface RowQuery extends TableName {
	key: Record<string, string | null>;
	before?: Position | null | undefined;
	limit?: number;
}

/** Reads the log; every answer is exact. */
export interface Reader {
	bounds(): Promise<Bounds>;
	/** Of (after, until], at most 100, with the newest `most` changes of each; may return fewer: continue after the last. */
	ticks(after: bigint, until: bigint, most: number): Promise<Tick[]>;
	/** When a tick became visible; empty where it was pruned. */
	timeOf(tick: bigint): Promise<string>;
	/** Exact, by the filter's tables and ops only. */
	counts(filter: Filter, after: bigint, until: bigint): Promise<Count[]>;
	/** A page may have fewer than the limit: `next` tells whether there may be more. */
	changes(query: ChangesQuery): Promise<{ changes: Change[]; next: Position | null; selection: Selection }>;
	/** Exact, of what matches, `where` included. */
	matching(filter: Filter, after: bigint, until: bigint): Promise<Count[]>;
	/** `head`: of no tick beyond it, as those may not have been handed on yet. */
	rates(query: RatesRequest & { filter: Filter; head?: bigint }): Promise<Omit<Rates, 'ok'>>;
	/** As `changes`, newest first, of one row. */
	row(query: RowQuery): Promise<{ changes: Change[]; next: Position | null }>;
	/** Whether one transaction alone made the tick of the first of these, which is read as far as they are of it. */
	alone(changes: readonly Change[]): Promise<boolean>;
	/** The ticks of a time: (after, until]. */
	range(from: Date, to: Date): Promise<{ after: bigint; until: bigint }>;
	gaps(after: bigint): Promise<Gap[]>;
}

/** The database's tables, as last read. */
export interface Catalog {
	tables(): TableInfo[];
	/** The numbers that stand for a table in the log; none where it never was watched. */
	ids(table: TableName): string[];
	/** Reads them anew; true where something changed. */
	refresh(): Promise<boolean>;
}

interface Relation extends TableName {
	/** Its schema and name, quoted where SQL needs it; null where it was dropped. */
	called: string | null;
	primaryKey: string[];
}

/** What the log's reader needs besides the tables themselves. */
export interface Relations extends Catalog {
	/** The table that a change names by number; undefined where it was not there at the last refresh. */
	relation(id: string): Relation | undefined;
	/** The numbers of a table: several where it was dropped and made again. */
	ids(table: TableName): string[];
	/** Whether a foreign key leads to it. */
	referenced(table: TableName): boolean;
	/** Problems that only the one who watches knows, by table; told with the next refresh. */
	problems: Map<string, string>;
}

/** What a follower tells, in this order of a change's way. */
export interface FollowerEvents {
	/** New ticks, dense and ascending; the follower waits for the promise. */
	ticks(ticks: Tick[]): void | Promise<void>;
	tables(tables: TableInfo[]): void;
	state(state: State): void;
	gap(gap: Gap): void;
	/** Another log: every cursor of the one before is void. */
	epoch(epoch: string): void;
}

/** Follows one database: leads the ticks where it may, reads them always, and comes back after an outage. */
export interface Follower {
	/** Resolves once it follows the first time; rejects on an error that waiting will not mend. */
	start(): Promise<void>;
	close(): Promise<void>;
	state(): State;
	readonly epoch: string;
	readonly head: bigint;
	readonly oldest: bigint;
	readonly reader: Reader;
	readonly catalog: Relations;
	/** The number of viewers changed. */
	poke(): void;
}

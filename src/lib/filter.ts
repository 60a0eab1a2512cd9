/**
 * The filter language: which changes a person wants to see, as text. It is parsed, never evaluated, and means the same
 * for what happens now as for the past, because the server turns it into one condition of SQL for both.
 *
 *   table:Book op:update price>10 title~"go*" before.price!=after.price (genre:fiction or genre:poetry) -discontinued:true
 *
 *   filter   any number of terms side by side: all of them must hold
 *   a or b   either (binds weaker than side by side)      ( … )   groups      -a   not (of a term or a group)
 *   table:T  of this table: its name, or schema.name; exactly, case included
 *   op:O     insert, update, delete, truncate or reference
 *   tx:N     written by this transaction
 *   changed:C     both rows exist, and the values of column C differ as text
 *   column OP value     OP is one of : = != < <= > >= ~   (: is =)
 *
 * A column is that of the row after the change, or of the row before it where there is none after (a delete);
 * before.C and after.C say which. A name with other characters than letters, digits, _ and $ is written in double
 * quotes; quoted, a name like "table" or "op" is a column too. In quotes, \" and \\ stand for " and \.
 *
 * A value is a word, a text in double quotes, null, or before.C or after.C. What is compared is the text of a value (a
 * JSON string without its quotes, everything else as PostgreSQL wrote it):
 *   - as exact decimal numbers, of any size, where both sides look like numbers (see NUMBER) and neither is a text in
 *     double quotes: 0.10 = 0.1, and 9007199254740993 is not 9007199254740992;
 *   - else as text, by code point: so ISO dates and times of one zone sort as they should.
 *   - ~ compares the whole text, whatever its case, with a pattern: * is any text, ? any one character, \ takes the next
 *     character literally.
 * A column that the row lacks, and any column of a row that is not there, is null. A comparison with a null does not
 * hold, except column:null, which holds for exactly those (and column!=null for the others). Each term holds or does
 * not: -price>10 selects what price>10 does not, nulls included.
 */
import type { Op } from './protocol.ts';

export const COMPARISONS = ['=', '!=', '<', '<=', '>', '>=', '~'] as const;
export type Comparison = (typeof COMPARISONS)[number];

/** Where a part stands in the text: from `at` up to `end`. */
export interface Span {
	at: number;
	end: number;
}

export interface ColumnRef {
	kind: 'column';
	/** null: the row after the change, else the row before it. */
	row: 'before' | 'after' | null;
	name: string;
}

export type Value = { kind: 'text' | 'number'; text: string } | { kind: 'null' };

export type Leaf =
	| { kind: 'table'; schema: string | null; table: string }
	| { kind: 'op'; op: Op }
	| { kind: 'tx'; tx: string }
	| { kind: 'changed'; column: string }
	| { kind: 'compare'; column: ColumnRef; comparison: Comparison; value: Value | ColumnRef };

/** A parsed filter. An `and` of no terms holds for every change. */
export type Term = Span & (Leaf | { kind: 'and' | 'or'; terms: Term[] } | { kind: 'not'; term: Term });

/** What is wrong with a filter, where, and what to do. */
export interface FilterError {
	ok: false;
	at: number;
	length: number;
	message: string;
}

export type Parsed = { ok: true; filter: Term } | FilterError;

/** What looks like a number: at most 15,000 characters of this shape, so that PostgreSQL's numeric can hold it. */
export const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$/;
export const MAX_NUMBER = 15_000;

/** Most characters of a filter, as the server takes it. */
export const MAX_LENGTH = 4000;

/** Does the text look like a number that can be compared exactly? */
export function isNumber(text: string): boolean {
	return text.length <= MAX_NUMBER && NUMBER.test(text);
}

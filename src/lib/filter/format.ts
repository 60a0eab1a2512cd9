/** From a filter back to text. */
import { isNumber, type ColumnRef, type Term, type Value } from '../filter.ts';

const BARE_NAME = /^[\p{L}_][\p{L}\p{N}_$]*$/u;
/** Words that mean something else where they stand for a column. */
const RESERVED = /^(table|op|tx|changed|or|and|not|before|after)$/i;

/** A filter as text that parses to the same filter. */
export function format(term: Term): string {
	return write(term, true);
}

function write(term: Term, top = false): string {
	switch (term.kind) {
		case 'and':
		case 'or': {
			const text = term.terms.map((each) => write(each)).join(term.kind === 'or' ? ' or ' : ' ');
			return top ? text : `(${text})`;
		}
		case 'not':
			return `-${write(term.term)}`;
		case 'table':
			return `table:${term.schema === null ? '' : `${quoteName(term.schema)}.`}${quoteName(term.table)}`;
		case 'op':
			return `op:${term.op.toLowerCase()}`;
		case 'tx':
			return `tx:${term.tx}`;
		case 'changed':
			return `changed:${quoteName(term.column)}`;
		case 'compare': {
			const { column, comparison, value } = term;
			const right = value.kind === 'column' ? writeColumn(value) : writeValue(value);
			return `${writeColumn(column)}${comparison === '=' ? ':' : comparison}${right}`;
		}
	}
}

function writeColumn({ row, name }: ColumnRef): string {
	if (row !== null) return `${row}.${quoteName(name)}`;
	return RESERVED.test(name) ? quote(name) : quoteName(name);
}

function writeValue(value: Value): string {
	if (value.kind === 'null') return 'null';
	if (value.kind === 'number') return value.text;
	return isPlain(value.text) ? value.text : quote(value.text);
}

/** A text that, without quotes, is read as itself and as text. */
function isPlain(text: string): boolean {
	return /^[^\s()":=<>~][^\s()"]*$/.test(text) && !isNumber(text) && !/^(null$|(before|after)\.)/i.test(text);
}

/** A name as it is written in a filter. */
export function quoteName(name: string): string {
	return BARE_NAME.test(name) ? name : quote(name);
}

function quote(text: string): string {
	return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

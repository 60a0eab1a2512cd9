/**
 * A filter's `where` as a condition of SQL on a change `c` of rowcast.change. Names and values travel as bound
 * parameters only; what a term means is told in src/lib/filter.ts, and done by the functions of sql/006_filter.sql.
 */
import type { ColumnRef, Term } from '../filter.ts';
import { parse } from '../filter/parse.ts';
import { conjuncts, find } from '../filter/scope.ts';
import type { Op } from '../protocol.ts';
import { RequestError } from './errors.ts';

/** A table as a condition names it: with any schema where that is null. */
export interface NamedTable {
	schema: string | null;
	table: string;
}

/** The numbers that stand for a table in the log. */
export type IdsOf = (table: NamedTable) => string[];

export interface Condition {
	sql: string;
	/** Bound in the order of their numbers in `sql`. */
	values: unknown[];
}

/** `first`: the number of the first parameter that the condition may use. Throws BAD_REQUEST, with the place. */
export function compileWhere(where: string | undefined, first: number, idsOf: IdsOf): Condition {
	const parsed = parse(where ?? '');
	if (!parsed.ok)
		throw new RequestError(
			'BAD_REQUEST',
			`\`where\` cannot be read at character ${parsed.at + 1}: ${parsed.message}`
		);
	const values: string[] = [];
	/** The parameter for a value; the same for the same value. */
	const bind = (value: string, type = 'text') => {
		let at = values.indexOf(value);
		if (at < 0) at = values.push(value) - 1;
		// One parameter has one type for PostgreSQL.
		return type === 'text' ? `$${first + at}::text` : `$${first + at}::text::${type}`;
	};
	return { sql: condition(parsed.filter, { bind, idsOf }), values };
}

/** Every table that a condition names, anywhere in it. */
export function tablesOf(where: string | undefined): NamedTable[] {
	const parsed = parse(where ?? '');
	const tables: NamedTable[] = [];
	if (parsed.ok)
		find(parsed.filter, (term) => {
			if (term.kind === 'table') tables.push(term);
			return false;
		});
	return tables;
}

/**
 * The tables and ops that a condition names in its outermost terms: what has none of them does not match, and need not
 * be looked at. Null where it does not say.
 */
export function scopeOfWhere(where: string | undefined): {
	tables: NamedTable[] | null;
	ops: Op[] | null;
} {
	const parsed = parse(where ?? '');
	const outermost = parsed.ok ? conjuncts(parsed.filter) : [];
	const alternatives = outermost.map((term) => (term.kind === 'or' ? term.terms : [term]));
	const tables = alternatives.find((terms) => terms.every(({ kind }) => kind === 'table'));
	const ops = alternatives.find((terms) => terms.every(({ kind }) => kind === 'op'));
	return {
		tables: tables?.flatMap((term) => (term.kind === 'table' ? [term] : [])) ?? null,
		ops: ops?.flatMap((term) => (term.kind === 'op' ? [term.op] : [])) ?? null
	};
}

type Bind = (value: string, type?: string) => string;

interface Context {
	bind: Bind;
	idsOf: IdsOf;
}

/** Is never null, so that `not` means what it says. */
function condition(term: Term, context: Context): string {
	const { bind, idsOf } = context;
	switch (term.kind) {
		case 'and':
		case 'or': {
			if (term.terms.length === 0) return 'true';
			const terms = [...term.terms].sort((a, b) => costOf(a) - costOf(b));
			return `(${terms.map((each) => condition(each, context)).join(` ${term.kind} `)})`;
		}
		case 'not':
			return `not ${condition(term.term, context)}`;
		case 'table':
			return `(c.relation = any (${bind(`{${idsOf(term)}}`, 'int[]')}))`;
		case 'op':
			return `(c.op = ${bind(term.op[0]!, '"char"')})`;
		case 'tx':
			return `(c.xid = ${bind(term.tx, 'xid8')})`;
		case 'changed': {
			const name = bind(term.column);
			return `(c.before is not null and c.after is not null and rowcast.field(c.before, ${name}) is distinct from rowcast.field(c.after, ${name}))`;
		}
		case 'compare': {
			const { column, comparison, value } = term;
			const left = field(column, bind);
			if (value.kind === 'null') return `(${left} is ${comparison === '=' ? '' : 'not '}null)`;
			const operator = comparison === '!=' ? '<>' : comparison;
			if (comparison === '~' && value.kind === 'text')
				return `coalesce(${left} ilike ${bind(likePattern(value.text))}, false)`;
			const right = value.kind === 'column' ? field(value, bind) : bind(value.text);
			const holds =
				value.kind === 'text'
					? `coalesce(${left} ${operator} ${right} collate "C", false)`
					: `coalesce(rowcast.compare(${left}, ${right}) ${operator} 0, false)`;
			if (comparison !== '=' || value.kind === 'column') return holds;
			const sign = signOf(value);
			return sign === undefined ? holds : `(${mayHave(column, sign, value.kind, bind)} and ${holds})`;
		}
	}
}

function field(column: ColumnRef, bind: Bind): string {
	return `rowcast.field(${source(column)}, ${bind(column.name)})`;
}

const source = ({ row }: ColumnRef) => (row === null ? 'coalesce(c.after, c.before)' : `c.${row}`);

/**
 * What the JSON text of every row contains whose column equals the value: 1 us to look for it, where taking the column
 * out takes 7. Undefined where the text may be written in several ways.
 */
function signOf({ kind, text }: { kind: 'text' | 'number'; text: string }): string | undefined {
	if (kind === 'text') {
		const plain = JSON.stringify(text).length === text.length + 2 && !text.includes('/');
		return plain && text !== '' ? text : undefined;
	}
	const [, whole = '', fraction = ''] = /^[+-]?0*(\d*)\.?(\d*?)0*$/.exec(text) ?? [];
	const [, digits] = /^[+-]?0*(\d+)\.?0*$/.exec(text) ?? [];
	if (digits !== undefined) return digits;
	return fraction === '' ? undefined : `${whole}.${fraction}`;
}

/** False only for rows that do not have the value. Other ways to write it: escapes in a json column, exponents. */
function mayHave(column: ColumnRef, sign: string, kind: 'text' | 'number', bind: Bind): string {
	const row = source(column);
	const otherwise =
		kind === 'text' ? `strpos(${row}, E'\\\\u') > 0` : `${row} ~ E'\\\\\\\\u|[0-9.][eE][+-]?[0-9]'`;
	return `coalesce(strpos(${row}, ${bind(sign)}) > 0 or ${otherwise}, false)`;
}

/** What reads no row comes first. */
function costOf(term: Term): number {
	switch (term.kind) {
		case 'and':
		case 'or':
			return term.terms.reduce((sum, each) => sum + costOf(each), 0);
		case 'not':
			return costOf(term.term);
		case 'compare':
		case 'changed':
			return 10;
		default:
			return 1;
	}
}

/** A pattern of the filter language as one of LIKE. */
function likePattern(glob: string): string {
	return glob.replace(/\\([^])|[^]/gu, (char, escaped: string | undefined) => {
		if (escaped !== undefined) return literal(escaped);
		if (char === '*') return '%';
		if (char === '?') return '_';
		return literal(char);
	});
}

const literal = (char: string) => (/[%_\\]/.test(char) ? `\\${char}` : char);

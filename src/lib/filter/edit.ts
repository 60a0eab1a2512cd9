/**
 * Changes to a filter's text by click: what a person typed stays as it was typed.
 */
import { summarise, type ColumnChange } from '../change.ts';
import { isNumber, type Term } from '../filter.ts';
import { kindOf, unquote } from '../json.ts';
import type { Change, Op, TableName } from '../protocol.ts';
import { conjuncts, tableLabel } from './scope.ts';
import { format, quoteName } from './format.ts';
import { parse } from './parse.ts';

/** The term for one value of a row, `json` being its JSON text: what a click on the value narrows to. */
export function valueTerm(column: string, json: string | null, row: 'before' | null = null): string {
	const text = json === null || json === 'null' ? null : kindOf(json) === 'string' ? unquote(json) : json;
	const isText = text !== null && (kindOf(json!) === 'string' || !isNumber(text));
	return format({
		kind: 'compare',
		column: { kind: 'column', row, name: column },
		comparison: '=',
		value: text === null ? { kind: 'null' } : { kind: isText ? 'text' : 'number', text },
		...NOWHERE
	});
}

/** What the log has instead of a redacted value. */
const REDACTED = '"[redacted]"';
/** No more of a filter than leaves room for others. */
const LONGEST = 1000;

/** The term for a value that a line shows; undefined where the log has less than the value. */
export function shownTerm(
	{ name, cut, part }: ColumnChange,
	json: string | null,
	row: 'before' | null = null
): string | undefined {
	if (cut || part || json === null || json === REDACTED || json.length > LONGEST) return undefined;
	return valueTerm(name, json, row);
}

/** The terms for one row, its table and its key; undefined where it has none that the log has whole. */
export function rowTerm(change: Change, tables: readonly TableName[]): string | undefined {
	const keys = summarise(change).keys.map((column) => shownTerm(column, column.after ?? column.before));
	return keys.length > 0 && keys.every((term) => term !== undefined)
		? [tableTerm(change, tables), ...keys].join(' ')
		: undefined;
}

export function tableTerm(table: TableName, tables: readonly TableName[]): string {
	return `table:${tableLabel(table, tables)}`;
}

export function opTerm(op: Op): string {
	return format({ kind: 'op', op, ...NOWHERE });
}

export function changedTerm(column: string): string {
	return `changed:${quoteName(column)}`;
}

/** Does the filter ask for this term, whatever else it asks for? */
export function hasTerm(text: string, term: string): boolean {
	return outermost(text).some((each) => format(each) === term);
}

/** All but what a term, or several side by side, selects. */
export function negated(term: string): string {
	return outermost(term).length > 1 ? `-(${term})` : `-${term}`;
}

/** The filter narrowed by a term, or several side by side. One that contradicts it, `term` with or without -, goes. */
export function withTerm(text: string, term: string): string {
	if (hasTerm(text, term)) return text;
	const terms = outermost(term);
	if (terms.length > 1) return terms.reduce((narrowed, each) => withTerm(narrowed, format(each)), text);
	const narrowed = withoutTerm(text, term.startsWith('-') ? term.slice(1) : `-${term}`).trim();
	if (narrowed === '') return term;
	const parsed = parse(narrowed);
	return parsed.ok && parsed.filter.kind === 'or' && !isEnclosed(narrowed, parsed.filter)
		? `(${narrowed}) ${term}`
		: `${narrowed} ${term}`;
}

/** The filter without a term, where it is one of the outermost. */
export function withoutTerm(text: string, term: string): string {
	const found = outermost(text).find((each) => format(each) === term);
	if (!found) return text;
	const before = text.slice(0, found.at).replace(/\s*(\band\s+)?$/i, '');
	const after = text.slice(found.end).replace(/^\s*(and\b\s*)?/i, '');
	return before && after ? `${before} ${after}` : before + after;
}

/** A click that narrows to a term, or, where the filter has it, takes it out again. */
export function toggleTerm(text: string, term: string): string {
	return hasTerm(text, term) ? withoutTerm(text, term) : withTerm(text, term);
}

/** The filter with exactly these tables chosen; none means all of them. */
export function withTables(text: string, chosen: readonly TableName[], tables: readonly TableName[]): string {
	return withChoice(
		text,
		'table',
		chosen.map((table) => tableTerm(table, tables))
	);
}

/** The filter with exactly these ops chosen; none means all of them. */
export function withOps(text: string, chosen: readonly Op[]): string {
	return withChoice(text, 'op', chosen.map(opTerm));
}

const NOWHERE = { at: 0, end: 0 };

/** The outermost terms whose text can be cut out: those of a filter that is in parentheses as a whole cannot. */
function outermost(text: string): Term[] {
	const parsed = parse(text);
	if (!parsed.ok) return [];
	const { filter } = parsed;
	return filter.kind === 'and' && !isEnclosed(text, filter) ? filter.terms : [filter];
}

function isEnclosed(text: string, term: Term): boolean {
	return (
		(term.kind === 'and' || term.kind === 'or') && text[term.at] === '(' && term.terms[0]!.at !== term.at
	);
}

function withChoice(text: string, kind: 'table' | 'op', terms: string[]): string {
	let rest = text;
	for (const term of outermost(text)) {
		const leaves = conjuncts(term).flatMap((each) => (each.kind === 'or' ? each.terms : [each]));
		if (leaves.every((leaf) => (leaf.kind === 'not' ? leaf.term : leaf).kind === kind))
			rest = withoutTerm(rest, format(term));
	}
	if (terms.length === 0) return rest;
	return withTerm(rest, terms.length === 1 ? terms[0]! : `(${terms.join(' or ')})`);
}

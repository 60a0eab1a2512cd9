/**
 * A filter's text as the parts of a request: its tables and ops, which the tick counts answer exactly, and the rest,
 * which is asked of the rows.
 */
import type { FilterError, Term } from '../filter.ts';
import { OPS, type Filter, type Op, type TableInfo, type TableName } from '../protocol.ts';
import { format, quoteName } from './format.ts';
import { parse } from './parse.ts';

/** Something in a filter that is allowed and probably not meant. */
export interface Hint {
	at: number;
	length: number;
	message: string;
}

export type Split = { ok: true; filter: Filter; hints: Hint[] } | FilterError;

/**
 * Splits a filter: `tables` and `ops` from its outermost terms about nothing else (`table:A`, `(table:A or table:B)`,
 * `-op:delete`), `where` from all others. A table that is not among `tables` is an error.
 */
export function split(text: string, tables: readonly TableInfo[]): Split {
	const parsed = parse(text);
	if (!parsed.ok) return parsed;
	const unknown = find(parsed.filter, (term) => term.kind === 'table' && named(term, tables).length === 0);
	if (unknown?.kind === 'table') {
		const written = format(unknown).slice('table:'.length);
		return {
			ok: false,
			at: unknown.at,
			length: unknown.end - unknown.at,
			message: `There is no table ${written}${suggestion(
				written,
				tables.map((table) => tableLabel(table, tables))
			)}`
		};
	}
	let chosen: TableName[] | undefined;
	let ops: Op[] | undefined;
	const rest: Term[] = [];
	for (const term of conjuncts(parsed.filter)) {
		const ofTables = selection(term, 'table', tables, (leaf) => named(leaf, tables));
		const ofOps = selection<Op, 'op'>(term, 'op', OPS, ({ op }) => [op]);
		if (ofTables) chosen = (chosen ?? [...tables]).filter((table) => ofTables.includes(table as TableInfo));
		else if (ofOps) ops = (ops ?? [...OPS]).filter((op) => ofOps.includes(op));
		else rest.push(term);
	}
	const filter: Filter = {};
	if (chosen) filter.tables = chosen.map(({ schema, table }) => ({ schema, table }));
	if (ops) filter.ops = ops;
	if (rest.length > 0) filter.where = rest.map((term) => format(single(term))).join(' ');
	return { ok: true, filter, hints: hintsOf(parsed.filter, (chosen as TableInfo[]) ?? tables) };
}

/** The outermost terms, all of which must hold. */
export function conjuncts(filter: Term): Term[] {
	return filter.kind === 'and' ? filter.terms.flatMap(conjuncts) : [filter];
}

/** A table's name in a filter: the schema only where another table has the same name. */
export function tableLabel({ schema, table }: TableName, tables: readonly TableName[]): string {
	const alone = tables.every((other) => other.table !== table || other.schema === schema);
	return alone ? quoteName(table) : `${quoteName(schema)}.${quoteName(table)}`;
}

type Leaf<K extends Term['kind']> = Extract<Term, { kind: K }>;

/** The members of `all` that a term selects, if it is about them alone: a leaf of this kind, an `or` of such, or a not. */
function selection<T, K extends 'table' | 'op'>(
	term: Term,
	kind: K,
	all: readonly T[],
	select: (leaf: Leaf<K>) => T[]
): T[] | undefined {
	if (term.kind === kind) return select(term as Leaf<K>);
	if (term.kind === 'not') {
		const excluded = selection(term.term, kind, all, select);
		return excluded && all.filter((each) => !excluded.includes(each));
	}
	if (term.kind !== 'or') return undefined;
	const parts = term.terms.map((each) => selection(each, kind, all, select));
	return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

function named(leaf: Leaf<'table'>, tables: readonly TableInfo[]): TableInfo[] {
	return tables.filter(
		({ schema, table }) => table === leaf.table && (leaf.schema === null || schema === leaf.schema)
	);
}

/** Beside others an `or` needs its parentheses. */
function single(term: Term): Term {
	return term.kind === 'or' ? { kind: 'and', terms: [term], at: term.at, end: term.end } : term;
}

/** The first part of a filter that is wanted, in the order in which it is written. */
export function find(term: Term, wanted: (term: Term) => boolean): Term | undefined {
	if (wanted(term)) return term;
	if (term.kind === 'not') return find(term.term, wanted);
	if (term.kind !== 'and' && term.kind !== 'or') return undefined;
	for (const each of term.terms) {
		const found = find(each, wanted);
		if (found) return found;
	}
	return undefined;
}

/** Columns that none of the tables has: null everywhere, so probably a slip; but the log may know it from before. */
function hintsOf(filter: Term, tables: readonly TableInfo[]): Hint[] {
	const known = new Set(tables.flatMap(({ columns }) => columns.map(({ name }) => name)));
	const hints: Hint[] = [];
	find(filter, (term) => {
		const names =
			term.kind === 'changed'
				? [term.column]
				: term.kind === 'compare'
					? [term.column.name, ...(term.value.kind === 'column' ? [term.value.name] : [])]
					: [];
		for (const name of names.filter((name) => !known.has(name))) {
			const message = `No table here has a column ${quoteName(name)}${suggestion(name, [...known])}`;
			hints.push({ at: term.at, length: term.end - term.at, message });
		}
		return false;
	});
	return hints;
}

/** `; did you mean Book?`, where one of the names is near. */
function suggestion(wrong: string, names: readonly string[]): string {
	const far = Math.max(1, Math.floor(wrong.length / 3));
	const near = names
		.map((name) => ({ name, distance: distance(wrong.toLowerCase(), name.toLowerCase(), far) }))
		.filter(({ distance }) => distance <= far)
		.sort((a, b) => a.distance - b.distance)[0];
	return near ? `; did you mean ${near.name}?` : '.';
}

/** How many characters to add, drop, replace or swap with the next; more than `far` is not worked out. */
function distance(a: string, b: string, far: number): number {
	if (Math.abs(a.length - b.length) > far) return Infinity;
	let row = Array.from({ length: b.length + 1 }, (_, i) => i);
	let above = row;
	for (let i = 1; i <= a.length; i++) {
		const next = [i];
		for (let j = 1; j <= b.length; j++) {
			const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
			next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, replaced);
			if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
				next[j] = Math.min(next[j]!, above[j - 2]! + 1);
		}
		above = row;
		row = next;
	}
	return row[b.length]!;
}

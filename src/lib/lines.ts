/** What the ledger holds, entry by entry, and the lines that it makes on the screen. */

import { cascadesOf, type Cascades } from './cascades.ts';
import { tally, type Tally } from './change.ts';
import type { Change, Position, TableInfo, TableName, Via } from './protocol.ts';

/** Rows that reference one changed row through one foreign key, or that it took along. */
export interface References extends TableName {
	kind: 'references';
	id: string;
	/** The cause and the way that leads from it: the same for all alike. */
	group: string;
	via: Via;
	changes: Change[];
	open: boolean;
}

/** What one transaction changed, as far as the feed holds it. */
export interface Transaction {
	kind: 'transaction';
	id: string;
	tick: string;
	tx: string;
	changes: Change[];
	/** Rows that changed with these but were left out; 0 where all are here, infinite where that is not known. */
	omitted: number;
	/** All that it did, with what was left out, where that is known. */
	did?: readonly Tally[];
	/** Where a page of what was left out begins, once one was loaded. */
	next?: Position;
	loading?: boolean;
	/** References by the seq of the change that caused them. */
	references: Map<string, References[]>;
	/** The tables as they were when it came. */
	tables: readonly TableInfo[];
	/** Worked out when it is opened. */
	cascades?: Cascades;
	open: boolean;
	/** Of runs whose rows are listed, the `seq` of one. */
	unfolded: Set<string>;
	/** When it came onto the screen; 0 for what was there from the start. */
	born: number;
	/** Its lines, until something about it changes. */
	lines: Line[] | null;
}

/** More rows than this come folded, of a transaction and of a run in it. */
export const FOLDED_ABOVE = 5;

/** Something that happened to the view rather than in the database, or that cannot be shown. */
export interface Note {
	kind: 'note';
	id: string;
	at: string;
	tone: 'gap' | 'quiet';
	text: string;
	born: number;
}

export type Entry = Transaction | Orphan | Note;

/** References whose cause is not in the feed, or lies in what is being read. */
export interface Orphan {
	kind: 'orphan';
	id: string;
	tick: string;
	references: References;
	born: number;
}

/** What rows have in common that reference the same change alike. */
export const groupOf = ({ schema, table }: Change, via: Via) =>
	`${via.seq} ${schema}.${table} ${via.constraint}`;

export const referencesOf = (id: string, change: Change, via: Via): References => {
	const { schema, table } = change;
	const group = groupOf(change, via);
	return { kind: 'references', id, group, schema, table, via, changes: [change], open: false };
};

/** Puts a reference under its cause. */
export function refer(cause: Transaction, change: Change, via: Via): void {
	const group = groupOf(change, via);
	const lists = cause.references.get(via.seq) ?? [];
	const known = lists.find((references) => references.group === group);
	if (known) known.changes.push(change);
	else lists.push(referencesOf(group, change, via));
	cause.references.set(via.seq, lists);
	cause.lines = null;
}

/** So many rows of a transaction, which did this, are not shown. */
export function cut(transaction: Transaction, rows: number, did?: readonly Tally[]): void {
	transaction.omitted += rows;
	transaction.did = did;
	transaction.open = false;
	transaction.lines = null;
}

/** A transaction may have done more than is known; false where it claims nothing: one row by itself. */
export function doubt(transaction: Transaction): boolean {
	if (transaction.changes.length === 1 || transaction.omitted > 0) return false;
	transaction.omitted = Infinity;
	transaction.lines = null;
	return true;
}

/** What a person opened of a transaction stays open where it comes again. */
export function keepOpen(known: Transaction, again: Transaction | undefined): void {
	if (!again || known.changes.length <= FOLDED_ABOVE) return;
	again.open ||= known.open;
	again.unfolded = known.unfolded;
}

/** All that an entry holds. */
export function changesIn(entry: Entry): Change[] {
	if (entry.kind === 'note') return [];
	if (entry.kind === 'orphan') return entry.references.changes;
	return [...entry.changes, ...[...entry.references.values()].flat().flatMap(({ changes }) => changes)];
}

/** Where the oldest change that a transaction's card holds stands. */
export function oldestOf(card: Transaction): Position {
	const seqs = changesIn(card).map(({ seq }) => BigInt(seq));
	return { tick: card.tick, seq: String(seqs.reduce((a, b) => (a < b ? a : b))) };
}

/** One line on the screen. */
export type Line =
	| { kind: 'transaction'; id: string; transaction: Transaction; tallies: readonly Tally[]; omitted: number }
	| { kind: 'change'; id: string; change: Change; depth: number; born: number }
	| {
			kind: 'run';
			id: string;
			transaction: Transaction;
			changes: Change[];
			open: boolean;
			depth: 1;
			born: number;
	  }
	| { kind: 'references'; id: string; references: References; depth: number; born: number }
	| { kind: 'omitted'; id: string; transaction: Transaction; rows: number; loading: boolean }
	| { kind: 'note'; id: string; note: Note };

/** When what a line tells of happened; null where the line has no time of its own. */
export function timeOf(line: Line): string | null {
	if (line.kind === 'change') return line.change.at;
	if (line.kind === 'transaction') return line.transaction.changes.at(-1)!.at;
	return line.kind === 'note' ? line.note.at : null;
}

/** When a line came onto the screen; 0 for what was there from the start. */
export function bornOf(line: Line): number {
	if (line.kind === 'transaction') return line.transaction.born;
	if (line.kind === 'note') return line.note.born;
	return line.kind === 'omitted' ? 0 : line.born;
}

/** The lines of one entry, top to bottom. */
export function linesOf(entry: Entry): Line[] {
	if (entry.kind === 'note') return [{ kind: 'note', id: entry.id, note: entry }];
	if (entry.kind === 'orphan') return referenceLines(entry.references, 0, entry.born);
	return (entry.lines ??= transactionLines(entry));
}

function transactionLines(transaction: Transaction): Line[] {
	const { changes, omitted, born, loading = false } = transaction;
	const single = changes.length === 1 && omitted === 0;
	const lines: Line[] = [];
	if (!single) {
		const { did } = transaction;
		const tallies = did && rowsOf(did) === changes.length + omitted ? did : tally(changes);
		lines.push({ kind: 'transaction', id: transaction.id, transaction, tallies, omitted });
		if (!transaction.open) return lines;
	}
	const depth = single ? 0 : 1;
	// Before the rows that are there: they are the newest of it.
	if (omitted > 0)
		lines.push({ kind: 'omitted', id: `omitted ${transaction.id}`, transaction, rows: omitted, loading });
	if (transaction.cascades?.of !== changes)
		transaction.cascades = cascadesOf(single ? [] : changes, transaction.tables);
	const { under, taken } = transaction.cascades;
	const add = (change: Change, depth: number) => {
		lines.push({ kind: 'change', id: change.seq, change, depth, born });
		for (const references of transaction.references.get(change.seq) ?? [])
			lines.push(...referenceLines(references, depth + 1, born));
		for (const references of under.get(change.seq) ?? []) {
			const { id, open, changes } = references;
			const alone = changes.length === 1;
			if (!alone) lines.push({ kind: 'references', id, references, depth: depth + 1, born });
			if (alone || open) for (const change of changes) add(change, alone ? depth + 1 : depth + 2);
		}
	};
	const runs = runsOf(changes.filter(({ seq }) => !taken.has(seq)));
	const { unfolded } = transaction;
	for (const run of runs) {
		const folds = runs.length > 1 && run.length > FOLDED_ABOVE;
		const open = !folds || run.some(({ seq }) => unfolded.has(seq));
		const { seq } = run.at(-1)!;
		// History is added before it: what is listed now does not fold then.
		if (open && run === runs[0] && !single) unfolded.add(seq);
		if (folds) lines.push({ kind: 'run', id: `run ${seq}`, transaction, changes: run, open, depth: 1, born });
		if (open) for (const change of run) add(change, folds ? depth + 1 : depth);
	}
	return lines;
}

/** How many rows these count. */
export function rowsOf(tallies: readonly Tally[]): number {
	return tallies.reduce((sum, { rows }) => sum + rows, 0);
}

/** Changes that follow one another, of one table and operation. */
function runsOf(changes: readonly Change[]): Change[][] {
	const runs: Change[][] = [];
	for (const change of changes) {
		const run = runs.at(-1);
		const last = run?.[0];
		if (last?.op === change.op && last.table === change.table && last.schema === change.schema)
			run!.push(change);
		else runs.push([change]);
	}
	return runs;
}

function referenceLines(references: References, depth: number, born: number): Line[] {
	const lines: Line[] = [{ kind: 'references', id: references.id, references, depth, born }];
	if (references.open)
		for (const change of references.changes)
			lines.push({ kind: 'change', id: change.seq, change, depth: depth + 1, born });
	return lines;
}

/** How many lines the entries make. */
export function height(entries: readonly Entry[]): number {
	let lines = 0;
	for (const entry of entries) lines += linesOf(entry).length;
	return lines;
}

/** Lines `first` to `first + count` counted from the newest. */
export function linesBetween(entries: readonly Entry[], first: number, count: number): Line[] {
	const found: Line[] = [];
	let at = 0;
	for (let i = entries.length - 1; i >= 0 && found.length < count; i--) {
		const lines = linesOf(entries[i]!);
		if (at + lines.length > first) {
			const start = Math.max(0, first - at);
			found.push(...lines.slice(start, start + count - found.length));
		}
		at += lines.length;
	}
	return found;
}

/** Where a line stands, counted from the newest; -1 where it is not. */
export function indexOf(entries: readonly Entry[], id: string): number {
	let at = 0;
	for (let i = entries.length - 1; i >= 0; i--) {
		for (const line of linesOf(entries[i]!)) {
			if (line.id === id) return at;
			at++;
		}
	}
	return -1;
}

/** Opens or folds what a line stands for; false where it has nothing to open. */
export function toggle(entries: readonly Entry[], line: Line): boolean {
	if (line.kind === 'transaction') {
		line.transaction.open = !line.transaction.open;
		line.transaction.lines = null;
		return true;
	}
	if (line.kind === 'run') {
		const { unfolded } = line.transaction;
		if (line.open) for (const { seq } of line.changes) unfolded.delete(seq);
		else unfolded.add(line.changes.at(-1)!.seq);
		line.transaction.lines = null;
		return true;
	}
	if (line.kind === 'references' && line.references.changes.length > 1) {
		line.references.open = !line.references.open;
		const { seq } = line.references.via;
		for (const entry of entries)
			if (entry.kind === 'transaction' && (entry.references.has(seq) || entry.cascades?.under.has(seq)))
				entry.lines = null;
		return true;
	}
	return false;
}

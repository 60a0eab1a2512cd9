/**
 * SQL that would undo a set of changes, such as a transaction: for a person to read and run; Rowcast never does.
 *
 * The changes are undone one by one, the last first: each step leads back to a state that was, which foreign keys and
 * unique values allowed. The first step of a row asks that it still is as the last of its changes left it; the script
 * stops, with nothing done, at one that is not. Later steps of a row find it by its key alone: a trigger may have set
 * more of it meanwhile. A json value that was JSON's null comes back as SQL's: the log writes both alike.
 */
import { bySeq, columnsOf, keyLabel, OP_SIGNS, tableKey, tableLabel } from './change.ts';
import { ordered, type Step } from './dependencies.ts';
import { moment } from './format.ts';
import { valuesOf } from './json.ts';
import type { Change, TableInfo, TableName } from './protocol.ts';
import { assignments, holds, insertion, isThere, quoted, writable } from './sql.ts';

export interface UndoStep extends Step {
	row: UndoRow;
	/** One statement, without semicolon. */
	sql: string;
}

/** A row of the set, and its changes there in their order. */
export interface UndoRow extends TableName {
	changes: Change[];
	/** Those that left it as it must still be. */
	checked: Set<Change>;
}

export interface UndoPlan {
	/** In the order in which to run them. */
	steps: UndoStep[];
	rows: UndoRow[];
	/** What the log cannot bring back, one sentence each. */
	problems: string[];
	/** What else the steps may do, one sentence each. */
	notes: string[];
}

export function planUndo(changes: readonly Change[], tables: readonly TableInfo[]): UndoPlan {
	const problems = new Set<string>();
	const infos = new Map(tables.map((info) => [tableKey(info), info]));
	const steps = rowsOf(changes, problems)
		.flatMap((row) => stepsOf(row, infos.get(tableKey(row)), problems))
		.sort((a, b) => bySeq(b.change, a.change));
	const rows = [...new Set(steps.map(({ row }) => row))];
	const notes = takenAlong(steps, tables);
	return { steps: ordered(steps, tables, problems), rows, problems: [...problems], notes };
}

/** The whole as one script, which checks itself. */
export function undoScript({ steps, problems, notes }: UndoPlan): string {
	const head = [...problems, ...notes].map((text) => `-- ${text.replace(/[\r\n]+/g, ' ')}\n`).join('');
	if (steps.length === 0) return `${head}-- nothing to undo\n`;
	const body = steps
		.map(({ sql, change }) => {
			const text = `${labelOf(change)} is no longer as it was left; nothing was undone`.replaceAll("'", "''");
			return `\t${sql};\n\tif not found then raise exception using message = E'${text.replaceAll('\\', '\\\\')}'; end if;\n`;
		})
		.join('');
	let tag = '$undo$';
	for (let i = 1; body.includes(tag); i++) tag = `$undo${i}$`;
	return `${head}begin;\nset constraints all deferred;\ndo ${tag}\nbegin\n${body}end\n${tag};\ncommit;\n`;
}

/** What foreign keys do to rows of others when these steps delete rows, one sentence a table and rule. */
function takenAlong(steps: readonly UndoStep[], tables: readonly TableInfo[]): string[] {
	const notes = new Set<string>();
	const emptied = new Set(
		steps.filter(({ kind }) => kind === 'delete').map(({ change }) => tableKey(change))
	);
	// A cascade goes on from the tables that it reaches: the set grows while it is walked.
	for (const parent of emptied)
		for (const child of tables)
			for (const reference of child.references) {
				if (!reference.onDelete || tableKey(reference) !== parent) continue;
				const done = reference.onDelete === 'cascade' ? 'deleted' : 'changed';
				if (done === 'deleted') emptied.add(tableKey(child));
				notes.add(
					`Rows of ${tableLabel(child)} that point at a deleted row of ${tableLabel(reference)} by then are ${done} with it: on delete ${reference.onDelete}.`
				);
			}
	return [...notes];
}

/** By which a row is found now; null where its table has no primary key. */
export const keyNow = ({ changes }: UndoRow): Change['key'] => changes.at(-1)!.key;

/** Is the row no longer what the script expects? `newest` is the newest change of the row that the log has. */
export function isConflict({ changes }: UndoRow, newest: Change | undefined): boolean {
	return newest !== undefined && bySeq(newest, changes.at(-1)!) > 0;
}

/** A conflict for people: `Book 42: update at 12:03:04.221`. */
export function conflictText({ changes }: UndoRow, newest: Change): string {
	return `${labelOf(changes.at(-1)!)}: ${OP_SIGNS[newest.op].word} at ${moment(newest.at)}`;
}

function rowsOf(changes: readonly Change[], problems: Set<string>): UndoRow[] {
	const rows: UndoRow[] = [];
	/** By where each is after the changes so far, or was before it went. */
	const places = new Map<string, UndoRow>();
	const place = (change: Change, row: string) =>
		JSON.stringify([tableKey(change), keyTexts(row, Object.keys(change.key!))]);
	for (const change of [...changes].sort(bySeq)) {
		const { op, schema, table, before, after } = change;
		if (op === 'REFERENCE') continue;
		if (op === 'TRUNCATE') {
			problems.add(
				`The rows that were in ${tableLabel(change.partition ?? change)} when it was truncated are not in the log.`
			);
			continue;
		}
		const from = change.key && place(change, (before ?? after)!);
		let row = from === null ? undefined : places.get(from);
		const last = row?.changes.at(-1);
		if (last && last.after !== before) {
			// One statement may move rows along a line (1 to 2, then 2 to 3): what leaves is not always what came.
			if (moves(last) && moves(change) && last.tick === change.tick && last.tx === change.tx) row = undefined;
			else {
				problems.add(`${labelOf(last)} changed in between by something that is not in the set.`);
				row!.checked.add(last);
			}
		}
		if (row) places.delete(from!);
		else rows.push((row = { schema, table, changes: [], checked: new Set() }));
		row.changes.push(change);
		if (change.key) places.set(place(change, (after ?? before)!), row);
	}
	for (const { changes, checked } of rows) checked.add(changes.at(-1)!);
	return rows;
}

/** Of a row's changes, the last first. Once it cannot be brought back, those before have nothing to undo. */
function stepsOf(row: UndoRow, info: TableInfo | undefined, problems: Set<string>): UndoStep[] {
	const steps: UndoStep[] = [];
	const cut = new Set(row.changes.flatMap((change) => change.cut ?? []));
	const redacted = new Set(info?.columns.filter((column) => column.redacted).map(({ name }) => name));
	const lost = (name: string) => redacted.has(name) || cut.has(name);
	/** What was born within the set need not come back whole. */
	const lacks = (problem: string) => row.changes[0]!.before !== null && problems.add(problem);
	for (const change of row.changes.toReversed()) {
		const { before, after } = change;
		const gone = columnsOf(change).filter(({ name }) => !isThere(name, info));
		const key = gone.find(({ name }) => name in (change.key ?? {}));
		if (key) {
			problems.add(
				`${labelOf(change)} cannot be found: its key column ${key.name} was renamed or dropped since.`
			);
			break;
		}
		for (const { name } of gone.filter(
			({ before, changed }) => changed && before !== null && before !== 'null'
		))
			lacks(`${tableLabel(change)} has no column ${name} any more: what was in it is not brought back.`);
		const step = (kind: UndoStep['kind'], sql: string) => steps.push({ kind, change, row, sql });
		const columns = writable(change, info);
		const missing = columns.filter(({ name, changed }) => changed && lost(name)).map(({ name }) => name);
		if (after === null && missing.length > 0) {
			lacks(`${labelOf(change)} cannot be brought back whole: the log lacks ${missing.join(', ')}.`);
			break;
		}
		if (after === null) step('insert', insertion(change, columns, 'before', info));
		else if (before === null)
			step('delete', `delete from ${quoted(change)} where ${found(change, row, lost, info)}`);
		else {
			if (missing.length > 0)
				lacks(`${labelOf(change)} keeps its ${missing.join(', ')}: the log lacks what it was.`);
			const back = columns.filter(({ name, changed }) => changed && !lost(name));
			if (back.length === 0) continue;
			const set = assignments(change, back, 'before', info);
			step('update', `update ${quoted(change)} set ${set} where ${found(change, row, lost, info)}`);
		}
	}
	return steps;
}

/** The condition by which a step finds its row, and knows it. */
function found(change: Change, row: UndoRow, lost: (name: string) => boolean, info?: TableInfo): string {
	const keys = Object.keys(change.key ?? {});
	const pointing = new Set(info?.references.flatMap(({ columns }) => columns));
	const all = columnsOf(change);
	const asked = all.filter(({ name, changed }) => {
		if (keys.includes(name)) return true;
		if (lost(name) || !isThere(name, info)) return false;
		if (keys.length === 0) return true;
		// Rows that swap their keys have one key for a moment: the rest tells them apart.
		return row.checked.has(change) && (changed || change.before === null || moves(change));
	});
	const where = asked
		.map(({ name, changed, before, after }) => {
			const left = holds(change, name, after ?? 'null', info);
			if (!changed || change.before === null || !pointing.has(name)) return left;
			// Undoing the row that it points at may have brought it back: on update cascade.
			return `(${left} or ${holds(change, name, before ?? 'null', info)})`;
		})
		.join(' and ');
	// Without a primary key equal rows may be there: one of them is meant, whichever.
	return keys.length > 0
		? where
		: `(tableoid, ctid) = (select tableoid, ctid from ${quoted(change)} where ${where || 'true'} limit 1)`;
}

/** Whether an update gave its row another key. */
function moves({ key, before, after }: Change): boolean {
	if (!key || before === null || after === null) return false;
	const names = Object.keys(key);
	return JSON.stringify(keyTexts(before, names)) !== JSON.stringify(keyTexts(after, names));
}

/** The values of these columns in a row, as JSON text. */
function keyTexts(row: string, names: string[]): (string | undefined)[] {
	const values = valuesOf(row);
	return names.map((name) => values.get(name));
}

const labelOf = (change: Change) => `${tableLabel(change)} ${keyLabel(change.key) || '(no key)'}`;

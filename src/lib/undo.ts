/**
 * SQL that would undo a set of changes, such as a transaction: for a person to read and run; Rowcast never does.
 *
 * Each row goes back to what it was before the first of its changes in the set, in one step however many there are.
 * Rows come back before those that reference them, and go after. Every step asks that the row still is as the last of
 * its changes left it; the script stops, with nothing done, at the first that is not. A json value that was JSON's null
 * comes back as SQL's: the log writes both alike.
 */
import { columnsOf, keyLabel, OP_SIGNS, tableKey, tableLabel } from './change.ts';
import { time } from './format.ts';
import { members, plain } from './json.ts';
import type { Change, TableInfo, TableName } from './protocol.ts';
import { identifier, literal, quoted } from './sql.ts';

/** What it takes to put one row back. */
export interface UndoStep extends TableName {
	kind: 'insert' | 'update' | 'delete';
	/** The row for people: `Book 42`. */
	label: string;
	/** By which it is found now; null where the table has no primary key. */
	key: Change['key'];
	/** The last change of the row in the set: one that is newer is a conflict. */
	last: Change;
	/** One statement, without semicolon. */
	sql: string;
}

export interface UndoPlan {
	/** In the order in which to run them. */
	steps: UndoStep[];
	/** What the log cannot bring back, one sentence each. */
	problems: string[];
}

/** A row's changes in the set as one, from `before` to `after`. */
interface Chain extends TableName {
	before: string | null;
	after: string | null;
	first: Change;
	last: Change;
	cut: Set<string>;
}

export function planUndo(changes: readonly Change[], tables: readonly TableInfo[]): UndoPlan {
	const problems: string[] = [];
	const infos = new Map(tables.map((info) => [tableKey(info), info]));
	const steps: UndoStep[] = [];
	for (const chain of chainsOf(changes, problems)) {
		const step = stepOf(chain, infos.get(tableKey(chain)), problems);
		if (step) steps.push(step);
	}
	const depth = depths(tables);
	const rank = ({ kind }: UndoStep) => ['insert', 'update', 'delete'].indexOf(kind);
	const level = (step: UndoStep) => (depth.get(tableKey(step)) ?? 0) * (step.kind === 'delete' ? -1 : 1);
	// What was done last is undone first.
	steps.sort((a, b) => rank(a) - rank(b) || level(a) - level(b) || bySeq(b.last, a.last));
	return { steps, problems };
}

/** The whole as one script, which checks itself. */
export function undoScript({ steps, problems }: UndoPlan): string {
	const notes = problems.map((problem) => `-- ${problem.replace(/[\r\n]+/g, ' ')}\n`).join('');
	if (steps.length === 0) return `${notes}-- nothing to undo\n`;
	const body = steps
		.map(({ sql, label }) => {
			const text = `${label} is no longer as it was left; nothing was undone`.replaceAll("'", "''");
			return `\t${sql};\n\tif not found then raise exception using message = E'${text.replaceAll('\\', '\\\\')}'; end if;\n`;
		})
		.join('');
	let tag = '$undo$';
	for (let i = 1; body.includes(tag); i++) tag = `$undo${i}$`;
	return `${notes}begin;\nset constraints all deferred;\ndo ${tag}\nbegin\n${body}end\n${tag};\ncommit;\n`;
}

/** Is the row no longer what the step expects? `newest` is the newest change of the row that the log has. */
export function isConflict(step: UndoStep, newest: Change | undefined): boolean {
	return newest !== undefined && bySeq(newest, step.last) > 0;
}

/** A conflict for people: `Book 42: update at 12:03:04.221`. */
export function conflictText(step: UndoStep, newest: Change): string {
	return `${step.label}: ${OP_SIGNS[newest.op].word} at ${time(newest.at)}`;
}

function chainsOf(changes: readonly Change[], problems: string[]): Chain[] {
	const chains: Chain[] = [];
	/** By where its row is after the changes so far. */
	const open = new Map<string, Chain>();
	const place = (change: Change, row: string | null) =>
		change.key && row !== null
			? `${tableKey(change)}\0${JSON.stringify(keyOf(row, Object.keys(change.key)))}`
			: null;
	const gone = new Map<string, Chain>();
	for (const change of [...changes].sort(bySeq)) {
		const { op, schema, table, before, after } = change;
		if (op === 'REFERENCE') continue;
		if (op === 'TRUNCATE') {
			problems.push(`The rows that were in ${tableLabel(change)} when it was truncated are not in the log.`);
			continue;
		}
		const from = place(change, before ?? after);
		let chain = from === null ? undefined : before === null ? gone.get(from) : open.get(from);
		if (chain && chain.after !== before)
			problems.push(`${labelOf(chain)} changed in between by something that is not in the set.`);
		if (chain) {
			open.delete(from!);
			gone.delete(from!);
			Object.assign(chain, { after, last: change });
		} else {
			chain = { schema, table, before, after, first: change, last: change, cut: new Set() };
			chains.push(chain);
		}
		for (const name of change.cut ?? []) chain.cut.add(name);
		const to = place(change, after ?? before);
		if (to !== null) (after === null ? gone : open).set(to, chain);
	}
	return chains.filter(({ before, after }) => before !== after);
}

function stepOf(chain: Chain, info: TableInfo | undefined, problems: string[]): UndoStep | null {
	const { schema, table, before, after, first, last } = chain;
	const columns = columnsOf({ before, after });
	const redacted = new Set(info?.columns.filter((column) => column.redacted).map(({ name }) => name));
	const lost = (name: string) => redacted.has(name) || chain.cut.has(name);
	const value = (name: string, json: string | null) => literal(chain, name, json ?? 'null', info);
	const typeOf = (name: string) => info?.columns.find((column) => column.name === name)?.type ?? '';
	/** The row as it must still be. */
	const where = (names: string[]) =>
		names
			.map((name) => {
				const now = value(name, columns.find((column) => column.name === name)!.after);
				// A null of JSON is written as a null of SQL is.
				if (now === 'null' && /^jsonb?$/.test(typeOf(name)))
					return `coalesce(${identifier(name)}::text, 'null') = 'null'`;
				if (now === 'null') return `${identifier(name)} is null`;
				// These types have no equality.
				return /^(json|xml|point|line|lseg|box|path|polygon|circle)$/.test(typeOf(name))
					? `${identifier(name)}::text = (${now})::text`
					: `${identifier(name)} = ${now}`;
			})
			.join(' and ');
	const keys = Object.keys(last.key ?? {});
	const known = columns.map(({ name }) => name).filter((name) => !lost(name));
	const row = { schema, table, label: labelOf(chain), last };
	const key = after !== null && last.key ? keyOf(after, keys) : (first.key ?? null);

	if (after === null) {
		const missing = columns.map(({ name }) => name).filter(lost);
		if (missing.length > 0) {
			problems.push(`${row.label} cannot be brought back whole: the log lacks ${missing.join(', ')}.`);
			return null;
		}
		const names = columns.map(({ name }) => identifier(name)).join(', ');
		const values = columns.map(({ name, before }) => value(name, before)).join(', ');
		const sql = `insert into ${quoted(chain)} (${names}) overriding system value values (${values})`;
		return { ...row, kind: 'insert', key, sql };
	}
	/** Without a primary key equal rows may be there: one of them is meant, whichever. */
	const found = (names: string[]) =>
		keys.length > 0
			? where(names)
			: `(tableoid, ctid) = (select tableoid, ctid from ${quoted(chain)} where ${where(names)} limit 1)`;
	if (before === null)
		return { ...row, kind: 'delete', key, sql: `delete from ${quoted(chain)} where ${found(known)}` };
	const changed = columns.filter((column) => column.changed);
	const missing = changed.map(({ name }) => name).filter(lost);
	if (missing.length > 0)
		problems.push(`${row.label} keeps its ${missing.join(', ')}: the log lacks what it was.`);
	const back = changed.filter(({ name }) => !lost(name));
	if (back.length === 0) return null;
	const set = back.map(({ name, before }) => `${identifier(name)} = ${value(name, before)}`).join(', ');
	const by = keys.length > 0 ? [...new Set([...keys, ...back.map(({ name }) => name)])] : known;
	return { ...row, kind: 'update', key, sql: `update ${quoted(chain)} set ${set} where ${found(by)}` };
}

/** How many tables must come before each, along its foreign keys. A circle is cut where it is entered. */
function depths(tables: readonly TableInfo[]): Map<string, number> {
	const infos = new Map(tables.map((info) => [tableKey(info), info]));
	const found = new Map<string, number>();
	const visit = (key: string): number => {
		const known = found.get(key);
		if (known !== undefined) return known;
		found.set(key, 0);
		const parents = infos.get(key)?.references.filter((reference) => tableKey(reference) !== key) ?? [];
		const depth = Math.max(0, ...parents.map((parent) => visit(tableKey(parent)) + 1));
		found.set(key, depth);
		return depth;
	};
	for (const key of infos.keys()) visit(key);
	return found;
}

/** The values of these columns in a row. */
function keyOf(row: string, names: string[]): Record<string, string | null> {
	const texts = new Map(members(row).map(({ name, text }) => [name, text]));
	return Object.fromEntries(
		names.map((name) => {
			const text = texts.get(name) ?? 'null';
			return [name, text === 'null' ? null : plain(text)];
		})
	);
}

const labelOf = (chain: Chain) => `${tableLabel(chain)} ${keyLabel(chain.last.key) || '(no key)'}`;

const bySeq = (a: Change, b: Change) => (a.seq === b.seq ? 0 : BigInt(a.seq) < BigInt(b.seq) ? -1 : 1);

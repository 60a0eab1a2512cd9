/** Two databases that go through the same, of which Rowcast watches one: whatever differs is Rowcast's doing. */
import pg from 'pg';
import { expect } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { openLog, watchAll, type Log } from './follow.ts';
import { createDatabase, type Database } from './postgres.ts';

/** A statement, or several in one string; of the second connection where it is named. */
export type Step = string | { second: string };

/** What an application sees of a statement. */
type Outcome =
	{ results: object[]; notices: string[] } | { error: Record<string, unknown>; notices: string[] };

export interface Twins {
	/** Makes tables in both, watches those of one, runs the steps in both, compares all, and returns what was recorded. */
	same(tables: string, ...steps: Step[]): Promise<Change[]>;
	/** To the watched one. */
	db: pg.Client;
	url: string;
	close(): Promise<void>;
}

export async function makeTwins(clusterUrl: string): Promise<Twins> {
	const [plain, watched] = await Promise.all([createDatabase(clusterUrl), createDatabase(clusterUrl)]);
	await watchAll(watched.url);
	const log = await openLog(watched.url);
	const both = await Promise.all([plain, watched].map(openTwin));
	return {
		db: both[1]!.first,
		url: watched.url,
		async same(tables, ...steps) {
			await Promise.all(
				both.map((twin) => twin.first.query(`drop schema public cascade; create schema public; ${tables}`))
			);
			await both[1]!.first.query('select rowcast.watch_all()');
			await log.changes();
			const start = await contents(both[1]!.first);
			for (const { notices } of both) notices.length = 0;
			for (const step of steps) {
				const [expected, seen] = await Promise.all(both.map((twin) => outcome(twin, step)));
				expect(seen, typeof step === 'string' ? step : step.second).toEqual(expected);
			}
			const [expected, seen] = await Promise.all(both.map((twin) => contents(twin.first)));
			expect(seen).toEqual(expected);
			return replayed(start, seen!, log);
		},
		async close() {
			await log.close();
			await Promise.all(both.flatMap(({ first, second }) => [first.end(), second.end()]));
			await Promise.all([plain.drop(), watched.drop()]);
		}
	};
}

interface Twin {
	first: pg.Client;
	second: pg.Client;
	notices: string[];
}

async function openTwin({ url }: Database): Promise<Twin> {
	const notices: string[] = [];
	const open = async () => {
		// Text, so that nothing is lost in JavaScript's types.
		const types = { getTypeParser: () => (value: string) => value } as never;
		const client = new pg.Client({ connectionString: url, types });
		client.on('notice', ({ severity, message }) => notices.push(`${severity}: ${message}`));
		await client.connect();
		return client;
	};
	return { first: await open(), second: await open(), notices };
}

async function outcome(twin: Twin, step: Step): Promise<Outcome> {
	const [client, sql] = typeof step === 'string' ? [twin.first, step] : [twin.second, step.second];
	const notices = () => twin.notices.splice(0);
	try {
		const answer = await client.query({ text: sql, rowMode: 'array' });
		const results = [answer].flat().map(({ command, rowCount, rows, fields }) => ({
			command,
			rowCount,
			rows,
			fields: fields.map(({ name, dataTypeID, format }) => ({
				name,
				format,
				// A type of the application's own has another oid in each database.
				type: dataTypeID < 16_384 ? dataTypeID : 'own'
			}))
		}));
		return { results, notices: notices() };
	} catch (err) {
		const { severity, code, message, detail, hint, schema, table, column, constraint, dataType } =
			err as pg.DatabaseError;
		return {
			error: { severity, code, message, detail, hint, schema, table, column, constraint, dataType },
			notices: notices()
		};
	}
}

type Contents = Record<string, string[]>;

/** The rows of every table as JSON in the settings of the log, by the table's name and columns. */
async function contents(db: pg.Client): Promise<Contents> {
	const result: Contents = {};
	await db.query(
		`rollback; begin; reset role; set local timezone = 'UTC'; set local datestyle = 'iso'; set local intervalstyle = 'postgres';
		set local bytea_output = 'hex'; set local extra_float_digits = 1`
	);
	const { rows } = await db.query(
		`select relname as name, (select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
			from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns
		from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1`
	);
	for (const { name, columns } of rows) {
		const { rows } = await db.query(
			`select row_to_json("the row")::text as row from ${pg.escapeIdentifier(name)} "the row"`
		);
		result[`${name}: ${columns}`] = rows.map(({ row }) => row).sort();
	}
	await db.query('commit');
	return result;
}

/** Asserts that what was recorded leads from one state of the tables to the other; returns it. */
async function replayed(start: Contents, end: Contents, log: Log): Promise<Change[]> {
	const changes = await log.changes();
	for (const [name, rows] of Object.entries(start)) {
		if (!end[name]) continue; // dropped or altered by the steps
		const now = [...rows];
		for (const { op, table, before, after } of changes) {
			if (!name.startsWith(`${table}: `)) continue;
			if (op === 'TRUNCATE') now.length = 0;
			if (before !== null) {
				const at = now.indexOf(before);
				if (at < 0) expect.fail(`${op} of a row of ${table} that is not there: ${before}`);
				now.splice(at, 1);
			}
			if (after !== null) now.push(after);
		}
		expect(now.sort(), name).toEqual(end[name]);
	}
	return changes;
}

/** `INSERT book` and the like, in order. */
export const brief = (changes: Change[]): string[] => changes.map(({ op, table }) => `${op} ${table}`);

/** A watched database of a test's own, and what it records. */
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { useDatabase } from './database.ts';
import { openLog, watchAll, type Log } from './follow.ts';
import type { Database } from './postgres.ts';

export interface Recording {
	database(): Database;
	log(): Log;
	/** On the one connection that `record` writes through, too. */
	query(sql: string): Promise<pg.QueryResult>;
	/** Makes tables, watches everything, writes, and says what was recorded. */
	record(tables: string, ...writes: string[]): Promise<Change[]>;
}

/** For the tests of a `describe`: a fresh database of that major with Rowcast installed, which nobody follows. */
export function useRecording(major: number): Recording {
	const database = useDatabase({ major });
	let db: pg.Client;
	let log: Log;
	beforeAll(async () => {
		db = new pg.Client({ connectionString: database().url });
		await db.connect();
		await watchAll(database().url);
		log = await openLog(database().url);
	});
	afterAll(async () => {
		await db?.end();
		await log?.close();
	});
	return {
		database,
		log: () => log,
		query: (sql) => db.query(sql),
		async record(tables, ...writes) {
			await db.query(tables);
			await db.query('select rowcast.watch_all()');
			await log.changes();
			for (const write of writes) await db.query(write);
			return log.changes();
		}
	};
}

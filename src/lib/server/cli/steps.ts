/** Installing and removing: steps of SQL, each a transaction that gives up rather than make the application wait. */
import type pg from 'pg';
import { LOCK_TIMEOUT_MS, problemOf } from '../watch.ts';

export interface Step {
	/** The table that it is about. */
	schema: string;
	table: string;
	sql: string;
}

/** How long steps are tried again whose tables are in use, and the pause between. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 500;

/** A step as a transaction of its own: whoever comes after it in a table's queue waits as long as it does at most. */
export function step(schema: string, table: string, ...statements: string[]): Step {
	return {
		schema,
		table,
		sql: ['begin', `set local lock_timeout = '${LOCK_TIMEOUT_MS}ms'`, ...statements, 'commit']
			.map((line) => `${line};`)
			.join('\n')
	};
}

export type Failed = Omit<Step, 'sql'> & { reason: string };

/** Runs every step, those that find their table in use again and again for a while; returns what failed, and why. */
export async function runSteps(
	client: pg.ClientBase,
	steps: Step[],
	{ done, signal }: { done: (step: Step) => void; signal: AbortSignal }
): Promise<Failed[]> {
	const failed: Failed[] = [];
	const deadline = Date.now() + PATIENCE_MS;
	let due = steps;
	while (due.length > 0 && !signal.aborted) {
		const again: Step[] = [];
		for (const each of due) {
			try {
				await client.query(each.sql);
				done(each);
			} catch (err) {
				await client.query('rollback');
				const reason = problemOf(err);
				if (!reason) throw err;
				if ((err as { code?: string }).code === '55P03' && Date.now() < deadline) again.push(each);
				else failed.push({ schema: each.schema, table: each.table, reason });
			}
		}
		due = again;
		if (due.length > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
	}
	return failed;
}

/** As people write it: `public.book`. */
export const label = ({ schema, table }: { schema: string; table: string }) => `${schema}.${table}`;

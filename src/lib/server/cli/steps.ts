/** Installing and removing: steps of SQL, each a transaction that gives up rather than make the application wait. */
import type pg from 'pg';
import type { Step } from '../install.ts';
import { problemOf } from '../watch.ts';

/** How long steps are tried again whose tables are in use, and the pause between. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 500;

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

/**
 * The database's clock, as this server knows it. Clocks jump, this machine's or the database's: what passes in between
 * is measured by what does not.
 */
import os from 'node:os';
import type pg from 'pg';

/** A change of the clock by less does no harm to a log that is kept for hours. */
const JUMP_MS = 5_000;

export interface DatabaseClock {
	/** How many ms ago the newest tick was made, by its time. */
	since(tickAt: string): number;
	/** What it says now where it has not jumped since it was last looked at. */
	expected(): string;
	/** Looks at it; by how many ms it jumped since it was last looked at, 0 where it went on as time does. */
	look(client: Pick<pg.ClientBase, 'query'>): Promise<number>;
}

export function makeDatabaseClock(): DatabaseClock {
	/** The database's clock less this process's, which never jumps. */
	let offset = 0;
	/** The same less the time since the machine started, which goes on while it sleeps, too. */
	let known: number | undefined;
	/** How long the answer took that says so: by so much it may be wrong. */
	let tookBefore = 0;
	let newest = -Infinity;
	return {
		since(tickAt) {
			const at = Date.parse(tickAt);
			// It was set back since the tick before, and this is about what it says.
			if (at < newest - JUMP_MS) offset = at - performance.now();
			newest = at;
			return Math.max(0, Math.round(performance.now() + offset - at));
		},
		expected: () => new Date((known ?? 0) + os.uptime() * 1000).toISOString(),
		async look(client) {
			const asked = performance.now();
			const { rows } = await client.query('select extract(epoch from clock_timestamp()) * 1000 as now');
			const now = Number(rows[0].now);
			const took = performance.now() - asked;
			offset = now - asked - took / 2;
			const before = known;
			known = now - os.uptime() * 1000;
			const jumped = before === undefined ? 0 : known - before;
			const doubt = took + tookBefore;
			tookBefore = took;
			return Math.abs(jumped) > JUMP_MS + doubt ? Math.round(jumped) : 0;
		}
	};
}

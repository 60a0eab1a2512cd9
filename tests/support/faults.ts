/** What the tests of faults share: the load, its viewers, and the reckoning at the end. */
import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';
import { makeRandom } from '../../src/lib/server/demo/random.ts';
import { CLEAN, mark, openLedger, reckon, startWriters, type WritersOptions } from './ledger.ts';
import { withClient } from './postgres.ts';
import { watch, type Watcher } from './watcher.ts';

export interface Scene {
	/** Gets every change. */
	stream: Watcher;
	/** Gets exact counts, and the newest changes. */
	feed: Watcher;
	/** Writes a row and waits until both viewers have it: everything before it has arrived. The time it took, in ms. */
	caughtUp(within: number): Promise<number>;
	/** Stops the writers and waits until both viewers have all that they wrote. */
	quiet(): Promise<void>;
	/** Stops the writers and compares what was seen with the rows of the database. */
	settle(): Promise<void>;
	close(): Promise<void>;
}

/** Viewers at `viewUrl` of a database under load at `writeUrl`. The load goes on until `settle`. */
export async function stage(
	writeUrl: string,
	viewUrl: string,
	options: Partial<WritersOptions> = {}
): Promise<Scene> {
	const [stream, feed] = await Promise.all([watch(viewUrl), watch(viewUrl, { mode: 'feed', limit: 50 })]);
	await openLedger(writeUrl);
	const writers = startWriters(writeUrl, { random: makeRandom(1), ...options });
	let marks = 0;
	const scene: Scene = {
		stream,
		feed,
		async caughtUp(within) {
			const note = `${++marks}`;
			const started = performance.now();
			await mark(writeUrl, note);
			const tick = await stream.marked(note, within);
			await Promise.all([stream, feed].map((viewer) => viewer.reached(tick, within)));
			return performance.now() - started;
		},
		async quiet() {
			await writers.stop();
			await scene.caughtUp(20_000);
		},
		async settle() {
			await scene.quiet();
			expect(writers.committed).toBeGreaterThan(20);
			await reckoned(writeUrl, stream);
			expect(countsOf(feed)).toEqual(countsOf(stream));
			expect(feed.told).toBe(total(feed));
			expect(feed).toMatchObject({ gaps: [], holes: [], errors: [] });
		},
		async close() {
			stream.close();
			feed.close();
			await writers.stop();
		}
	};
	return scene;
}

/** A viewer in stream mode has seen exactly what the rows tell, without a gap. */
export async function reckoned(url: string, viewer: Watcher): Promise<void> {
	expect(await reckon(url, viewer.changes)).toEqual(CLEAN);
	expect(viewer.told).toBe(total(viewer));
	expect(viewer).toMatchObject({ gaps: [], holes: [], errors: [] });
}

export const countsOf = ({ counts }: Watcher) =>
	Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Changes that the counts say there were. */
export const total = ({ counts }: Watcher) => Object.values(counts).reduce((sum, rows) => sum + rows, 0);

/** Ends a process and those that it started, at once, as the kernel does when memory is short. */
export function killTree(pid: number): void {
	const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
	for (const each of [pid, ...stdout.split(/\s+/).filter(Boolean).map(Number)]) {
		try {
			process.kill(each, 'SIGKILL');
		} catch {
			// Gone by itself.
		}
	}
}

/** The connections of the servers under test. */
export async function rowcastBackends(url: string): Promise<number[]> {
	const { rows } = await withClient(url, (db) =>
		db.query(
			`select pid from pg_stat_activity where application_name = 'rowcast' and datname = current_database() order by pid`
		)
	);
	return rows.map(({ pid }) => Number(pid));
}

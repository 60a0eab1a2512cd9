/** What benches share: a durable cluster, child processes that answer, medians. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { startCluster, type Cluster } from '../../src/lib/server/embedded.ts';
import { binariesOf, createDatabase, databaseUrl, withClient } from '../support/postgres.ts';
import { root, startRowcast, type Rowcast } from '../support/rowcast.ts';

export { delay };
export type Tell = (line: string) => void;

export interface Lab {
	cluster: Cluster;
	/** Makes a database, runs the SQL in it, and returns its address. */
	database(name: string, sql: string): Promise<string>;
	url(name: string): string;
}

/**
 * Runs `use` on a cluster of its own. Commits are durable, as PostgreSQL ships. Autovacuum is off because it would come
 * in one round and not in the next; the benches vacuum between rounds.
 */
export async function withLab<T>(use: (lab: Lab) => Promise<T>, major = 18): Promise<T> {
	const cluster = await startCluster({
		binaries: await binariesOf(major),
		settings: {
			shared_buffers: '256MB',
			max_wal_size: '4GB',
			autovacuum: 'off',
			checkpoint_timeout: '1h',
			max_connections: 200
		}
	});
	try {
		return await use({
			cluster,
			url: (name) => databaseUrl(cluster.connectionString, name),
			async database(name, sql) {
				const { url } = await createDatabase(cluster.connectionString, { name });
				await execute(url, sql);
				return url;
			}
		});
	} finally {
		await cluster.stop();
	}
}

/** One statement, or several separated by semicolons; the rows of the last. */
export const execute = (url: string, sql: string, values?: unknown[]): Promise<Record<string, string>[]> =>
	withClient(url, async (client) => {
		const result: pg.QueryResult | pg.QueryResult[] = await client.query(sql, values);
		return (Array.isArray(result) ? result.at(-1)! : result).rows;
	});

/** The product on this database, all of its tables watched, with room for all that a bench writes. */
export const serve = (url: string, env: Record<string, string> = {}): Promise<Rowcast> =>
	startRowcast({
		env: { DATABASE_URL: url, ROWCAST_WATCH: 'all', ROWCAST_MAX_LOG: '64GB', ...env },
		timeout: 60_000
	});

/** A program of this folder in a process of its own, which answers every request by one message. */
export interface Helper {
	process: ChildProcess;
	ask<T>(request: string, payload?: unknown): Promise<T>;
	stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Resolves once the program has told that it is ready. */
export async function startHelper(file: string, options: unknown = {}): Promise<Helper & { ready: unknown }> {
	const child = fork(path.join(root, 'tests', 'bench', file), [JSON.stringify(options)], {
		execArgv: [],
		stdio: ['ignore', 'inherit', 'inherit', 'ipc']
	});
	const ended = once(child, 'exit');
	const answer = async () => {
		const [message] = await Promise.race([
			once(child, 'message'),
			ended.then(([code, signal]) => {
				throw new Error(`${file} ended with ${code ?? signal}`);
			})
		]);
		return message;
	};
	const ready = await answer();
	return {
		process: child,
		ready,
		ask(request, payload) {
			const answered = answer();
			child.send({ request, payload });
			return answered;
		},
		async stop(signal) {
			child.kill(signal);
			await ended;
		}
	};
}

export interface ViewerReport {
	/** Changes received as rows, and changes counted. */
	changes: number;
	counted: number;
	messages: number;
	bytes: number;
}

/** Waits until the viewer was told of as many changes as the log has. */
export async function untilCounted(
	viewer: Helper,
	expected: number,
	timeout = 30_000
): Promise<ViewerReport> {
	for (const deadline = Date.now() + timeout; ; await delay(20)) {
		const report = await viewer.ask<ViewerReport>('report');
		if (report.counted >= expected) return report;
		if (Date.now() > deadline)
			throw new Error(`The viewer was told of ${report.counted} of ${expected} changes.`);
	}
}

/** Waits until nothing has arrived for a moment. */
export async function untilQuiet(viewer: Helper): Promise<void> {
	for (let before = -1; ; await delay(150)) {
		const { messages } = await viewer.ask<ViewerReport>('report');
		if (messages === before) return;
		before = messages;
	}
}

/** A marked row, and when it was sent, in ms of the machine's monotonic clock. */
export type Sent = [mark: number, at: number];

/** How long each of the sent rows took to the viewer, in ms, once all that is under way is there. */
export async function delays(viewer: Helper, sent: Sent[]): Promise<number[]> {
	await untilQuiet(viewer);
	const arrivals = new Map(await viewer.ask<[mark: string, at: number][]>('arrivals'));
	return sent.map(([mark, at]) => {
		const arrived = arrivals.get(String(mark));
		if (arrived === undefined) throw new Error(`Row ${mark} never came.`);
		return arrived - at;
	});
}

export function median(values: number[]): number {
	return quantile(values, 0.5);
}

export function quantile(values: number[], q: number): number {
	const sorted = values.toSorted((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

export const round = (value: number, digits = 2) => Number(value.toFixed(digits));

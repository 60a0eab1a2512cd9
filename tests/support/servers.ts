/** What the tests of several servers stand on: the ledger's database, and the end of all that a test started. */
import { afterEach, beforeEach } from 'vitest';
import { clusterUrl } from './database.ts';
import { stage, type Scene } from './faults.ts';
import { createLedger, type WritersOptions } from './ledger.ts';
import { createDatabase, withClient, type Database } from './postgres.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { startRowcast, type Rowcast, type RowcastOptions } from './rowcast.ts';
import { watch, type Watcher, type WatcherOptions } from './watcher.ts';

export interface Servers {
	/** Fresh for each test, with an empty ledger. */
	readonly database: Database;
	/** Starts a server that watches all of the database, or of what leads to it: a proxy, a pooler. */
	start(url?: string, options?: RowcastOptions): Promise<Rowcast>;
	/** Load on the database, and viewers of it at an address. One a test. */
	stage(viewUrl: string, options?: Partial<WritersOptions>): Promise<Scene>;
	watch(url: string, options?: WatcherOptions): Promise<Watcher>;
	/** An address before a port of this machine, such as a load balancer's before the servers'. */
	proxy(target: number): Promise<Proxy>;
	/** Rows of one statement. */
	// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as pg has them
	sql(text: string, values?: unknown[]): Promise<any[]>;
	/** To be called after the test, when its servers have stopped; the latest first. */
	finally(close: () => unknown): void;
}

/** For the tests of a file or of a `describe`. */
export function useServers(cluster: () => string = clusterUrl): Servers {
	let database: Database | undefined;
	let started: Rowcast[] = [];
	let viewers: { close(): unknown }[] = [];
	let closers: (() => unknown)[] = [];

	beforeEach(async () => {
		database = await createDatabase(cluster());
		await createLedger(database.url);
	});
	afterEach(async () => {
		for (const viewer of viewers) await viewer.close();
		// One that a test left standing still would not end.
		for (const { process } of started) process.kill('SIGCONT');
		await Promise.all(started.map((server) => server.stop()));
		for (const close of closers.reverse()) await close();
		await database?.drop();
		[started, viewers, closers, database] = [[], [], [], undefined];
	});

	const servers: Servers = {
		get database() {
			if (!database) throw new Error('The database is there only while the tests run.');
			return database;
		},
		async start(url = servers.database.url, { env, ...options } = {}) {
			const server = await startRowcast({
				...options,
				env: { DATABASE_URL: url, ROWCAST_WATCH: 'all', ...env }
			});
			started.push(server);
			return server;
		},
		async stage(viewUrl, options) {
			const scene = await stage(servers.database.url, viewUrl, options);
			viewers.push(scene);
			return scene;
		},
		async watch(url, options) {
			const watcher = await watch(url, options);
			viewers.push(watcher);
			return watcher;
		},
		async proxy(target) {
			const proxy = await startProxy(target);
			closers.push(() => proxy.close());
			return proxy;
		},
		sql: (text, values = []) =>
			withClient(servers.database.url, async (db) => (await db.query(text, values)).rows),
		finally: (close) => void closers.push(close)
	};
	return servers;
}

/** The port that a server listens on. */
export const portOf = ({ url }: Rowcast) => Number(new URL(url).port);

/** The database dies, stops, throws Rowcast out or has no room for it: nothing is lost, and Rowcast comes back. */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { killTree, rowcastBackends, stage, type Scene } from '../support/faults.ts';
import { createLedger } from '../support/ledger.ts';
import {
	createDatabase,
	startPostgres,
	withClient,
	type Cluster,
	type Database
} from '../support/postgres.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';

/** From the moment at which the database can be used again until viewers are shown what is new. */
const RECOVERY_MS = 8_000;

let folder: string;
let cluster: Cluster;
let database: Database;
let server: Rowcast;
let scene: Scene;

// Nothing is left to luck when it is killed: as durable as in production.
const settings = { fsync: 'on', full_page_writes: 'on', max_connections: 30 };
const start = async () => (cluster = await startPostgres({ folder, port: cluster?.port, settings }));

beforeAll(async () => {
	folder = path.join(tmpdir(), `rowcast-faults-${randomUUID()}`);
	await start();
});
afterAll(async () => {
	await cluster?.stop();
	await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
	database = await createDatabase(cluster.connectionString);
	await createLedger(database.url);
	server = await startRowcast({ env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all' } });
	scene = await stage(database.url, server.url, { asynchronous: true });
	await scene.caughtUp(10_000);
});
afterEach(async () => {
	await scene?.close();
	await server?.stop();
	await database?.drop();
});

const disconnected = () =>
	scene.stream.until('the outage to be told', ({ states }) =>
		states.some(({ database }) => database === 'disconnected')
	);

describe('under load with asynchronous commits', () => {
	test('kill -9 of the whole cluster, twice: nothing shown that the crash undid, nothing lost', async () => {
		for (let round = 0; round < 2; round++) {
			killTree(cluster.pid);
			await cluster.stop();
			await disconnected();
			await start();
			expect(await scene.caughtUp(RECOVERY_MS)).toBeLessThan(RECOVERY_MS);
		}
		await scene.settle();
		expect(scene.stream.epochs).toHaveLength(1);
	});

	test('kill -9 of one backend, after which PostgreSQL restarts itself', async () => {
		const [pid] = await rowcastBackends(database.url);
		process.kill(pid!, 'SIGKILL');
		await disconnected();
		await untilUp();
		await scene.caughtUp(RECOVERY_MS);
		await scene.settle();
	});

	test('a fast shutdown and a start', async () => {
		await cluster.stop();
		await disconnected();
		await start();
		await scene.caughtUp(RECOVERY_MS);
		await scene.settle();
	});

	test('each of its connections terminated, again and again', async () => {
		for (let round = 0; round < 5; round++) {
			for (const pid of await rowcastBackends(database.url))
				await withClient(database.url, (db) => db.query('select pg_terminate_backend($1)', [pid]));
			await scene.caughtUp(RECOVERY_MS);
		}
		await scene.settle();
	});

	test('no free connection for a while', async () => {
		const hoard: pg.Client[] = [];
		const first = await hold(hoard);
		const told = () => scene.stream.states.some(({ message }) => message?.includes('no free connection'));
		// Whoever is thrown out races for the free connection: until it was Rowcast that lost.
		while (!told()) {
			try {
				await hold(hoard);
			} catch (error) {
				expect((error as { code?: string }).code).toBe('53300');
				await first.query(
					`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowcast'`
				);
			}
		}
		await Promise.all(hoard.map((client) => client.end()));
		await scene.caughtUp(RECOVERY_MS);
		await scene.settle();
	});
});

async function hold(hoard: pg.Client[]): Promise<pg.Client> {
	const client = new pg.Client({ connectionString: database.url });
	client.on('error', () => {});
	await client.connect();
	hoard.push(client);
	return client;
}

async function untilUp(): Promise<void> {
	for (;;) {
		try {
			return await withClient(database.url, async (db) => void (await db.query('select')));
		} catch {
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}
}

/** A bad network on either side of the server: noticed, told, and without a loss. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { clusterUrl } from '../support/database.ts';
import { stage, type Scene } from '../support/faults.ts';
import { createLedger } from '../support/ledger.ts';
import { createDatabase, type Database } from '../support/postgres.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';

/** A connection on which nothing arrives any more is noticed within. */
const NOTICED_MS = 5_000;
/** From the end of the trouble until viewers are shown what is new. */
const RECOVERY_MS = 8_000;
/** Bytes that pass one by one: some 1 s of them. */
const TRICKLE = 50_000;

let database: Database;
let between: Proxy;
let server: Rowcast;
let scene: Scene;

/** However little a viewer needed to catch up: what goes on passes byte by byte, too. */
const trickled = () => expect.poll(() => between.trickle, { timeout: 20_000 }).toBe(0);

describe('between server and database', () => {
	beforeAll(async () => {
		between = await startProxy(Number(new URL(clusterUrl()).port));
	});
	beforeEach(async () => {
		database = await createDatabase(clusterUrl());
		await createLedger(database.url);
		server = await startRowcast({
			env: { DATABASE_URL: between.through(database.url), ROWCAST_WATCH: 'all' }
		});
		scene = await stage(database.url, server.url);
		await scene.caughtUp(10_000);
	});
	afterEach(async () => {
		await scene?.close();
		await server?.stop();
		await database?.drop();
	});
	afterAll(() => between?.close());

	const disconnected = () =>
		scene.stream.until(
			'the outage to be told',
			({ states }) => states.some(({ database }) => database === 'disconnected'),
			15_000
		);

	test('it drops everything silently: noticed, and gone on once it is well', async () => {
		between.silence();
		expect(await disconnected()).toBeLessThan(NOTICED_MS + 500);
		expect(scene.stream.states.at(-1)?.message).toBeTruthy();
		between.heal();
		await scene.caughtUp(RECOVERY_MS);
		await scene.settle();
	});

	test('it cuts every connection, and refuses new ones for a while', async () => {
		between.refuse();
		await disconnected();
		between.admit();
		await scene.caughtUp(RECOVERY_MS);
		for (let round = 0; round < 5; round++) {
			between.cut();
			await scene.caughtUp(RECOVERY_MS);
		}
		await scene.settle();
	});

	test('it is slow, and then passes single bytes', async () => {
		between.delay = 100;
		await scene.caughtUp(RECOVERY_MS);
		between.delay = 0;
		between.trickle = TRICKLE;
		await scene.caughtUp(RECOVERY_MS);
		await trickled();
		expect(scene.stream.states.every(({ database }) => database !== 'disconnected')).toBe(true);
		await scene.settle();
	});
});

describe('between browser and server', () => {
	beforeAll(async () => {
		database = await createDatabase(clusterUrl());
		await createLedger(database.url);
		server = await startRowcast({ env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all' } });
		between = await startProxy(Number(new URL(server.url).port));
		scene = await stage(database.url, between.through(server.url));
		await scene.caughtUp(10_000);
	});
	afterAll(async () => {
		await scene?.close();
		await between?.close();
		await server?.stop();
		await database?.drop();
	});
	afterEach(() => scene.caughtUp(RECOVERY_MS));

	const noticed = () => {
		const { stream, feed } = scene;
		const down = [stream, feed].map((viewer) => {
			const known = viewer.links.length;
			return viewer.until(
				'the cut to be noticed',
				({ links }) => links.slice(known).some(({ up }) => !up),
				25_000
			);
		});
		return Promise.all(down).then((times) => Math.max(...times));
	};

	test('it drops everything silently: noticed, and gone on once it is well', async () => {
		between.silence();
		expect(await noticed()).toBeLessThan(NOTICED_MS + 500);
		between.heal();
	});

	test('it cuts every connection, and refuses new ones for a while', async () => {
		between.refuse();
		await noticed();
		between.admit();
		await scene.caughtUp(RECOVERY_MS);
		for (let round = 0; round < 10; round++) {
			between.cut();
			await new Promise((resolve) => setTimeout(resolve, 150));
		}
	});

	test('it is slow, and then passes single bytes', async () => {
		between.delay = 200;
		await scene.caughtUp(RECOVERY_MS);
		between.delay = 0;
		between.trickle = TRICKLE;
		await scene.caughtUp(RECOVERY_MS);
		await trickled();
	});

	test('nothing was lost by any of it', () => scene.settle());
});

import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClusterInUse } from '../../src/lib/server/embedded.ts';
import { startPostgres, withClient } from '../support/postgres.ts';
import { connect, startRowcast, type Rowcast } from '../support/rowcast.ts';

let scratch: string;
beforeAll(async () => {
	scratch = await mkdtemp(path.join(tmpdir(), 'rowcast-scratch-'));
	// The user who runs PostgreSQL must be able to enter.
	await chmod(scratch, 0o755);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const notes = (url: string) =>
	withClient(url, async (db) =>
		(await db.query('select text from note order by text')).rows.map((r) => r.text)
	);

test('a kept cluster has its data again after a stop and after a kill', async () => {
	const folder = path.join(scratch, 'kept');
	const first = await startPostgres({ folder });
	await withClient(first.connectionString, (db) => db.query(`create table note as select 'one' as text`));
	await first.stop();

	const second = await startPostgres({ folder });
	expect(await notes(second.connectionString)).toEqual(['one']);
	await withClient(second.connectionString, (db) => db.query(`insert into note values ('two')`));
	process.kill(second.pid, 'SIGKILL');
	await second.exited;

	const third = await startPostgres({ folder });
	expect(await notes(third.connectionString)).toEqual(['one', 'two']);
	await third.stop();
});

test('of several that start on one folder at once, one has it and the others are told', async () => {
	const folder = path.join(scratch, 'shared');
	const started = await Promise.allSettled([1, 2, 3].map(() => startPostgres({ folder })));
	const running = started.flatMap((s) => (s.status === 'fulfilled' ? [s.value] : []));
	const refused = started.flatMap((s) => (s.status === 'rejected' ? [s.reason] : []));
	expect(running).toHaveLength(1);
	expect(refused.every((reason) => reason instanceof ClusterInUse)).toBe(true);
	// Those that were refused leave it alone.
	await withClient(running[0]!.connectionString, (db) => db.query('select'));
	await running[0]!.stop();
});

/** The address of the demo's database, as the server prints it. */
const demoUrl = (rowcast: Rowcast) => /postgres:\/\/\S+/.exec(rowcast.stdout())![0];

async function listens(url: string): Promise<boolean> {
	const { hostname, port } = new URL(url);
	const socket = createConnection({ host: hostname, port: Number(port) });
	try {
		await once(socket, 'connect');
		return true;
	} catch {
		return false;
	} finally {
		socket.destroy();
	}
}

test('the demo runs twice at once, shows its shop at work, and leaves nothing behind', async () => {
	const copies = await Promise.all([startRowcast(), startRowcast()]);
	const urls = copies.map(demoUrl);
	expect(urls[0]).not.toBe(urls[1]);
	const folds = (url: string) =>
		withClient(url, async (db) => (await db.query(`select 'Émile' ilike 'éMILE' as folds`)).rows[0].folds);
	// One of the two is new; the kept one may be of an earlier Rowcast.
	expect(await Promise.all(urls.map(folds)), 'letters beyond ASCII have a case').toContain(true);
	for (const { url } of copies) {
		const viewer = await connect(url);
		expect(viewer.tables.filter(({ watched }) => watched).map(({ table }) => table)).toEqual(
			expect.arrayContaining(['User', 'Book', 'orders', 'order_line', 'stock', 'page_view'])
		);
		await viewer.subscribe();
		await viewer.until('changes of the shop', ({ changes }) => changes.length > 0, 30_000);
		viewer.close();
	}
	// One is asked to stop, the other dies.
	expect(await copies[0]!.stop()).toBe(0);
	expect(await listens(urls[0]!)).toBe(false);
	await copies[1]!.stop('SIGKILL');
	await expect.poll(() => listens(urls[1]!), { timeout: 10_000 }).toBe(false);
});

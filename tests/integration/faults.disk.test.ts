/** The disk of the database is full for a while: nothing that was committed is lost, and all goes on when there is room. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { chmod, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { stage, type Scene } from '../support/faults.ts';
import { createLedger } from '../support/ledger.ts';
import { createDatabase, startPostgres, withClient, type Cluster } from '../support/postgres.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';

const RECOVERY_MS = 20_000;

/** A small disk of the test's own, which root alone can have. */
const disk = mkdtempSync(path.join(tmpdir(), 'rowcast-disk-'));
const mounted =
	process.platform === 'linux' &&
	process.getuid?.() === 0 &&
	spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'none', disk]).status === 0;
if (!mounted) {
	console.warn('SKIPPED: the test of a full disk, for want of the right to mount one.');
	rmdirSync(disk);
}

let cluster: Cluster | undefined;
/** The postmaster has. */
let ended = false;
let server: Rowcast | undefined;
let scene: Scene | undefined;

const start = async () => {
	cluster = await startPostgres({
		folder: path.join(disk, 'cluster'),
		port: cluster?.port,
		settings: { max_wal_size: '64MB', min_wal_size: '32MB', shared_buffers: '16MB' }
	});
	ended = false;
	void cluster.exited.then(() => (ended = true));
	return cluster;
};

afterAll(async () => {
	await scene?.close();
	await server?.stop();
	await cluster?.stop();
	if (!mounted) return;
	spawnSync('umount', ['-l', disk]);
	await rm(disk, { recursive: true, force: true });
});

/** Takes all the room that is left. */
async function fill(file: string): Promise<void> {
	const handle = await open(file, 'a');
	try {
		for (let size = 1 << 20; size >= 512; size /= 2)
			while (
				await handle.write(Buffer.alloc(size)).then(
					({ bytesWritten }) => bytesWritten === size,
					() => false
				)
			);
	} finally {
		await handle.close();
	}
}

test.skipIf(!mounted)('a full disk, and room again', async () => {
	await chmod(disk, 0o1777);
	const { connectionString } = await start();
	const { url } = await createDatabase(connectionString);
	await createLedger(url);
	server = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
	scene = await stage(url, server.url);
	while (scene.stream.told < 100) await scene.caughtUp(RECOVERY_MS);

	const ballast = path.join(disk, 'ballast');
	let failed = 0;
	for (const patience = Date.now() + 30_000; failed < 5 && Date.now() < patience;) {
		await fill(ballast);
		await withClient(url, (db) =>
			db.query(
				`insert into item (owner, note) select 99, repeat(i::text, 500) from generate_series(1, 2000) i`
			)
		).catch(() => failed++);
		await new Promise((resolve) => setTimeout(resolve, 200));
	}
	expect(failed).toBe(5);

	await rm(ballast);
	for (const patience = Date.now() + 30_000; Date.now() < patience;) {
		// Without room to recover in, PostgreSQL gives up.
		if (ended) await start();
		const up = await withClient(url, (db) => db.query('select')).catch(() => undefined);
		if (up) break;
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
	await scene.caughtUp(RECOVERY_MS);
	await scene.settle();
});

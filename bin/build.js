/** Builds the product where a checkout has none yet, or an older one than its sources. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The folder of package.json: a checkout, or the installed package. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const SOURCES = ['src', 'sql', 'static', 'svelte.config.js', 'vite.config.ts', 'package.json'];

/**
 * Only one process builds at a time; others wait for it and find nothing left to do.
 * @param {(line: string) => void} tell
 */
export async function buildIfStale(tell) {
	// An installed package has no sources.
	if (!(await exists('src')) || !(await stale())) return;
	const unlock = await lock(tell);
	try {
		if (await stale()) await build(tell);
	} finally {
		await unlock();
	}
}

async function stale() {
	const built = await modified('build/handler.js');
	for (const source of SOURCES) if ((await newest(source)) > built) return true;
	return false;
}

/** @param {(line: string) => void} tell */
async function build(tell) {
	tell('Building Rowcast …');
	const started = Date.now();
	const vite = path.join(root, 'node_modules', 'vite', 'bin', 'vite.js');
	if (!(await exists(vite))) throw new Error('Rowcast is not built, and Vite is missing. Run "npm install".');
	const child = spawn(process.execPath, [vite, 'build', '--logLevel', 'warn'], {
		cwd: root,
		stdio: ['ignore', 'pipe', 'pipe']
	});
	let output = '';
	for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
	const interrupted = () => {
		child.kill();
		process.exit(130);
	};
	for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupted);
	const [code] = await once(child, 'close');
	for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, interrupted);
	if (code !== 0) throw new Error(`The build failed.\n${output.trim()}`);
	tell(`Built in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
}

/**
 * @param {(line: string) => void} tell
 * @returns {Promise<() => Promise<void>>} the unlocker
 */
async function lock(tell) {
	const file = path.join(root, '.rowcast', 'build.lock');
	await fs.mkdir(path.dirname(file), { recursive: true });
	for (let waited = false; ; waited = true) {
		try {
			await fs.writeFile(file, String(process.pid), { flag: 'wx' });
			return () => fs.rm(file, { force: true });
		} catch (error) {
			if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
		}
		const holder = Number(await fs.readFile(file, 'utf8').catch(() => ''));
		// A holder that died, or that wrote no process id within the two seconds, left its lock behind.
		if (holder ? !alive(holder) : Date.now() - (await modified(file)) > 2000)
			await fs.rm(file, { force: true });
		else if (!waited) tell('Waiting for another process that builds Rowcast …');
		await delay(100);
	}
}

/** @param {number} pid */
function alive(pid) {
	try {
		process.kill(pid, 0);
		return pid !== process.pid;
	} catch (error) {
		return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
	}
}

/** @param {string} file */
async function exists(file) {
	return (await modified(file)) > 0;
}

/** @param {string} file @returns {Promise<number>} when it was modified; 0 where it does not exist */
async function modified(file) {
	const stat = await fs.stat(path.resolve(root, file)).catch(() => undefined);
	return stat?.mtimeMs ?? 0;
}

/** @param {string} source @returns {Promise<number>} */
async function newest(source) {
	const full = path.resolve(root, source);
	const entries = await fs.readdir(full, { withFileTypes: true, recursive: true }).catch(() => []);
	const files = entries.map((entry) => path.join(entry.parentPath, entry.name));
	return Math.max(...(await Promise.all([full, ...files].map(modified))));
}

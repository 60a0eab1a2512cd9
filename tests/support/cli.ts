/** The command line as its own process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { root } from './rowcast.ts';

/** Starts it on a database; ended by the test, or when it has done its work. */
export function startCli(url: string, args: string[], env: Record<string, string> = {}) {
	const inherited = Object.entries(process.env).filter(
		([name]) => !/^(PG|ROWCAST_|DATABASE_URL$)/.test(name)
	);
	return spawn(process.execPath, ['bin/rowcast.js', ...args], {
		cwd: root,
		env: { ...Object.fromEntries(inherited), ...(url && { DATABASE_URL: url }), ...env },
		stdio: ['ignore', 'pipe', 'pipe']
	});
}

/** Runs it to its end. */
export async function runCli(url: string, args: string[], env?: Record<string, string>) {
	const child = startCli(url, args, env);
	let [stdout, stderr] = ['', ''];
	child.stdout.on('data', (chunk) => (stdout += chunk));
	child.stderr.on('data', (chunk) => (stderr += chunk));
	const [code] = await once(child, 'close');
	return { code, stdout, stderr };
}

/** What some tests need of the system. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Installs those of Debian's packages that are not there, where we may. */
export function getPackages(there: Record<string, boolean>): void {
	const missing = Object.keys(there).filter((name) => !there[name]);
	if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return;
	console.log(`Getting ${missing.join(' and ')} for the tests …`);
	for (const args of [
		['update', '-q'],
		['install', '-y', '-q', '--no-install-recommends', ...missing]
	])
		spawnSync('apt-get', args, {
			stdio: ['ignore', 'inherit', 'inherit'],
			env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
			timeout: 5 * 60_000
		});
}

/** Finds a Chromium for the browser tests, or gets one. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium } from '@playwright/test';

const CANDIDATES = {
	linux: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium'],
	darwin: [
		'/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
		'/Applications/Chromium.app/Contents/MacOS/Chromium'
	],
	win32: [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA]
		.filter((folder) => folder !== undefined)
		.map((folder) => path.join(folder, 'Google', 'Chrome', 'Application', 'chrome.exe'))
};

/** `CHROMIUM_PATH`, Playwright's own, the system's, or one that is installed now. Throws with what to do. */
export function findBrowser(): string {
	const browser = installed() ?? (install(), installed());
	if (browser) return browser;
	throw new Error(
		'No Chromium for the browser tests, and none could be installed. Install Chromium or Chrome, or run ' +
			'"npx playwright install --with-deps chromium", or set CHROMIUM_PATH.'
	);
}

function installed(): string | undefined {
	const chosen = process.env.CHROMIUM_PATH;
	if (chosen) {
		if (works(chosen)) return chosen;
		throw new Error(`CHROMIUM_PATH is ${chosen}, which does not run.`);
	}
	const system = CANDIDATES[process.platform as keyof typeof CANDIDATES] ?? [];
	return [chromium.executablePath(), ...system].find(works);
}

/** A downloaded browser may lack the libraries of the system. */
function works(executable: string): boolean {
	if (!existsSync(executable)) return false;
	// On Windows it would open a window.
	return (
		process.platform === 'win32' || spawnSync(executable, ['--version'], { timeout: 20_000 }).status === 0
	);
}

function install(): void {
	const run = (command: string, ...args: string[]) =>
		spawnSync(command, args, {
			stdio: ['ignore', 'inherit', 'inherit'],
			env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
			timeout: 10 * 60_000
		}).status === 0;
	console.log('Getting a Chromium for the browser tests …');
	if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
		// With the libraries and a font, in one step.
		const packages = ['chromium', 'fonts-dejavu-core'];
		run('apt-get', 'update', '-q');
		if (run('apt-get', 'install', '-y', '-q', '--no-install-recommends', ...packages) && installed()) return;
	}
	const cli = path.join(path.dirname(createRequire(import.meta.url).resolve('playwright-core')), 'cli.js');
	run(process.execPath, cli, 'install', 'chromium');
}

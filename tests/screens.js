/**
 * `npm run screens`: the pictures of the documentation. Runs the demo for a while, and takes the main states of the
 * page, light and dark, into docs/screens.
 */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from '@playwright/test';
import { runnerImport } from 'vite';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, 'docs', 'screens');
/** How long the shop works before the first picture, so that the chart has a shape. */
const WORK_MS = Number(process.env.SCREENS_AFTER_MS ?? 240_000);

const WIDE = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

/** @typedef {import('@playwright/test').Page} Page */
/** @type {{ name: string, size?: typeof WIDE, dark?: boolean, act?: (page: Page) => Promise<unknown> }[]} */
const STATES = [
	{ name: 'live' },
	{ name: 'live-dark', dark: true },
	{ name: 'paused', act: (page) => page.keyboard.press(' ') },
	{ name: 'detail', act: openUpdate },
	{ name: 'detail-dark', dark: true, act: openUpdate },
	{
		name: 'replay',
		async act(page) {
			await page.keyboard.press('r');
			await page.getByRole('button', { name: '20×' }).click();
			await delay(4000);
		}
	},
	{
		name: 'empty',
		async act(page) {
			await page.goto(`${new URL(page.url()).origin}/?q=price%3E1000000`);
			await delay(2000);
		}
	},
	{ name: 'wall', dark: true, act: (page) => page.keyboard.press('w') },
	{ name: 'phone', size: PHONE },
	{ name: 'phone-dark', size: PHONE, dark: true, act: openUpdate }
];

/** @param {Page} page */
async function openUpdate(page) {
	await page.keyboard.press(' ');
	const row = page.locator('article.change').filter({ hasText: 'update' }).first();
	await row.click();
}

/** @type {{ module: { findBrowser(): string } }} */
const { module } = await runnerImport(path.join(root, 'tests', 'support', 'browser.ts'), {
	logLevel: 'error'
});
const server = spawn(process.execPath, ['bin/rowcast.js'], {
	cwd: root,
	env: { ...process.env, PORT: '0' },
	stdio: ['ignore', 'pipe', 'inherit']
});
const browser = await chromium.launch({ executablePath: module.findBrowser(), args: ['--no-sandbox'] });
try {
	const url = await address();
	await mkdir(folder, { recursive: true });
	await delay(WORK_MS);
	for (const state of STATES) await take(url, state);
	const page = await showing(url, {});
	server.kill();
	await picture('disconnected', page, () => delay(3000));
} finally {
	await browser.close();
	server.kill();
}

/** @returns {Promise<string>} */
async function address() {
	for await (const chunk of server.stdout) {
		const [url] = /http:\/\/\S+/.exec(String(chunk)) ?? [];
		if (url) return url;
	}
	throw new Error('The server did not start.');
}

/** @param {string} url @param {typeof STATES[number]} state */
async function take(url, { name, act, ...look }) {
	const page = await showing(url, look);
	await picture(name, page, async () => act?.(page));
}

/** @param {string} url @param {{ size?: typeof WIDE, dark?: boolean }} look */
async function showing(url, { size = WIDE, dark = false }) {
	const page = await browser.newPage({
		viewport: size,
		colorScheme: dark ? 'dark' : 'light',
		locale: 'en-GB'
	});
	await page.goto(url);
	await page.locator('[data-ready]').waitFor();
	await delay(2500);
	return page;
}

/** @param {string} name @param {Page} page @param {() => Promise<unknown>} act */
async function picture(name, page, act) {
	await act();
	await delay(1000);
	await page.screenshot({ path: path.join(folder, `${name}.png`) });
	console.log(`docs/screens/${name}.png`);
	await page.close();
}

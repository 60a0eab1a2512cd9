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
/** @type {{ name: string, size?: typeof WIDE, act?: (page: Page) => Promise<unknown> }[]} */
const STATES = [
	{ name: 'live' },
	{ name: 'paused', act: pause },
	{ name: 'detail', act: openUpdate },
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
	{ name: 'wall', act: (page) => page.keyboard.press('w') },
	{ name: 'phone', size: PHONE },
	{ name: 'phone-detail', size: PHONE, act: openUpdate }
];
const LIGHTS = /** @type {const} */ (['light', 'dark']);

/** @param {Page} page */
async function pause(page) {
	await page.keyboard.press(' ');
	// Something comes to wait.
	await delay(3000);
}

/** @param {Page} page */
async function openUpdate(page) {
	await page.keyboard.press(' ');
	const row = page.locator('article.change').filter({ hasText: 'update' }).first();
	// At its right, where none of its values is.
	const { width } = /** @type {{ width: number }} */ (await row.boundingBox());
	await row.click({ position: { x: width - 16, y: 12 } });
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
	for (const state of STATES) for (const light of LIGHTS) await take(url, state, light);
	const open = await Promise.all(LIGHTS.map(async (light) => ({ light, page: await showing(url, light) })));
	server.kill();
	await delay(3000);
	for (const { light, page } of open) await picture('disconnected', light, page);
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

/** @param {string} url @param {typeof STATES[number]} state @param {typeof LIGHTS[number]} light */
async function take(url, { name, size, act }, light) {
	const page = await showing(url, light, size);
	await act?.(page);
	await picture(name, light, page);
}

/** @param {string} url @param {typeof LIGHTS[number]} light */
async function showing(url, light, size = WIDE) {
	const page = await browser.newPage({ viewport: size, colorScheme: light, locale: 'en-GB' });
	await page.goto(url);
	await page.locator('[data-ready]').waitFor();
	await delay(2500);
	return page;
}

/** @param {string} name @param {typeof LIGHTS[number]} light @param {Page} page */
async function picture(name, light, page) {
	await delay(1000);
	const file = light === 'dark' ? `${name}-dark.png` : `${name}.png`;
	await page.screenshot({ path: path.join(folder, file) });
	console.log(`docs/screens/${file}`);
	await page.close();
}

/** What a person sees of the page, by name. */
import type { Locator, Page } from '@playwright/test';
import pg from 'pg';
import { expect, test as base } from './e2e.ts';
import { startRowcast } from './rowcast.ts';

export { expect };

interface Fixtures {
	/** Takes the database away, until the page says so. */
	away: () => Promise<void>;
	/** Gives it back, with a connection to it. */
	back: () => Promise<pg.Client>;
	/** Takes the server away until the page has missed it for 4 seconds, and has `meanwhile` happen; `env`: of the next. */
	absence: (meanwhile: () => Promise<unknown>, env?: Record<string, string>) => Promise<void>;
}

/** A small bookshop, there before Rowcast is. */
export const test = base.extend<Fixtures>({
	database: async ({ database }, use) => {
		const client = new pg.Client({ connectionString: database.url });
		await client.connect();
		await client.query(`
			create table "User" (id int primary key, name text);
			create table "Book" (id int primary key, title text, price numeric(8,2), big bigint,
				"authorId" int references "User");
			create index on "Book" ("authorId");
			create table "<b onclick=alert(1)>" (id text primary key, "__proto__" text);
			insert into "User" values (1, 'Jane'), (2, 'Mary')`);
		await client.end();
		await use(database);
	},
	away: ({ database, cluster, page }, use) =>
		use(async () => {
			await admit(cluster.connectionString, database.name, false);
			await expect(page.locator('header')).toContainText('Database away', { timeout: 20_000 });
		}),
	back: async ({ database, cluster }, use) => {
		const clients: pg.Client[] = [];
		await use(async () => {
			await admit(cluster.connectionString, database.name, true);
			const client = new pg.Client({ connectionString: database.url });
			// It may be taken away again.
			client.on('error', () => {});
			await client.connect();
			clients.push(client);
			return client;
		});
		for (const client of clients) await client.end().catch(() => {});
	},
	absence: async ({ database, rowcast, page }, use) => {
		const header = page.locator('header');
		let server = rowcast;
		await use(async (meanwhile, env = {}) => {
			const PORT = new URL(server.url).port;
			await server.stop();
			await meanwhile();
			await expect(header).toContainText(/Server away for [4-9]\D/, { timeout: 20_000 });
			server = await startRowcast({
				env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all', PORT, ...env }
			});
			await expect(header).not.toContainText('away', { timeout: 20_000 });
		});
		await server.stop();
	}
});

/** Has a database let in everybody, or nobody, those who are in it included. */
async function admit(cluster: string, name: string, everybody: boolean): Promise<void> {
	const elsewhere = new pg.Client({ connectionString: cluster });
	await elsewhere.connect();
	await elsewhere.query(`alter database ${name} allow_connections ${everybody}`);
	if (!everybody)
		await elsewhere.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
			name
		]);
	await elsewhere.end();
}

export const feed = (page: Page) => page.getByRole('feed');
export const lines = (page: Page) => feed(page).getByRole('article');
/** Opens or unfolds a line: by a click at its right, where none of its values is. */
export async function openLine(line: Locator): Promise<void> {
	const { width } = (await line.boundingBox())!;
	await line.click({ position: { x: width - 16, y: 12 } });
}
export const table = (page: Page, name: string) => page.locator(`nav [data-table="${name}"]`);
/** Opens a replay of what is shown, standing still; gives its bar. */
export async function replay(page: Page): Promise<Locator> {
	await page.keyboard.press('r');
	const bar = page.getByRole('region', { name: 'Replay' });
	await bar.getByRole('button', { name: 'Pause replay' }).click();
	return bar;
}
/** The open change. */
export const detailOf = (page: Page) => page.getByRole('complementary', { name: 'Detail of a change' });
export const counter = (page: Page, name: string, op: string) =>
	table(page, name).locator(`[data-count="${op}"]`);

/** Whether the chart shows a bar in the colour of an operation. */
export const hasBar = (page: Page, op: string) =>
	page.locator('canvas').evaluate((element, name) => {
		const canvas = element as HTMLCanvasElement;
		canvas.style.color = `var(--${name})`;
		const [r, g, b] = getComputedStyle(canvas).color.match(/\d+/g)!.map(Number);
		const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
		for (let i = 0; i < data.length; i += 4)
			if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) return true;
		return false;
	}, op);

/** Opens the page and waits until it follows the database; gives a list that fills with errors of the page. */
export async function open(page: Page, address = '/'): Promise<string[]> {
	const problems: string[] = [];
	page.on('pageerror', (error) => problems.push(error.message));
	page.on('console', (message) => {
		if (message.type() === 'error' && /Content Security Policy/.test(message.text()))
			problems.push(message.text());
	});
	await page.goto(address);
	await expect(page.locator('[data-ready]')).toBeVisible();
	return problems;
}

export async function insertBooks(db: pg.Client, from: number, to: number): Promise<void> {
	for (let id = from; id <= to; id++)
		await db.query(`insert into "Book" values ($1, $2, 9.50, 9007199254740993, 1)`, [
			id,
			`Book number ${id}`
		]);
}

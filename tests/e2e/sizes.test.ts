/** What a wall, a narrow window, other scripts, the keyboard and the system's colours make of the page. */
import AxeBuilder from '@axe-core/playwright';
import type { Locator } from '@playwright/test';
import pg from 'pg';
import { counter, expect, insertBooks, lines, open, openLine, table, test as base } from '../support/page.ts';

const test = base.extend({
	database: async ({ database }, use) => {
		const client = new pg.Client({ connectionString: database.url });
		await client.connect();
		await client.query(`
			create table "Review" (id int primary key, "bookId" int references "Book" on delete cascade);
			create table "جدول" (id text primary key, "نص" text)`);
		await client.end();
		await use(database);
	}
});

test('rows that a foreign key deleted stand under their cause', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 2);
	await db.query(`insert into "Review" values (1, 1), (2, 1), (3, 1), (4, 2)`);
	await open(page);
	await db.query(`delete from "Book"`);
	const card = lines(page).first();
	await expect(card).toContainText('6 rows');
	await openLine(card);
	await expect(lines(page).nth(2)).toContainText(/delete\s*Review ×3\s*via bookId/);
	await expect(lines(page).nth(4)).toContainText(/delete\s*Review 4/);
	await openLine(lines(page).nth(2));
	await expect(lines(page).nth(5)).toContainText(/delete\s*Review 3/);
});

for (const [name, viewport] of [
	['a wall', { width: 1440, height: 900 }],
	['a phone', { width: 390, height: 844 }]
] as const)
	test.describe(name, () => {
		test.use({ viewport });
		test(`the wall screen on ${name} tells what it is of, and when that is away`, async ({
			page,
			rowcast,
			db
		}) => {
			await open(page);
			await insertBooks(db, 1, 3);
			await db.query(`update "User" set name = 'x'`);
			await expect(counter(page, 'User', 'UPDATE')).toHaveText('2');
			await page.keyboard.press('w');
			await expect(page.locator('header')).toContainText(/shop_\d+ @/);
			await expect(page.locator('nav [data-table]').first()).toHaveAttribute('data-table', 'Book');
			for (const part of ['canvas', 'nav [data-table="User"]', 'header .lamps', 'header .delay']) {
				const box = (await page.locator(part).boundingBox())!;
				expect(box.x).toBeGreaterThanOrEqual(0);
				expect(box.x + box.width).toBeLessThanOrEqual(viewport.width);
				expect(box.y + box.height).toBeLessThanOrEqual(viewport.height);
			}
			const { violations } = await new AxeBuilder({ page }).analyze();
			expect(violations.map(({ id }) => id)).toEqual([]);
			await page.keyboard.press('r');
			const banner = page.locator('.replay .banner');
			await expect(banner).toBeInViewport({ ratio: 1 });
			await expect(banner).toContainText('Replay');
			await expect(page.getByRole('slider', { name: 'Playhead' })).toBeHidden();
			await page.keyboard.press('.');
			await rowcast.stop('SIGKILL');
			await expect(page.getByText(/Server away for/)).toBeVisible();
		});
	});

test('a table says its share and its last change, or since when there was none, and goes on while the server is away', async ({
	page,
	rowcast,
	db
}) => {
	await open(page);
	await insertBooks(db, 1, 3);
	await db.query(`update "User" set name = 'x' where id = 1`);
	await expect(table(page, 'Book')).toContainText('75%');
	await expect(table(page, 'User')).toContainText('25%');
	await expect(table(page, 'Book')).toContainText(/now|\d s ago/);
	await expect(table(page, 'Review')).toContainText('no change in 5 min');
	await expect(table(page, 'Book').locator('time')).toHaveAttribute('title', /\d{4} at .*T.*Z/);
	await rowcast.stop('SIGKILL');
	await expect(page.locator('.stance')).toHaveText('Server away');
	const ago = async () => parseInt(await table(page, 'Book').locator('time').innerText()) || 0;
	const before = await ago();
	await expect.poll(ago).toBeGreaterThan(before + 1);
	await expect(table(page, 'Book').locator('.rate')).toHaveText('–/s');
});

test.describe('a narrow window', () => {
	test.use({ viewport: { width: 720, height: 500 } });
	test('cuts no figure and wraps no label', async ({ page, rowcast, db }) => {
		void rowcast;
		await open(page);
		await db.query(`insert into "Book" select n, 'n', 1, 1, 1 from generate_series(1, 1500) n`);
		await db.query(`update "Book" set price = 2`);
		await db.query(`delete from "Book"`);
		await expect(counter(page, 'Book', 'DELETE')).toHaveText('1,500');
		const row = (await table(page, 'Book').boundingBox())!;
		const figure = (await counter(page, 'Book', 'DELETE').boundingBox())!;
		expect(figure.x + figure.width).toBeLessThan(row.x + row.width);
		await expect(page.locator('header .status')).toBeHidden();
		expect((await page.locator('nav .bar').boundingBox())!.height).toBeLessThan(32);
	});
});

for (const viewport of [
	{ width: 640, height: 400 },
	{ width: 844, height: 390 },
	{ width: 320, height: 640 }
])
	test.describe(`${viewport.width} by ${viewport.height}`, () => {
		test.use({ viewport });
		test(`a replay leaves room for some lines and cuts nothing: ${viewport.width} by ${viewport.height}`, async ({
			page,
			rowcast
		}) => {
			void rowcast;
			const [from, to] = [Date.now() - 60_000, Date.now()].map((at) => new Date(at).toISOString());
			await page.goto(`/?from=${from}&to=${to}`);
			const box = async (part: string) => (await page.locator(part).boundingBox())!;
			await expect(page.locator('.replay')).toBeVisible();
			const [changes, replay] = [await box('#changes'), await box('.replay')];
			expect(changes.height).toBeGreaterThan(150);
			expect(changes.y + changes.height).toBeLessThanOrEqual(replay.y);
			await page.getByRole('button', { name: 'Back to live' }).scrollIntoViewIfNeeded();
			await expect(page.getByRole('button', { name: 'Back to live' })).toBeInViewport({ ratio: 1 });
			expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(viewport.width);
			const theme = page.getByRole('button', { name: /^Theme/ });
			expect((await theme.boundingBox())!.y).toBeLessThan((await box('header h1')).y + 10);
		});
	});

test('names and values of a script that runs the other way keep their places', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await db.query(`insert into "جدول" values ('مفتاح', 'قيمة')`);
	const line = lines(page).first();
	const x = async (part: string) => (await line.locator(part).boundingBox())!.x;
	await expect(line).toContainText('قيمة');
	expect(await x('.table')).toBeLessThan(await x('.key'));
	expect(await x('.name')).toBeLessThan(await x('.column .mono:last-child'));
});

test.describe('the colours of the system', () => {
	test('mark the chosen table alone, and the chosen line', async ({ page, rowcast, db }) => {
		void rowcast;
		await insertBooks(db, 1, 2);
		await page.emulateMedia({ forcedColors: 'active' });
		await open(page);
		await table(page, 'Book').click();
		const bar = (name: string) => table(page, name).evaluate((row) => getComputedStyle(row).borderLeftWidth);
		await expect.poll(() => bar('Book')).toBe('3px');
		expect(await bar('User')).toBe('0px');
		await openLine(lines(page).first());
		await page.getByRole('button', { name: 'Close detail' }).click();
		const frame = (line: Locator) => line.evaluate((element) => getComputedStyle(element).outlineStyle);
		expect(await frame(lines(page).first())).toBe('solid');
		expect(await frame(lines(page).nth(1))).toBe('none');
	});

	test('tell a replay, its playhead, and what is to come', async ({ page, rowcast, db }) => {
		void rowcast;
		await insertBooks(db, 1, 9);
		await page.emulateMedia({ forcedColors: 'active' });
		await open(page);
		await expect(counter(page, 'Book', 'INSERT')).toHaveText('9');
		const now = Date.now();
		const [from, to] = [now - 60_000, now + 1000].map((at) => new Date(at).toISOString());
		const drawn = () =>
			page.locator('canvas').evaluate((element) => {
				const { width, height } = element as HTMLCanvasElement;
				const { data } = (element as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height);
				return data.reduce((sum, value, i) => sum + Number(i % 4 === 3 && value === 255), 0);
			});
		await open(page, `/?from=${from}&to=${to}&at=${to}`);
		await expect(counter(page, 'Book', 'INSERT')).toHaveText('9');
		const passed = await drawn();
		await open(page, `/?from=${from}&to=${to}&at=${from}`);
		await expect(counter(page, 'Book', 'INSERT')).toHaveText('0');
		await expect.poll(drawn).toBeGreaterThan(0);
		expect(await drawn()).toBeLessThan(passed - 200);
		const colour = (part: string, of: 'color' | 'backgroundColor') =>
			page.locator(part).evaluate((element, of) => getComputedStyle(element)[of], of);
		const [ink, paper] = [await colour('body', 'color'), await colour('body', 'backgroundColor')];
		expect(await colour('.replay .banner', 'backgroundColor')).toBe(ink);
		expect([ink, paper]).not.toContain(await colour('.playhead', 'backgroundColor'));
	});
});

test('the keyboard skips to the changes, and each has a name', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await db.query(`update "Book" set price = 10.00 where id = 1`);
	await expect(page.getByRole('article', { name: /update Book 1 price 9\.50 to 10\.00/ })).toBeVisible();
	await page.keyboard.press('Tab');
	await expect(page.getByRole('link', { name: 'Skip to the changes' })).toBeFocused();
	await page.keyboard.press('Enter');
	await page.keyboard.press('Tab');
	await expect(lines(page).first()).toBeFocused();
});

test.describe('on a phone', () => {
	test.use({ viewport: { width: 390, height: 844 } });
	test('a row’s detail leads to the rows beside it', async ({ page, rowcast, db }) => {
		void rowcast;
		await insertBooks(db, 1, 2);
		await open(page);
		await openLine(lines(page).first());
		const heading = page.getByRole('complementary').getByRole('heading').first();
		await page.getByRole('button', { name: 'Next row' }).click();
		await expect(heading).toContainText('Book 1');
		await page.getByRole('button', { name: 'Previous row' }).click();
		await expect(heading).toContainText('Book 2');
	});
});

test('on the wall, no key acts on the feed that nobody sees', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	await page.keyboard.press('w');
	await expect(page.locator('main.wall')).toBeVisible();
	for (const key of ['j', 'x', 'j', 'Enter', '/']) await page.keyboard.press(key);
	await page.keyboard.press('Escape');
	await expect(page.locator('main.wall')).toHaveCount(0);
	await expect(page.locator('.stance')).toHaveText('Live');
	await expect(page.locator('[data-selected], .picked, .detail')).toHaveCount(0);
});

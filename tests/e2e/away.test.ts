/** What is asked for while the database is away is told as not there, and is there once it is back. */
import type { Page } from '@playwright/test';
import type pg from 'pg';
import { counter, expect, insertBooks, lines, open, table, test } from '../support/page.ts';

const header = (page: Page) => page.locator('header');
const changes = (page: Page) => page.getByRole('region', { name: 'Changes' });

for (const [what, choose] of [
	['a filter', (page: Page) => filter(page, 'price>5000')],
	['a table', (page: Page) => table(page, 'User').click()]
] as const)
	test(`${what} that is chosen meanwhile leaves no line of the view before`, async ({
		page,
		rowcast,
		db,
		away,
		back
	}) => {
		void rowcast;
		await open(page);
		await leave(page, db, away);
		await choose(page);
		await expect(changes(page)).toContainText('The database is away: what is shown is of the view before');
		await back();
		await expect(header(page)).toContainText('Following', { timeout: 30_000 });
		await expect(changes(page)).not.toContainText('of the view before', { timeout: 20_000 });
		await expect(lines(page).filter({ hasText: 'Book' })).toHaveCount(0);
	});

test('another span, or a replay that is left, goes on where the feed was', async ({
	page,
	rowcast,
	db,
	away,
	back
}) => {
	void rowcast;
	const problems = await open(page);
	await leave(page, db, away);
	await page.keyboard.press(']');
	await page.keyboard.press('r');
	await page.keyboard.press('Escape');
	const again = await back();
	await insertBooks(again, 11, 13);
	await expect(lines(page).filter({ hasText: 'insert' })).toHaveCount(6, { timeout: 30_000 });
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('6');
	await insertBooks(again, 14, 14);
	await expect(lines(page).first()).toContainText('Book 14');
	expect(problems).toEqual([]);
});

test('of a page that was opened meanwhile, what was before stands below what was said since', async ({
	page,
	rowcast,
	db,
	away,
	back
}) => {
	void rowcast;
	await open(page);
	await leave(page, db, away);
	await page.reload();
	await expect(header(page)).toContainText('Database away', { timeout: 20_000 });
	await back();
	await expect(lines(page).filter({ hasText: 'insert' })).toHaveCount(3, { timeout: 30_000 });
	await expect(lines(page).last()).toContainText('Book 1');
});

test('a replay tells that it shows where it stood, and goes on by itself', async ({
	page,
	rowcast,
	db,
	away,
	back
}) => {
	void rowcast;
	const problems = await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	await page.keyboard.press('r');
	await page.getByRole('button', { name: 'Pause replay' }).click();
	const moment = page.getByRole('slider', { name: 'Playhead' });
	await moment.press('End');
	await expect(lines(page)).toHaveCount(3);
	await away();
	const stuck = page.getByText('The database is away: the changes shown are of where the replay stood');
	await page.keyboard.press('p');
	const books = lines(page).filter({ hasText: 'Book number' });
	await expect(stuck).toBeVisible();
	await expect(books).toHaveCount(3);
	await back();
	await expect(books).toHaveCount(2, { timeout: 30_000 });
	await expect(stuck).toHaveCount(0);
	await moment.press('Home');
	await expect(books).toHaveCount(0);
	await away();
	await moment.press('End');
	await expect(stuck).toBeVisible();
	await back();
	await expect(books).toHaveCount(3, { timeout: 30_000 });
	await expect(stuck).toHaveCount(0);
	await moment.press('Home');
	await expect(books).toHaveCount(0);
	await away();
	await page.getByRole('button', { name: '60×' }).click();
	await page.getByRole('button', { name: 'Play', exact: true }).click();
	await expect(stuck).toBeVisible();
	await back();
	await expect(books).toHaveCount(3, { timeout: 30_000 });
	await expect(stuck).toHaveCount(0);
	expect(problems).toEqual([]);
});

/** Three books, and the database is away. */
async function leave(page: Page, db: pg.Client, away: () => Promise<void>) {
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	await away();
}

async function filter(page: Page, text: string) {
	const field = page.getByRole('combobox', { name: 'Filter changes' });
	await field.fill(text);
	await field.press('Enter');
}

/** Replay step by step and at speed: what the feed shows and what the counters count are of one moment. */
import type { Page } from '@playwright/test';
import type pg from 'pg';
import { counter, expect, insertBooks, lines, open, openLine, replay, test } from '../support/page.ts';

/** Single updates over some ticks of a log that nobody watches; gives its address. */
async function updatesOverTicks(db: pg.Client): Promise<string> {
	await insertBooks(db, 1, 20);
	const from = new Date();
	for (let id = 1; id <= 20; id++) {
		await db.query(`update "Book" set ${id % 4 ? 'price = 1' : `title = 'B'`} where id = $1`, [id]);
		await new Promise((resolve) => setTimeout(resolve, 200));
	}
	await new Promise((resolve) => setTimeout(resolve, 1500));
	return `/?from=${from.toISOString()}&to=${new Date().toISOString()}`;
}

async function expectAgreement(page: Page, shown: number) {
	await expect(lines(page)).toHaveCount(shown);
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText(String(shown));
}

for (const condition of ['', '&q=changed:price'])
	test(`counters agree with each step forth and back, over ticks: ${condition || 'all'}`, async ({
		page,
		rowcast,
		db
	}) => {
		void rowcast;
		const address = await updatesOverTicks(db);
		await open(page, `${address}&op=update${condition}`);
		await expectAgreement(page, 0);
		let shown = 0;
		for (const [key, times] of [
			['n', 9],
			['p', 4],
			['n', 2],
			['Shift+P', 3],
			['Shift+N', 5]
		] as const)
			for (let i = 0; i < times; i++) {
				await page.keyboard.press(key);
				shown += /n$/i.test(key) ? 1 : -1;
				await expectAgreement(page, shown);
			}
	});

test('a fast replay that is paused counts what it shows', async ({ page, rowcast, db }) => {
	void rowcast;
	// All of the 20 are in sight.
	await page.setViewportSize({ width: 1440, height: 1100 });
	await open(page, `${await updatesOverTicks(db)}&op=update`);
	const bar = page.getByRole('region', { name: 'Replay' });
	await bar.getByRole('button', { name: '20×' }).click();
	for (let round = 0; round < 4; round++) {
		await bar.getByRole('button', { name: 'To the start' }).click();
		await expectAgreement(page, 0);
		await page.locator('.replay .play').click();
		await page.waitForTimeout(60 + 30 * round);
		await page.locator('.replay .play').click();
		await page.waitForTimeout(500);
		await expectAgreement(page, await lines(page).count());
	}
});

test('a transaction of several pages replays as one card, and what follows it comes', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	const problems = await open(page);
	await db.query(`insert into "Book" select i, 'B', 1, 1, 1 from generate_series(1, 3000) i`);
	await expect(lines(page).first()).toContainText('Book ×3,000');
	await db.query(`delete from "Book" where id = 1`);
	await expect(lines(page)).toHaveCount(2);
	await page.keyboard.press('r');
	await expect(lines(page)).toHaveCount(2, { timeout: 15_000 });
	await expect(lines(page).nth(0)).toContainText('Book 1');
	await expect(lines(page).nth(1)).toContainText('Book ×3,000');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3,000');
	await openLine(lines(page).nth(1));
	await expect(lines(page).nth(2)).toContainText('before these are not shown');
	expect(problems).toEqual([]);
});

test('a step goes over a whole transaction, however many pages it has', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 9001, 9002);
	await db.query(`insert into "Book" select i, 'B', 1, 1, 1 from generate_series(1, 1800) i`);
	await insertBooks(db, 9003, 9003);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('1,803');
	const bar = await replay(page);
	await bar.getByRole('slider', { name: 'Playhead' }).press('End');
	const inserts = counter(page, 'Book', 'INSERT');
	await expect(inserts).toHaveText('1,803');
	await expect(lines(page).first()).toContainText('Book 9003');
	for (const [key, count, newest] of [
		['Shift+P', '1,802', 'Book ×'],
		['Shift+P', '2', 'Book 9002'],
		['Shift+P', '1', 'Book 9001'],
		['Shift+N', '2', 'Book 9002'],
		['Shift+N', '1,802', 'Book ×1,800'],
		['Shift+N', '1,803', 'Book 9003']
	] as const) {
		await page.keyboard.press(key);
		await expect(inserts).toHaveText(count);
		await expect(lines(page).first()).toContainText(newest);
	}
});

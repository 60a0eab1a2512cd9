/** What was written while the server was away is there when it is back, all of it, or the page says that it is not. */
import type pg from 'pg';
import { expect, insertBooks, lines, open, test } from '../support/page.ts';

const batch = (db: pg.Client, from: number, to: number) =>
	db.query(`insert into "Book" select n, 'batch', 1, 1, null from generate_series($1::int, $2::int) n`, [
		from,
		to
	]);

test('more rows than a page of history are all there, and a batch is told whole', async ({
	page,
	db,
	absence
}) => {
	await insertBooks(db, 1, 5);
	await open(page);
	await expect(lines(page)).toHaveCount(5);
	await absence(async () => {
		await insertBooks(db, 6, 405);
		await batch(db, 1001, 2000);
	});
	await expect(lines(page).first()).toContainText('Book ×1,000');
	await expect(lines(page).first()).toContainText('one transaction');
	await page.keyboard.press('j');
	// With the note that tells of the absence.
	await expect(lines(page).first()).toHaveAttribute('aria-setsize', '407');
	await page.keyboard.press('End');
	await expect(lines(page).last()).toContainText('Book 1');
});

for (const [stance, key, pill] of [
	['reading', 'j', '7 new · 3 match'],
	['paused', 'Space', '7 waiting · 3 match']
] as const)
	test(`who is ${stance} is told how many are waiting`, async ({ page, db, absence }) => {
		await insertBooks(db, 1, 2);
		await open(page, '/?q=price>5');
		await expect(lines(page)).toHaveCount(2);
		await page.keyboard.press(key);
		await absence(async () => {
			await insertBooks(db, 3, 5);
			await batch(db, 11, 14);
		});
		await expect(page.locator('.pill')).toContainText(pill);
		await expect(lines(page)).toHaveCount(2);
		await page.keyboard.press('.');
		await expect(lines(page).filter({ hasText: 'Book number' })).toHaveCount(5);
	});

test('of more than it would read, it shows the newest, and does not claim that these are all', async ({
	page,
	db,
	absence
}) => {
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	await page.keyboard.press('Space');
	await absence(async () => {
		await batch(db, 1001, 7500);
		await insertBooks(db, 4, 4);
	});
	await expect(page.locator('.pill')).toContainText('6,501 waiting');
	await expect(lines(page)).toHaveCount(3);
	await page.keyboard.press('Space');
	await expect(lines(page).first()).toContainText('Book 4');
	// Not as whole before it is.
	await expect(lines(page).nth(1)).toContainText(/there may be more of it|Book ×6,500/);
});

test('what was pruned meanwhile is told as missing', async ({ page, db, absence }) => {
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	await absence(async () => {
		await batch(db, 1001, 3000);
		// As another server would meanwhile.
		await expect(async () => {
			await db.query('select rowcast.advance()');
			await db.query('select rowcast.rotate()');
			expect((await db.query('select rowcast.prune() as done')).rows[0].done).toBe(true);
		}).toPass();
	});
	await insertBooks(db, 4, 4);
	await expect(lines(page).first()).toContainText('Book 4');
	await expect(lines(page).filter({ hasText: 'are no longer kept: some are missing' })).toHaveCount(1);
	await expect(lines(page).last()).toContainText('Book 1');
});

/** What was before the page was opened: it is reached, whole, and nothing is said of it that is not so. */
import type pg from 'pg';
import { expect, insertBooks, lines, open, openLine, test } from '../support/page.ts';

const batch = (db: pg.Client, from: number, to: number) =>
	db.query(`insert into "Book" select n, 'n ' || n, 1, 1, null from generate_series($1::int, $2::int) n`, [
		from,
		to
	]);

test('history goes on below a transaction that a page of it splits, and the feed goes on above', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	// The 21st line is in sight.
	await page.setViewportSize({ width: 1440, height: 1100 });
	await insertBooks(db, 1, 40);
	await batch(db, 1001, 1300);
	await insertBooks(db, 41, 60);
	const problems = await open(page);
	await expect(lines(page).nth(20)).toContainText(/×(180\+|300)/);
	await lines(page).nth(3).hover();
	for (let i = 0; i < 8; i++) {
		await page.mouse.wheel(0, 400);
		await page.waitForTimeout(50);
	}
	await expect(lines(page).last()).toContainText('Book 1');
	await page.keyboard.press('.');
	await insertBooks(db, 61, 61);
	await expect(lines(page).first()).toContainText('Book 61');
	expect(problems).toEqual([]);
});

test('a batch that is more than a page of history does not claim to be whole until it is', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 1);
	await batch(db, 1001, 3500);
	const card = lines(page).first();
	// Once the server has read it: it is history to the page.
	await expect(async () => {
		await open(page);
		await expect(card).toContainText(/Book ×[\d,]+\+/, { timeout: 2000 });
	}).toPass();
	await expect(card).toContainText('there may be more of it');
	await openLine(card);
	const offer = lines(page).filter({ hasText: 'before these' });
	await expect(async () => {
		if ((await offer.count()) > 0) await offer.click({ timeout: 1000 });
		await expect(card).toContainText('Book ×2,500', { timeout: 1000 });
	}).toPass();
	await expect(card).toContainText('one transaction');
});

test.describe('a tall window', () => {
	test.use({ viewport: { width: 1440, height: 1400 } });
	test('is filled with what was before', async ({ page, rowcast, db }) => {
		void rowcast;
		await insertBooks(db, 1, 25);
		await batch(db, 1001, 1250);
		await insertBooks(db, 26, 30);
		await open(page);
		await expect(lines(page)).toHaveCount(31);
	});
});

test('what one reads keeps its place while older rows of its transaction come in above it', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await batch(db, 1001, 4000);
	// Once the server has read it: it is history to the page.
	await expect(async () => {
		await open(page);
		await expect(lines(page).first()).toContainText(/×1,[\d]+\+/, { timeout: 2000 });
	}).toPass();
	await openLine(lines(page).first());
	await expect(lines(page).nth(1)).toContainText('before these');
	const last = lines(page).filter({ hasText: 'Book 3996' });
	await page.locator('[data-ready]').evaluate((scroller) => scroller.scrollTo(0, scroller.scrollHeight));
	await expect(last).toBeVisible();
	const place = await last.boundingBox();
	const size = () => page.locator('.lines').evaluate(({ clientHeight }) => clientHeight);
	await expect.poll(size).toBe(3001 * 32);
	expect((await last.boundingBox())?.y).toBe(place?.y);
});

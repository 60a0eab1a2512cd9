/** What was written while the server was away is there when it is back, all of it, or the page says that it is not. */
import type pg from 'pg';
import { detailOf, expect, insertBooks, lines, open, openLine, replay, test } from '../support/page.ts';

const batch = (db: pg.Client, from: number, to: number) =>
	db.query(`insert into "Book" select n, 'batch', 1, 1, null from generate_series($1::int, $2::int) n`, [
		from,
		to
	]);

/** Has the log lose what it holds, as a leader would. */
const prune = (db: pg.Client) =>
	expect(async () => {
		await db.query('select rowcast.advance()');
		await db.query('select rowcast.rotate()');
		expect((await db.query('select rowcast.prune() as done')).rows[0].done).toBe(true);
	}).toPass();

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
		await prune(db);
	});
	await insertBooks(db, 4, 4);
	await expect(lines(page).first()).toContainText('Book 4');
	await expect(lines(page).filter({ hasText: 'are no longer kept: some are missing' })).toHaveCount(1);
	await expect(lines(page).last()).toContainText('Book 1');
});

test('another log under a replay is told, and nothing of the former stays', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	const bar = await replay(page);
	await bar.getByRole('slider').press('End');
	const books = lines(page).filter({ hasText: 'Book number' });
	await expect(books).toHaveCount(3);
	await page.getByRole('button', { name: 'Open Book as it was' }).click();
	const then = page.locator('.then');
	await expect(then).toContainText('3 rows that the log knows');
	await db.query('select rowcast.uninstall()');
	await expect(then).not.toContainText('3 rows that the log knows', { timeout: 30_000 });
	await page.keyboard.press('Escape');
	await expect(lines(page).filter({ hasText: 'Another log' })).toHaveCount(1, { timeout: 30_000 });
	await expect(books).toHaveCount(0);
});

test('of what the log no longer holds, an undo does not say that it is as it was', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(1);
	await openLine(lines(page).first());
	await db.query('update "Book" set price = 2 where id = 1');
	await expect(page.locator('.pill')).toContainText('1 new');
	await prune(db);
	const detail = detailOf(page);
	await detail.getByRole('button', { name: 'SQL undo', exact: true }).click();
	await expect(page.getByRole('dialog')).toContainText('1 row could not be compared');
	await expect(page.getByRole('dialog')).not.toContainText('No row has changed');
});

test('a table that is asked for while the server is away is of when it is answered', async ({
	page,
	db,
	absence
}) => {
	await insertBooks(db, 1, 1);
	await open(page, '/?then=public.Book');
	const then = page.locator('.then');
	await expect(then).toContainText('1 row that the log knows');
	await absence(async () => {
		await page.getByRole('button', { name: 'Read again' }).click();
		await insertBooks(db, 2, 2);
	});
	await expect(then).toContainText('2 rows that the log knows');
	const at = await then.locator('time').first().getAttribute('datetime');
	const { rows } = await db.query('select max(at) as at from rowcast.change');
	expect(Date.parse(at!)).toBeGreaterThan(rows[0].at.getTime());
});

test('a replay whose stretch was pruned meanwhile says so', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	const bar = await replay(page);
	await bar.getByRole('slider').press('End');
	await expect(lines(page)).toHaveCount(3);
	await prune(db);
	await bar.getByRole('slider').press('Home');
	await expect(lines(page)).toHaveCount(0);
	await bar.getByRole('slider').press('End');
	await expect(page.getByRole('region', { name: 'Changes' })).toContainText(
		/What happened at this time is not known|Nothing has changed from /
	);
});

/** Clicks in the feed: on a value, a key, a table or an op they narrow the view; anywhere else they open the line. */
import type { Page } from '@playwright/test';
import { expect, insertBooks, lines, open, table, test } from '../support/page.ts';

const detail = (page: Page) => page.getByRole('complementary', { name: 'Detail of a change' });
const field = (page: Page) => page.getByRole('combobox', { name: 'Filter changes' });
const ALT = { modifiers: ['Alt' as const] };

test('a click on a value narrows to it, with Alt to all but it, and beside it opens the line', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	const title = (text: string) => lines(page).getByText(text);
	await expect(title('“Book number 2”')).toHaveAttribute('title', 'Narrow to this; with Alt, leave it out');
	await title('“Book number 2”').click();
	await expect(field(page)).toHaveValue('title:"Book number 2"');
	await expect(lines(page)).toHaveCount(1);
	await expect(detail(page)).toHaveCount(0);
	await page.goBack();
	await expect(lines(page)).toHaveCount(3);
	await title('“Book number 2”').click(ALT);
	await expect(field(page)).toHaveValue('-title:"Book number 2"');
	await expect(lines(page)).toHaveCount(2);
	await lines(page).first().getByText('9007199254740993').click();
	await expect(field(page)).toHaveValue('-title:"Book number 2" big:9007199254740993');
	await expect(lines(page)).toHaveCount(2);
	await lines(page).first().getByText('big', { exact: true }).click();
	await expect(detail(page)).toContainText('Book number 3');
	await expect(field(page)).toHaveValue('-title:"Book number 2" big:9007199254740993');
});

test('of an update, what was and what is narrow each to itself', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 2);
	await db.query(`update "Book" set price = 10.00 where id = 1`);
	await expect(lines(page)).toHaveCount(3);
	await lines(page).first().getByText('10.00').click();
	await expect(field(page)).toHaveValue('price:10.00');
	await expect(lines(page)).toHaveCount(1);
	await lines(page).first().getByText('9.50').click();
	await expect(field(page)).toHaveValue('price:10.00 before.price:9.50');
	await expect(lines(page)).toHaveCount(1);
});

test('a key narrows to its row; a table and an op as their own switches do', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 2);
	await db.query(`update "User" set name = 'Ann' where id = 2`);
	await db.query(`begin; update "Book" set price = 1; insert into "User" values (3, 'Eve'); commit`);
	await expect(lines(page)).toHaveCount(7);
	await lines(page).nth(5).getByText('2', { exact: true }).click();
	await expect(field(page)).toHaveValue('table:Book id:2');
	await expect(lines(page)).toHaveCount(2);
	await page.goBack();
	await expect(lines(page)).toHaveCount(7);
	await lines(page).nth(4).getByText('User', { exact: true }).click();
	await expect(page).toHaveURL(/\?table=public\.User$/);
	await expect(table(page, 'User')).toHaveAttribute('aria-pressed', 'true');
	await expect(lines(page)).toHaveCount(2);
	await lines(page).nth(1).getByText('update').click();
	await expect(page).toHaveURL(/\?table=public\.User&op=update$/);
	await expect(lines(page)).toHaveCount(1);
	await page.goto('/');
	// Of a transaction's line, too.
	await lines(page).first().getByText('Book', { exact: true }).click(ALT);
	await expect(page).toHaveURL(/\?without=public\.Book$/);
	await expect(lines(page)).toHaveCount(2);
	await lines(page).first().getByText('insert').click(ALT);
	await expect(page).toHaveURL(/op=update/);
	await expect(page).not.toHaveURL(/op=insert/);
	await expect(lines(page)).toHaveCount(1);
});

test.describe('a value that the log has not whole', () => {
	test.use({ rowcastEnv: { ROWCAST_REDACT: 'public.Book.price' } });
	test('opens its line; one that the line shortens narrows to the whole of it', async ({
		page,
		rowcast,
		db
	}) => {
		void rowcast;
		const long = `The ${'very '.repeat(30)}long title`;
		await db.query(`create table long (id int primary key, name text, note text)`);
		await open(page);
		await expect(table(page, 'long').locator('[data-count="INSERT"]')).toBeVisible();
		await db.query(
			`insert into long select 1, null, string_agg(md5(n::text), '') from generate_series(1, 9000) n`
		);
		await db.query(`insert into long values (2, $1)`, [long]);
		await insertBooks(db, 1, 1);
		await lines(page).first().getByText('[redacted]').click();
		await expect(detail(page)).toContainText('Book number 1');
		await page.keyboard.press('.');
		await lines(page).nth(2).getByText(/^c4ca/).click();
		await expect(detail(page)).toContainText('only its beginning is kept');
		await page.keyboard.press('.');
		await lines(page)
			.nth(1)
			.getByText(/^“The very/)
			.click();
		await expect(field(page)).toHaveValue(`name:"${long}"`);
		await expect(lines(page)).toHaveCount(1);
	});
});

test('dragging over a value selects its text', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	const { x, y, width, height } = (await lines(page).getByText('“Book number 1”').boundingBox())!;
	await page.mouse.move(x + 4, y + height / 2);
	await page.mouse.down();
	await page.mouse.move(x + width - 4, y + height / 2, { steps: 5 });
	await page.mouse.up();
	expect(await page.evaluate(() => getSelection()!.toString())).toContain('ook number');
	await expect(page).not.toHaveURL(/q=|row=/);
	await expect(detail(page)).toHaveCount(0);
	// The next click is one again.
	await lines(page).first().locator('time').click();
	await expect(detail(page)).toContainText('Book number 1');
});

test.describe('under a finger', () => {
	test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
	test('the whole line opens', async ({ page, rowcast, db }) => {
		void rowcast;
		await open(page);
		await insertBooks(db, 1, 1);
		await lines(page).getByText('“Book number 1”').tap();
		await expect(detail(page)).toContainText('Book number 1');
		await expect(page).not.toHaveURL(/q=/);
	});
});

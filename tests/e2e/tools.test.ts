import { startRowcast } from '../support/rowcast.ts';
import { counter, expect, hasBar, insertBooks, lines, open, openLine, table, test } from '../support/page.ts';

test('the chart draws what happens, as it happens', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await page.waitForTimeout(600);
	expect(await hasBar(page, 'insert')).toBe(false);
	await insertBooks(db, 1, 5);
	await expect.poll(() => hasBar(page, 'insert')).toBe(true);
	expect(await hasBar(page, 'delete')).toBe(false);
	await db.query(`delete from "Book"`);
	await expect.poll(() => hasBar(page, 'delete')).toBe(true);
});

test('a stretch of the chart is chosen by dragging, and by keyboard; Esc returns', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page, '/?span=1m');
	await insertBooks(db, 1, 2);
	await expect.poll(() => hasBar(page, 'insert')).toBe(true);
	const chart = page.getByRole('application');
	const box = (await chart.boundingBox())!;
	await page.mouse.move(box.x + 40, box.y + 40);
	await page.mouse.down();
	await page.mouse.move(box.x + 200, box.y + 40, { steps: 4 });
	await page.mouse.up();
	await expect(page.getByRole('region', { name: 'Replay' })).toBeVisible();
	await expect(page).toHaveURL(/from=.*to=/);
	// Long before the first book.
	await expect(lines(page)).toHaveCount(0);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('0');
	await page.keyboard.press('Escape');
	await expect(lines(page)).toHaveCount(2);
	// The keyboard starts where the pointer is, else at the present.
	await page.mouse.move(5, 5);
	await chart.focus();
	for (let i = 0; i < 20; i++) await page.keyboard.press('Shift+ArrowLeft');
	await page.keyboard.press('Enter');
	await expect(page).toHaveURL(/from=.*to=/);
	await expect(lines(page)).toHaveCount(2);
});

test('a filter is completed as one types, applied with Enter, and pointed at where it is wrong', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await db.query(`update "Book" set price = 20 where id = 2`);
	await expect(lines(page)).toHaveCount(4);
	await page.keyboard.press('/');
	await page.keyboard.type('table:Book pri');
	await expect(page.getByRole('option', { name: /price/ })).toBeVisible();
	await page.keyboard.press('ArrowDown');
	await page.keyboard.press('Enter');
	await page.keyboard.type('>10');
	await page.keyboard.press('Enter');
	await expect(page).toHaveURL(/q=table/);
	await expect(lines(page)).toHaveCount(1);
	await expect(lines(page).first()).toContainText('20.00');
	await insertBooks(db, 4, 4);
	await db.query(`update "Book" set price = 30 where id = 3`);
	await expect(lines(page)).toHaveCount(2);
	await page.keyboard.press('Control+a');
	await page.keyboard.type('price>(');
	await page.keyboard.press('Enter');
	await expect(page.getByRole('alert')).toBeVisible();
	await expect(lines(page)).toHaveCount(2);
	await page.keyboard.press('Escape');
	await expect(page.getByRole('alert')).toHaveCount(0);
});

test('a value in the detail narrows to it; related rows are a click away', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 2);
	await expect(lines(page)).toHaveCount(2);
	await openLine(lines(page).first());
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await detail.getByRole('button', { name: 'Only rows where title has this value' }).click();
	await expect(lines(page)).toHaveCount(1);
	await expect(lines(page).first()).toContainText('Book 2');
	await openLine(lines(page).first());
	await detail.getByRole('tab', { name: 'Related' }).click();
	await detail.getByRole('button', { name: /User/ }).click();
	await expect(page).toHaveURL(/table=public\.User/);
	await db.query(`update "User" set name = name || '!'`);
	await expect(lines(page)).toHaveCount(1);
});

test('every command is found by its name', async ({ page, rowcast }) => {
	void rowcast;
	await open(page);
	await page.keyboard.press('Control+k');
	await page.keyboard.type('only table book');
	await page.keyboard.press('Enter');
	await expect(page).toHaveURL(/table=public\.Book/);
	await page.keyboard.press('Control+k');
	await page.keyboard.type('theme dark');
	await page.keyboard.press('Enter');
	await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
});

test('a server that goes away is shown; what happened meanwhile is there when it is back', async ({
	page,
	rowcast,
	db,
	database
}) => {
	await open(page);
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(1);
	await rowcast.stop('SIGKILL');
	await expect(page.locator('header')).toContainText('Server away');
	await insertBooks(db, 2, 3);
	const again = await startRowcast({
		env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all', PORT: new URL(rowcast.url).port }
	});
	await expect(page.locator('header')).toContainText('Following', { timeout: 20_000 });
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	await expect(page.getByRole('feed')).toContainText('Book number 3');
	await expect(page.getByRole('feed')).toContainText('Book number 2');
	await again.stop();
});

test.describe('with nothing watched', () => {
	test.use({ rowcastEnv: { ROWCAST_WATCH: '' } });
	test('the page says what to do, and shows it working', async ({ page, rowcast, db }) => {
		void rowcast;
		await page.goto('/');
		await expect(page.getByText('No table is watched yet')).toBeVisible();
		await expect(page.getByRole('region', { name: /^SQL that watches/ })).toContainText('rowcast.watch(');
		await db.query(`select rowcast.watch('"Book"')`);
		await expect(table(page, 'Book').locator('[data-count]').first()).toBeVisible();
		await insertBooks(db, 1, 1);
		await expect(lines(page).filter({ hasText: 'Book number 1' })).toHaveCount(1);
	});
});

test.describe('on a phone', () => {
	test.use({ viewport: { width: 390, height: 844 } });
	test('tables come in a sheet, a detail fills the screen, nothing overflows', async ({
		page,
		rowcast,
		db
	}) => {
		void rowcast;
		await open(page);
		await insertBooks(db, 1, 2);
		await db.query(`update "User" set name = 'Mary Ann' where id = 2`);
		await page.getByRole('button', { name: 'Tables' }).click();
		await table(page, 'Book').click();
		await expect(table(page, 'Book')).toBeHidden();
		await expect(lines(page)).toHaveCount(2);
		await openLine(lines(page).first());
		const detail = page.getByRole('complementary', { name: 'Detail of a change' });
		await expect(detail).toBeVisible();
		expect((await detail.boundingBox())!.width).toBe(390);
		await detail.getByRole('button', { name: 'Close detail' }).click();
		expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
	});

	test('the sheet of keys opens at its beginning', async ({ page, rowcast }) => {
		void rowcast;
		await page.setViewportSize({ width: 390, height: 500 });
		await open(page);
		await page.keyboard.press('?');
		const sheet = page.getByRole('dialog', { name: 'Keys' });
		await expect(sheet.getByRole('heading', { name: 'Keys' })).toBeInViewport({ ratio: 1 });
		await page.keyboard.press('Escape');
		await expect(sheet).toBeHidden();
	});
});

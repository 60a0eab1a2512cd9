/** What is shown, and of what, stays in sight. */
import { counter, expect, insertBooks, open, table, test } from '../support/page.ts';
import { startRowcast } from '../support/rowcast.ts';

for (const width of [1440, 390])
	test(`a chosen table is named above the changes, where a click shows all again: ${width}`, async ({
		page,
		rowcast,
		db
	}) => {
		void rowcast;
		await page.setViewportSize({ width, height: 800 });
		await db.query('create table elsewhere (id int primary key)');
		await open(page, '/?table=public.Book');
		await insertBooks(db, 1, 1);
		await db.query('insert into elsewhere values (1)');
		const chosen = page.getByRole('button', { name: 'Only Book: show all tables' });
		await expect(chosen).toBeInViewport({ ratio: 1 });
		await expect(page.getByRole('feed')).toContainText('Book');
		await expect(page.getByRole('feed').getByText('insert')).toHaveCount(1);
		await chosen.click();
		await expect(page.getByRole('feed').getByText('insert')).toHaveCount(2);
		await expect(chosen).toBeHidden();
	});

test('of many tables, the one that a link chooses is scrolled into sight', async ({ page, rowcast, db }) => {
	void rowcast;
	await db.query(
		`do $$ begin for i in 100..199 loop execute format('create table many_%s (id int)', i); end loop; end $$`
	);
	await open(page, '/?table=public.many_180');
	await expect(table(page, 'many_180')).toBeInViewport();
	await expect(page.locator('nav .all')).toContainText('Chosen tables');
});

test('the bar above the chart stays within the window, whatever it says', async ({ page, rowcast, db }) => {
	void rowcast;
	await page.setViewportSize({ width: 1440, height: 800 });
	await open(page);
	await insertBooks(db, 1, 3);
	await page.keyboard.press('r');
	await page.getByRole('button', { name: 'Pause', exact: true }).click();
	await expect(page.getByRole('button', { name: 'To the playhead' })).toBeVisible();
	await expect(page.getByRole('button', { name: 'Export' })).toBeInViewport({ ratio: 1 });
	expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(1440);
});

test('the playhead goes to the very end of a stretch by its slider', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	const to = Date.now() + 1;
	await open(page, `/?from=${new Date(to - 60_001).toISOString()}&to=${new Date(to).toISOString()}`);
	const slider = page.getByRole('slider', { name: 'Playhead' });
	await slider.press('End');
	await expect(page).toHaveURL(
		new RegExp(`at=${encodeURIComponent(new Date(to).toISOString()).replaceAll('.', '\\.')}`)
	);
});

test('a server that is stopped and started is not told as an outage of the database', async ({
	page,
	rowcast,
	db,
	database
}) => {
	await open(page);
	await insertBooks(db, 1, 1);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('1');
	await rowcast.stop();
	await expect(page.locator('header')).toContainText(/Server away for [4-9](\.\d)? s/, { timeout: 10_000 });
	const again = await startRowcast({
		env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all', PORT: new URL(rowcast.url).port }
	});
	await expect(page.locator('header')).toContainText('Following', { timeout: 20_000 });
	await expect(page.getByRole('feed')).toContainText('Connected again after');
	await expect(page.getByRole('feed')).not.toContainText('database');
	await again.stop();
});

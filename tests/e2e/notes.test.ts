/** What happens to the view rather than in the database has a line of its own; and where one stands is kept. */
import { startRowcast } from '../support/rowcast.ts';
import { expect, insertBooks, lines, open, test } from '../support/page.ts';

test('that the database was away has its lines in the feed', async ({ page, rowcast, away, back }) => {
	void rowcast;
	await open(page);
	await expect(page.locator('header')).toContainText('Following');
	await away();
	await expect(lines(page).first()).toContainText('The database is away', { timeout: 20_000 });
	const stance = page.locator('.stance');
	await expect(stance).toHaveText('Database away');
	expect((await stance.boundingBox())?.height).toBeLessThan(24);
	await back();
	await expect(lines(page).first()).toContainText(/The database is back after [\d.]+ m?s/, {
		timeout: 30_000
	});
	await expect(lines(page)).toHaveCount(2);
});

test('that the log is another has its line above what the new one holds', async ({
	page,
	rowcast,
	database,
	db
}) => {
	await open(page);
	await insertBooks(db, 1, 2);
	await expect(lines(page)).toHaveCount(2);
	const { port } = new URL(rowcast.url);
	await rowcast.stop();
	await db.query('select rowcast.uninstall()');
	const again = await startRowcast({
		env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all', PORT: port }
	});
	try {
		await expect(lines(page).first()).toContainText('Another log', { timeout: 30_000 });
		await expect(lines(page)).toHaveCount(1);
		await insertBooks(db, 3, 3);
		await expect(lines(page).first()).toContainText('Book 3');
		await expect(lines(page)).toHaveCount(2);
	} finally {
		await again.stop();
	}
});

test('a line that the keyboard comes to stays, whatever arrives', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	// From the part of the page before the feed.
	await page.getByRole('button', { name: 'Export' }).focus();
	for (let i = 0; i < 5 && !(await page.locator('article:focus').count()); i++)
		await page.keyboard.press('Tab');
	await expect(lines(page).first()).toBeFocused();
	await expect(page.locator('.stance')).toHaveText('Reading');
	await insertBooks(db, 4, 60);
	await expect(page.getByRole('button', { name: /57 new/ })).toBeVisible();
	await expect(lines(page).first()).toBeFocused();
	await page.keyboard.press('j');
	await expect(lines(page).nth(1)).toBeFocused();
	await page.keyboard.press('.');
	await expect(lines(page).first()).toContainText('Book 60');
});

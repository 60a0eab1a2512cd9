/** Time travel: a table as it was, a row's life, the undo of a chosen set, views by name. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, insertBooks, lines, open, openLine, replay, table, test } from '../support/page.ts';

const rows = (page: Page) => page.getByRole('region', { name: 'Rows' }).locator('tbody tr');

async function axe(page: Page) {
	const { violations } = await new AxeBuilder({ page }).analyze();
	expect(violations.map(({ id, nodes }) => `${id} ${nodes[0]?.html}`)).toEqual([]);
}

test('a table opens as it was at the playhead, and follows its steps', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 2);
	await db.query(`update "Book" set price = 10.50 where id = 1`);
	await db.query(`delete from "Book" where id = 2`);
	await open(page);
	await expect(lines(page)).toHaveCount(4);
	await page.getByRole('button', { name: 'Open Book as it is' }).click();
	const then = page.getByRole('region', { name: 'Book as it' });
	await expect(then).toContainText('1 row that the log knows');
	await expect(rows(page)).toHaveCount(1);
	await expect(rows(page).first()).toContainText('10.50');
	await expect(rows(page).first()).toContainText('9007199254740993');
	await axe(page);
	const bar = await replay(page);
	await bar.getByRole('button', { name: 'To the start' }).click();
	await expect(then).toContainText('0 rows that the log knows');
	for (const [count, price] of [
		[1, '9.50'],
		[2, '9.50'],
		[2, '10.50'],
		[1, '10.50']
	] as const) {
		await page.keyboard.press('n');
		await expect(rows(page)).toHaveCount(count);
		await expect(rows(page).first()).toContainText(price);
	}
	await page.keyboard.press('p');
	await expect(rows(page)).toHaveCount(2);
	await expect(then).toContainText('Rows not changed since');
	await axe(page);
	await rows(page).first().getByRole('button').click();
	await expect(page.getByRole('complementary', { name: 'Detail of a change' })).toContainText('10.50');
	await page.keyboard.press('Escape');
	await page.keyboard.press('Escape');
	await expect(then).toHaveCount(0);
	await expect(bar).toBeVisible();
});

test('a table without a key says that it cannot; one that was emptied is known whole', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await db.query(`create table loose (x int)`);
	await db.query(`truncate "Book"`);
	await insertBooks(db, 7, 7);
	await open(page);
	await expect(table(page, 'loose')).toBeVisible();
	await page.getByRole('button', { name: 'Open loose as it is' }).click();
	await expect(page.getByRole('region', { name: 'loose as it' })).toContainText('no primary key');
	await page.keyboard.press('Control+k');
	await page.keyboard.type('open table book');
	await page.keyboard.press('Enter');
	await expect(page.getByRole('region', { name: 'Book as it' })).toContainText('these are all its rows');
	await expect(rows(page)).toHaveCount(1);
	await expect(page).toHaveURL(/then=public\.Book/);
});

test('a row’s life plays as a film, and sets the playhead', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 1);
	for (const price of ['1.10', '2.20', '3.30'])
		await db.query(`update "Book" set price = $1 where id = 1`, [price]);
	await open(page);
	await expect(lines(page)).toHaveCount(4);
	await openLine(lines(page).first());
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await detail.getByRole('tab', { name: 'Life' }).click();
	const film = detail.getByRole('group', { name: 'The row’s life' });
	await expect(film).toContainText('version 4 of 4');
	await film.getByRole('button', { name: 'First version' }).click();
	await expect(film).toContainText('version 1 of 4');
	await expect(film.locator('.version')).toContainText('9007199254740993');
	await film.getByRole('button', { name: 'Play film' }).click();
	await expect(film).toContainText('version 4 of 4', { timeout: 15_000 });
	await expect(film.locator('.version')).toContainText('2.20');
	await page.keyboard.press('ArrowLeft');
	await page.keyboard.press('ArrowLeft');
	await expect(film).toContainText('version 2 of 4');
	await expect(film.locator('.version')).toContainText('1.10');
	await axe(page);
	await film.getByRole('button', { name: 'Playhead here' }).click();
	await expect(page.getByRole('region', { name: 'Replay' })).toBeVisible();
	await expect(lines(page)).toHaveCount(2);
	await expect(lines(page).first()).toContainText('1.10');
	await expect(film).toContainText('version 2 of 4');
});

test('a chosen set is undone by its script, and rows that changed since are told', async ({
	page,
	context,
	rowcast,
	db
}) => {
	void rowcast;
	await context.grantPermissions(['clipboard-read', 'clipboard-write']);
	await open(page);
	await insertBooks(db, 1, 4);
	await expect(lines(page)).toHaveCount(4);
	await db.query(`insert into "User" values (3, 'Ann')`);
	await db.query(`insert into "Book" values (5, 'A', 1, 1, 3)`);
	await expect(lines(page)).toHaveCount(6);
	for (const key of ['j', 'x', 'j', 'j', 'X']) await page.keyboard.press(key);
	const bar = page.getByRole('region', { name: 'Picked changes' });
	await expect(bar).toContainText('3 changes picked');
	await axe(page);
	await page.keyboard.press('x');
	await expect(bar).toContainText('2 changes picked');
	await lines(page).nth(5).getByRole('checkbox', { includeHidden: true }).click();
	await expect(bar).toContainText('3 changes picked');
	await db.query(`update "Book" set price = 2 where id = 1`);
	await bar.getByRole('button', { name: 'SQL that would undo these' }).click();
	const sheet = page.getByRole('dialog', { name: 'SQL that would undo 3 changes' });
	await expect(sheet).toContainText('1 row has changed since');
	await expect(sheet).toContainText('Book 1: update');
	await axe(page);
	await sheet.getByRole('button', { name: 'Close' }).click();
	await db.query(`update "Book" set price = 9.50 where id = 1`);
	// The book before the user that it references.
	await bar.getByRole('button', { name: 'Clear' }).click();
	await expect(bar).toHaveCount(0);
	await openLine(lines(page).nth(1));
	await page.keyboard.press('Escape');
	await page.keyboard.press('x');
	await lines(page).nth(0).getByRole('checkbox', { includeHidden: true }).click();
	await bar.getByRole('button', { name: 'SQL that would undo these' }).click();
	const both = page.getByRole('dialog', { name: 'SQL that would undo 2 changes' });
	await expect(both).toContainText('No row has changed since');
	await both.getByRole('button', { name: 'Copy' }).click();
	await expect(both).toContainText('Copied');
	await db.query(await page.evaluate(() => navigator.clipboard.readText()));
	const { rows: left } = await db.query(
		`select (select count(*) from "Book") as books, (select count(*) from "User") as users`
	);
	expect(left).toEqual([{ books: '4', users: '2' }]);
});

test('a view has a name: it is saved, found by command, renamed and deleted', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page, '/?table=public.Book&q=price%3E10');
	await insertBooks(db, 1, 1);
	await page.getByRole('button', { name: 'Saved views' }).click();
	const menu = page.getByRole('dialog', { name: 'Saved views' });
	await menu.getByRole('textbox').fill('Dear books');
	await page.keyboard.press('Enter');
	await expect(menu.getByRole('listitem')).toContainText('Dear books');
	await axe(page);
	await menu.getByRole('button', { name: 'Close' }).click();
	await open(page);
	await expect(lines(page)).toHaveCount(1);
	await page.keyboard.press('Control+k');
	await page.keyboard.type('view: dear');
	await page.keyboard.press('Enter');
	await expect(page).toHaveURL(/q=price/);
	await expect(lines(page)).toHaveCount(0);
	await page.keyboard.press('v');
	await menu.getByRole('button', { name: 'Rename Dear books' }).click();
	await menu.getByRole('textbox', { name: 'New name of Dear books' }).fill('Costly');
	await page.keyboard.press('Enter');
	await expect(menu.getByRole('listitem')).toContainText('Costly');
	await menu.getByRole('button', { name: 'Delete Costly' }).click();
	await expect(menu.getByRole('button', { name: 'Costly' })).toHaveCount(0);
});

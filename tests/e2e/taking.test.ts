/** What one takes along: files, the undo of a transaction, a link to a row; and stepping through the past. */
import { readFile } from 'node:fs/promises';
import { expect, insertBooks, lines, open, openLine, test } from '../support/page.ts';

test('what is shown is saved as a file', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page, '/?table=public.Book&q=id%3E2');
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(1);
	await page.getByRole('button', { name: 'Export' }).click();
	const dialog = page.getByRole('dialog', { name: 'Export what matches, of all that is kept' });
	await expect(dialog.getByRole('status')).toHaveText(/^1 change, about [\d.,]+ byte$/);
	const saved = page.waitForEvent('download');
	await dialog.getByRole('button', { name: 'Save' }).click();
	const file = await readFile(await (await saved).path(), 'utf8');
	expect(file.trim().split('\n')).toHaveLength(1);
	expect(JSON.parse(file)).toMatchObject({ op: 'INSERT', table: 'Book', key: { id: '3' } });
});

test('what cannot be saved is told where one can save again or leave', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	await page.getByRole('button', { name: 'Export' }).click();
	const dialog = page.getByRole('dialog', { name: 'Export all that is kept' });
	await expect(dialog.getByRole('status')).toContainText('3 changes');
	await page.route(/export\?/, (route) => route.abort());
	const save = dialog.getByRole('button', { name: 'Save' });
	await save.press('Enter');
	await expect(dialog.getByRole('status')).toContainText('It could not be saved: the connection broke');
	await expect(save).toBeFocused();
	await page.keyboard.press('Escape');
	await expect(dialog).toBeHidden();
});

test('a transaction is undone by the script of its dialog, whatever the view leaves out of it, once its rows are compared', async ({
	page,
	context,
	rowcast,
	db
}) => {
	void rowcast;
	await context.grantPermissions(['clipboard-read', 'clipboard-write']);
	await open(page, '/?table=public.Book');
	await db.query(
		`begin; insert into "User" values (3, 'Ann'); insert into "Book" values (1, 'A', 1, 1, 3); commit`
	);
	await openLine(lines(page).first());
	const whole = page.getByRole('button', { name: 'SQL undo of the transaction' });
	await whole.click();
	const sheet = page.getByRole('dialog', { name: 'SQL that would undo 2 changes' });
	await expect(sheet).toContainText('No row has changed since');
	await sheet.getByRole('button', { name: 'Close' }).click();
	await expect(whole).toBeFocused();
	await db.query(`update "Book" set title = 'B'`);
	await whole.click();
	await expect(sheet).toContainText('Book 1: update at');
	await sheet.getByRole('button', { name: 'Close' }).click();
	await page.getByRole('button', { name: 'SQL undo', exact: true }).click();
	await expect(page.getByRole('dialog', { name: 'SQL that would undo 1 change' })).toContainText(
		'Book 1: update at'
	);
	await page.keyboard.press('Escape');
	await db.query(`update "Book" set title = 'A'`);
	await whole.click();
	await sheet.getByRole('button', { name: 'Copy' }).click();
	await expect(sheet).toContainText('Copied');
	await db.query(await page.evaluate(() => navigator.clipboard.readText()));
	const { rows } = await db.query(
		`select (select count(*) from "Book") + (select count(*) from "User") as n`
	);
	expect(rows).toEqual([{ n: '2' }]);
});

test('replay goes on and back by change and by transaction, and passes over silence', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 1);
	await db.query(
		`begin; insert into "User" values (3, 'Ann'); insert into "Book" values (2, 'A', 1, 1, 3); commit`
	);
	await page.waitForTimeout(4000);
	await insertBooks(db, 3, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(5);
	await page.getByRole('button', { name: 'Replay', exact: true }).click();
	const bar = page.getByRole('region', { name: 'Replay' });
	await bar.getByRole('button', { name: 'Pause replay' }).click();
	await bar.getByRole('button', { name: 'To the start' }).click();
	await expect(lines(page)).toHaveCount(0);
	// Until the playhead rests where it was put.
	await page.waitForTimeout(500);
	await page.keyboard.press('n');
	await expect(lines(page)).toHaveCount(1);
	await bar.getByRole('button', { name: 'Next transaction' }).click();
	await expect(lines(page)).toHaveCount(4);
	await page.keyboard.press('p');
	await expect(lines(page)).toHaveCount(2);
	await expect(lines(page).first()).toContainText('User 3');
	await page.keyboard.press('n');
	// The transaction is whole again, on one card.
	await expect(lines(page)).toHaveCount(4);
	await expect(lines(page).filter({ hasText: 'Book 2' })).toHaveCount(1);
	await bar.getByRole('button', { name: 'Skip quiet' }).click();
	await bar.getByRole('button', { name: 'Play', exact: true }).click();
	await expect(lines(page).first()).toContainText('Book 3', { timeout: 3000 });
	await page.keyboard.press('Shift+P');
	await expect(lines(page).first()).not.toContainText('Book 3');
});

test('a link opens the same row, Back closes it', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	await openLine(lines(page).nth(1));
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await expect(page).toHaveURL(/row=/);
	await page.reload();
	await expect(detail).toContainText('Book 2');
	await page.keyboard.press('Escape');
	await expect(page).not.toHaveURL(/row=/);
	await openLine(lines(page).nth(2));
	await expect(detail).toContainText('Book 1');
	await expect(page).toHaveURL(/row=/);
	await page.goBack();
	await expect(detail).toHaveCount(0);
	await page.goForward();
	await expect(detail).toContainText('Book 1');
});

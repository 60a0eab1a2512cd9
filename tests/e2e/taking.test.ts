/** What one takes along: files, the undo of a transaction, a link to a row; and stepping through the past. */
import { readFile } from 'node:fs/promises';
import { expect, insertBooks, lines, open, test } from '../support/page.ts';

test('what is shown is saved as a file', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page, '/?table=public.Book&q=id%3E2');
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(1);
	await page.getByRole('button', { name: 'Export' }).click();
	await page.keyboard.type('ndjson');
	const saved = page.waitForEvent('download');
	await page.keyboard.press('Enter');
	const file = await readFile(await (await saved).path(), 'utf8');
	expect(file.trim().split('\n')).toHaveLength(1);
	expect(JSON.parse(file)).toMatchObject({ op: 'INSERT', table: 'Book', key: { id: '3' } });
});

test('a transaction is undone by the script that is copied, whatever the view leaves out of it', async ({
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
	await lines(page).first().click();
	await page.getByRole('button', { name: 'SQL undo of the transaction' }).click();
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await expect(detail.getByRole('status')).toContainText('Copied the undo of 2 changes');
	await db.query(await page.evaluate(() => navigator.clipboard.readText()));
	const { rows } = await db.query(
		`select (select count(*) from "Book") + (select count(*) from "User") as n`
	);
	expect(rows).toEqual([{ n: '2' }]);
});

/** The undo of what was picked. */
import { expect, insertBooks, lines, open, openLine, table, test } from '../support/page.ts';

test('a picked transaction that is not here whole says how much of it is', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await db.query(`insert into "User" select i, 'U' || i from generate_series(1001, 4000) i`);
	await expect(lines(page).first()).toContainText('3,000');
	await lines(page).first().getByRole('checkbox', { includeHidden: true }).click();
	const bar = page.getByRole('region', { name: 'Picked changes' });
	await expect(bar).toContainText('200 of 3,000 changes picked');
	await bar.getByRole('button', { name: 'SQL that would undo these' }).click();
	const sheet = page.getByRole('dialog', { name: 'SQL that would undo 200 of 3,000 changes' });
	await expect(sheet).toContainText('It leaves out 2,800 more changes of the same transactions.');
});

test('what foreign keys would take along is told beside the script, and in it', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await db.query(`create table review (id int primary key, book int references "Book" on delete cascade)`);
	await open(page);
	await expect(table(page, 'review').locator('[data-count="INSERT"]')).toBeVisible();
	await insertBooks(db, 1, 1);
	await openLine(lines(page).filter({ hasText: 'Book number 1' }));
	await page.getByRole('button', { name: 'SQL undo', exact: true }).click();
	const sheet = page.getByRole('dialog', { name: 'SQL that would undo 1 change' });
	const note =
		'Rows of review that point at a deleted row of Book by then are deleted with it: on delete cascade.';
	await expect(sheet.getByRole('listitem')).toHaveText(note);
	await expect(sheet.getByRole('region', { name: 'SQL' })).toContainText(`-- ${note}`);
});

test('rows whose keys moved along in one statement are no conflict of each other', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await db.query(`create table ring (id int primary key deferrable, name text)`);
	await open(page);
	await expect(table(page, 'ring').locator('[data-count="INSERT"]')).toBeVisible();
	await db.query(`insert into ring values (1, 'a'), (2, 'b'), (3, 'c')`);
	await db.query('update ring set id = id % 3 + 1');
	await expect(lines(page).first()).toContainText('update');
	await lines(page).first().getByRole('checkbox', { includeHidden: true }).click();
	await page.getByRole('button', { name: 'SQL that would undo these' }).click();
	const sheet = page.getByRole('dialog', { name: 'SQL that would undo 3 changes' });
	await expect(sheet).toContainText('No row has changed since.');
});

/** What a table's own changes make of its past: renamed and dropped columns, emptyings, long lives. */
import {
	counter,
	detailOf,
	expect,
	insertBooks,
	lines,
	open,
	openLine,
	table,
	test
} from '../support/page.ts';

test('what is there no more is told by a script, a life and a table of the past', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 2);
	await db.query(`update "Book" set title = 'x' where id = 1`);
	await expect(lines(page)).toHaveCount(3);
	await db.query('alter table "Book" drop column title');
	await expect(lines(page).first()).toContainText('Book lost its column title', { timeout: 20_000 });
	await openLine(lines(page).nth(1));
	const detail = detailOf(page);
	await detail.getByRole('button', { name: 'SQL undo', exact: true }).click();
	await expect(page.getByRole('dialog')).toContainText('Book has no column title any more');
	await page.keyboard.press('Escape');
	await openLine(lines(page).nth(2));
	await detail.getByRole('button', { name: 'SQL undo', exact: true }).click();
	const script = page.getByRole('dialog').locator('pre');
	await expect(script).toContainText('delete from');
	await expect(script).not.toContainText('title');
	await page.keyboard.press('Escape');
	await db.query('alter table "Book" rename column id to book_id');
	await expect(async () => {
		await detail.getByRole('button', { name: 'SQL undo', exact: true }).click();
		const sheet = page.getByRole('dialog');
		const told = await sheet.getByText('its key column id was renamed or dropped since').count();
		await page.keyboard.press('Escape');
		expect(told).toBeGreaterThan(0);
	}).toPass();
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('Its key column id was renamed or dropped since');
	await page.goto('/?then=public.Book');
	await expect(page.locator('.then')).toContainText('0 rows that the log knows. Until');
	await expect(page.locator('.then')).toContainText('its key had other columns, or other names for them');
	await db.query('update "Book" set price = 1 where book_id = 2');
	// It is in the log once it is counted.
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText('2');
	await page.getByRole('button', { name: 'Read again' }).click();
	await expect(page.locator('.then')).toContainText('1 row that the log knows');
});

test('an emptying ends a row in its life; of a long one that it is not whole is told; an emptied table is told once', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await db.query('truncate "Book"');
	await db.query('truncate "Book"');
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(4);
	await openLine(lines(page).first());
	const detail = detailOf(page);
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail.locator('li')).toHaveText([/insert/, /truncate\s*all rows\s+removed/, /insert/]);
	await expect(detail).toContainText('version 2 of 2');
	await db.query(`do $$ begin for i in 1..1000 loop update "Book" set price = i; end loop; end $$`);
	await page.keyboard.press('.');
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText('1,000');
	await page.goto(`/?q=price:1000`);
	await openLine(lines(page).first());
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('newest version');
	// It is read as far as the change that is open, and on from there.
	await page.goto('/?q=op:insert');
	await openLine(lines(page).first());
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('version 2 of 1,002');
	await expect(detail.getByRole('button', { name: 'Read further back' })).toHaveCount(0);
	await page.goto('/?q=price:1');
	await openLine(lines(page).first());
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('999 before newest');
	await detail.getByRole('button', { name: 'Previous version' }).click();
	await expect(detail).toContainText('version 2 of 1,002');
	await expect(detail.locator('.version')).toContainText('9.50');
	// What came since belongs to it.
	await page.goto('/?then=public.Book');
	const row = page.locator('.then tbody tr').first();
	const openRow = () => row.getByRole('button').click();
	await openRow();
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('newest version');
	await db.query('update "Book" set price = 1001');
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText('1,001');
	await page.getByRole('button', { name: 'Read again' }).click();
	await expect(row).toContainText('1001');
	await openRow();
	await expect(detail.locator('li').first()).toContainText('1001');
	await db.query('truncate "Book"');
	await page.goto('/?then=public.Book');
	await expect(page.locator('.then')).toContainText('The table is empty: it was emptied at');
	await expect(page.locator('.then')).not.toContainText('known here');
});

test('a saved view, and Back, open the row that was open', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page, '/?q=price>5');
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	await openLine(lines(page).nth(1));
	const detail = detailOf(page);
	await expect(page).toHaveURL(/row=/);
	await page.keyboard.press('v');
	const dialog = page.getByRole('dialog', { name: /views/i });
	await dialog.getByRole('textbox').first().fill('mine');
	await page.keyboard.press('Enter');
	await page.keyboard.press('Escape');
	await page.keyboard.press('Escape');
	await expect(detail).toHaveCount(0);
	await table(page, 'User').click();
	await expect(lines(page)).toHaveCount(0);
	await page.keyboard.press('Control+k');
	await page.keyboard.type('View: mine');
	await page.keyboard.press('Enter');
	await expect(lines(page)).toHaveCount(3);
	await expect(detail).toContainText('Book 2');
	await expect(page).toHaveURL(/row=/);
	await page.goBack();
	await expect(lines(page)).toHaveCount(0);
	await page.goForward();
	await expect(detail).toContainText('Book 2');
});

test('Esc closes a table before it drops what is picked beneath; a table that could not be read is read by itself', async ({
	page,
	rowcast,
	db,
	away,
	back
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	await page.keyboard.press('j');
	await page.keyboard.press('x');
	await page.getByRole('button', { name: 'Open Book as it is' }).click();
	const then = page.locator('.then');
	await expect(then).toContainText('3 rows');
	await away();
	await then.getByRole('button', { name: 'Read again' }).click();
	await expect(then).toContainText('takes no connections');
	await back();
	await expect(then).toContainText('3 rows that the log knows', { timeout: 30_000 });
	await page.keyboard.press('Escape');
	await expect(then).toHaveCount(0);
	await expect(page.getByRole('checkbox', { checked: true })).toHaveCount(1);
});

test('a quiet stretch is told as one in which nothing changed', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 1);
	await open(page);
	await expect(lines(page)).toHaveCount(1);
	const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
	// The log goes on; nothing is written in it.
	await expect(async () => {
		const from = ago(1500);
		await page.goto(`/?from=${from}&to=${ago(500)}`);
		await expect(page.getByText('Nothing has changed up to this moment')).toBeVisible();
	}).toPass();
	await expect(page.getByText('holds nothing of this time')).toHaveCount(0);
	await page.goto('/?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z');
	await expect(page.getByText('What happened at this time is not known')).toBeVisible();
	await expect(page.getByText('Nothing has changed')).toHaveCount(0);
});

test('in a narrow feed the new value is told; nothing is cut by long spans', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await page.setViewportSize({ width: 720, height: 800 });
	await open(page);
	await insertBooks(db, 1, 1);
	await db.query(`update "Book" set price = 200.25`);
	const value = lines(page).first().locator('[data-term]').filter({ hasText: '200.25' });
	await expect(value).toBeVisible();
	const [inner, outer] = [
		(await value.boundingBox())!,
		(await lines(page).first().locator('.what').boundingBox())!
	];
	expect(inner.x + inner.width).toBeLessThanOrEqual(outer.x + outer.width);
	await page.setViewportSize({ width: 1440, height: 900 });
	await page.goto('/?span=10y');
	const box = (await page.getByRole('button', { name: 'Export' }).boundingBox())!;
	expect(box.x + box.width).toBeLessThanOrEqual(1440);
	await expect(page.locator('nav .span')).toHaveText('last 10 y');
});

test('a table that is renamed goes by its new name at once, live and in the past, and stays open to whoever reads', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 5);
	await expect(lines(page)).toHaveCount(5);
	await openLine(lines(page).nth(2));
	const detail = detailOf(page);
	await expect(detail).toContainText('Book 3');
	await db.query('alter table "Book" rename to "Tome"');
	await expect(detail).toContainText('Tome 3', { timeout: 20_000 });
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('version 1 of 1');
	await expect(counter(page, 'Tome', 'INSERT')).toHaveText('5');
	await expect(table(page, 'Book')).toHaveCount(0);
	await page.keyboard.press('.');
	await expect(lines(page).filter({ hasText: 'Book is called Tome now' })).toHaveCount(1);
	await expect(lines(page).filter({ hasText: /Tome \d/ })).toHaveCount(5);
	await expect(lines(page).filter({ hasText: /is gone|is a new table/ })).toHaveCount(0);

	const hour = 3_600_000;
	const [from, to] = [-hour, hour].map((ms) => new Date(Date.now() + ms).toISOString());
	await open(page, `/?from=${from}&to=${to}&at=${to}`);
	await expect(counter(page, 'Tome', 'INSERT')).toHaveText('5');
	await db.query('create schema old');
	await db.query('alter table "Tome" set schema old');
	await expect(lines(page).filter({ hasText: 'Tome is called old.Tome now' })).toHaveCount(1, {
		timeout: 20_000
	});
	await expect(lines(page).filter({ hasText: /old\.Tome \d/ })).toHaveCount(5);
	await expect(counter(page, 'old.Tome', 'INSERT')).toHaveText('5');
});

test('whoever reads further down goes on reading when a table is renamed; so it is after an absence', async ({
	page,
	absence,
	db
}) => {
	await open(page);
	await insertBooks(db, 1, 60);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('60');
	await lines(page).nth(3).hover();
	await page.mouse.wheel(0, 600);
	await expect(page.locator('[data-stance="reading"]')).toBeVisible();
	await db.query('alter table "Book" rename to "Tome"');
	await expect(counter(page, 'Tome', 'INSERT')).toHaveText('60', { timeout: 20_000 });
	await expect(lines(page).filter({ hasText: 'Tome 40' })).toBeInViewport();
	await expect(page.locator('[data-stance="reading"]')).toBeVisible();
	await page.keyboard.press('.');
	await absence(() => db.query('alter table "Tome" rename to "Folio"'));
	await expect(lines(page).first()).toContainText('Tome is called Folio now', { timeout: 20_000 });
	await expect(lines(page).nth(1)).toContainText('Connected again after');
	await expect(lines(page).nth(2)).toContainText('Folio 60');
	await expect(lines(page).filter({ hasText: /Tome \d/ })).toHaveCount(0);
});

/** The page says what holds: which values differ, which filter is applied, what a click and a key did. */
import AxeBuilder from '@axe-core/playwright';
import type { Locator } from '@playwright/test';
import { counter, expect, insertBooks, lines, open, openLine, replay, table, test } from '../support/page.ts';

const ALT = { modifiers: ['Alt' as const] };

test('Alt on the only table or op that is chosen leaves it out; a double click narrows once', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 1);
	await db.query(`update "User" set name = 'x' where id = 2`);
	await open(page);
	await lines(page).nth(1).getByText('Book', { exact: true }).dblclick();
	await expect(page).toHaveURL(/\?table=public\.Book$/);
	await expect(lines(page)).toHaveCount(1);
	// Without the word that the double click selected.
	await open(page, '/?table=public.Book');
	await lines(page).first().getByText('Book', { exact: true }).click(ALT);
	await expect(page).toHaveURL(/\?without=public\.Book$/);
	await expect(lines(page)).toHaveCount(1);
	await expect(lines(page).first()).toContainText('User');
	await open(page, '/?op=update');
	const update = page.getByRole('button', { name: /^~? ?update/ });
	await update.click(ALT);
	await expect(page).not.toHaveURL(/op=update/);
	await expect(lines(page)).toHaveCount(1);
	await expect(lines(page).first()).toContainText('insert');
	await update.click(ALT);
	await expect(lines(page)).toHaveCount(2);
});

test('a filter that is typed and not applied says so; Esc closes the suggestions, then restores', async ({
	page,
	rowcast
}) => {
	void rowcast;
	await open(page);
	const field = page.getByRole('combobox', { name: 'Filter changes' });
	await field.fill('op:up');
	await expect(page.getByRole('listbox')).toBeVisible();
	await expect(field).toHaveAccessibleDescription(/Not applied/);
	await page.locator('.stance').click();
	await expect(page.getByText('Not applied: Enter')).toBeVisible();
	await field.focus();
	await expect(page.getByRole('listbox')).toBeVisible();
	await page.keyboard.press('Escape');
	await expect(page.getByRole('listbox')).toBeHidden();
	await expect(field).toHaveValue('op:up');
	await page.keyboard.press('Escape');
	await expect(field).toHaveValue('');
	await expect(page.getByText('Not applied: Enter')).toHaveCount(0);
});

test('values that differ look different, in the line and in the detail', async ({ page, rowcast, db }) => {
	void rowcast;
	await db.query(`create table odd (id int primary key, v text, j jsonb)`);
	await db.query(`insert into odd values (1, 'a'), (2, 'Jane'), (3, repeat('x', 4960)), (4, 'null')`);
	await open(page);
	await expect(counter(page, 'odd', 'INSERT')).toBeVisible();
	await db.query(`update odd set v = 'a ' where id = 1`);
	await db.query(`update odd set v = E'Jane \\u202Eevil' where id = 2`);
	await db.query(`update odd set v = v || 'end' where id = 3`);
	await db.query(`update odd set v = null where id = 4`);
	const line = (id: number) => lines(page).filter({ hasText: new RegExp(`update\\s*odd ${id}`) });
	await expect(line(1).locator('[data-sign]')).toHaveAttribute('data-sign', '␣');
	await expect(line(2).locator('[data-sign]')).toHaveAttribute('data-sign', 'U+202E');
	await expect(line(3)).toContainText('…xxxxxxxxend');
	await expect(line(4).locator('s')).toHaveText('"null"');
	await openLine(line(3));
	const panel = page.getByRole('tabpanel');
	await expect(panel.locator('mark').last()).toHaveText('end');
	await expect(panel).toContainText('… 4,920 the same …');
	await page.keyboard.press('.');
	await db.query(`update odd set j = 'null' where id = 1`);
	await expect(lines(page).first()).toContainText('no difference in the log');
	const { violations } = await new AxeBuilder({ page }).analyze();
	expect(violations.map(({ id }) => id)).toEqual([]);
});

test('five digits are counted exactly, and none is cut', async ({ page, rowcast, db }) => {
	void rowcast;
	await page.setViewportSize({ width: 1440, height: 900 });
	await open(page);
	await db.query(`insert into "Book" select n, 'n', 1, 1, 1 from generate_series(1, 12345) n`);
	await db.query(`update "Book" set price = 2`);
	await db.query(`delete from "Book"`);
	for (const op of ['INSERT', 'UPDATE', 'DELETE'])
		await expect(counter(page, 'Book', op)).toHaveText('12,345');
	const row = (await table(page, 'Book').boundingBox())!;
	const figure = (await counter(page, 'Book', 'DELETE').boundingBox())!;
	expect(figure.x + figure.width).toBeLessThan(row.x + row.width);
	expect(figure.y + figure.height).toBeLessThan(row.y + row.height);
});

test('of a table that is dropped, the rest is shown', async ({ page, rowcast, db }) => {
	void rowcast;
	await db.query(`create table gone (id int primary key)`);
	await open(page, '/?table=public.gone');
	await expect(counter(page, 'gone', 'INSERT')).toBeVisible();
	await insertBooks(db, 1, 3);
	await db.query(`insert into gone values (1)`);
	await expect(lines(page)).toHaveCount(1);
	await db.query(`drop table gone`);
	await expect(page.locator('.notice')).toContainText('no table gone: showing the rest');
	await expect(lines(page).filter({ hasText: 'Book' })).toHaveCount(3);
});

test('a notice is whole beside what is chosen and what waits, at any width', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	const long = 'a_table_with_a_rather_long_name';
	await db.query(`create table ${long} (id int primary key)`);
	await open(page);
	await expect(counter(page, long, 'INSERT')).toBeVisible();
	await db.query(`insert into ${long} values (1)`);
	await expect(lines(page)).toHaveCount(1);
	await open(page, `/?table=public.${long}&table=public.gone_with_a_name_that_is_long_too`);
	const notice = page.locator('.notice');
	await expect(notice).toContainText('showing the rest');
	await expect(lines(page)).toHaveCount(1);
	await page.keyboard.press(' ');
	await expect(page.locator('.pill')).toBeVisible();
	const bounds = async (locator: Locator) => {
		const { y, height } = (await locator.boundingBox())!;
		return [y, y + height] as const;
	};
	for (const width of [1440, 1024, 860, 720, 390]) {
		await page.setViewportSize({ width, height: 844 });
		for (const part of [notice, page.locator('.head .choice .name')])
			expect(await part.evaluate((it) => it.scrollWidth - it.clientWidth)).toBeLessThanOrEqual(0);
		// What is beneath stands free, once all has its place.
		await expect(async () => {
			const [, end] = await bounds(page.locator('.head:has(.notice)'));
			expect((await bounds(notice))[1]).toBeLessThanOrEqual(end);
			expect((await bounds(lines(page).first()))[0]).toBeGreaterThanOrEqual(end - 1);
		}).toPass({ timeout: 10_000 });
	}
});

test('in replay . follows the playhead, as the pill does, then leaves; a view that the server cannot give is told', async ({
	page,
	rowcast,
	db
}) => {
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	const bar = await replay(page);
	await page.getByRole('button', { name: 'Pause', exact: true }).click();
	await expect(page.locator('.pill')).toContainText('follow the playhead');
	await expect(page.getByRole('button', { name: 'To the playhead' })).toHaveAttribute('title', /^[^(]*$/);
	await page.keyboard.press('.');
	await expect(page.locator('.stance')).toHaveText('Replay');
	await expect(bar).toBeVisible();
	await page.keyboard.press('.');
	await expect(bar).toHaveCount(0);
	await page.keyboard.press('r');
	await bar.getByRole('button', { name: 'Pause replay' }).click();
	await rowcast.stop('SIGKILL');
	await expect(page.locator('.stance')).toHaveText('Server away');
	await table(page, 'User').click();
	await expect(page.locator('.notice')).toContainText(
		'The server is away: what is shown is of the view before'
	);
});

test('axe finds nothing in a replay that was exported', async ({ page, rowcast, db }) => {
	await insertBooks(db, 1, 2);
	const file = await page.request.get(`${rowcast.url}/export?format=html`);
	await page.setContent(await file.text());
	await expect(page.locator('#ledger')).toBeAttached();
	const { violations } = await new AxeBuilder({ page }).analyze();
	expect(violations.map(({ id }) => id)).toEqual([]);
});

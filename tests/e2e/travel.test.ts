/** Time travel: a table as it was, a row's life, the undo of a chosen set, views by name. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, insertBooks, lines, open, table, test } from '../support/page.ts';

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
	await page.keyboard.press('r');
	const bar = page.getByRole('region', { name: 'Replay' });
	await bar.getByRole('button', { name: 'Pause replay' }).click();
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

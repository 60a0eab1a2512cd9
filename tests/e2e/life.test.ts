/** A row's life: it stays with its row, keeps its keys at its ends, and knows what it has not read. */
import type pg from 'pg';
import { detailOf, expect, insertBooks, lines, open, openLine, test } from '../support/page.ts';

/** Book 3 with these many versions. */
async function versions(db: pg.Client, count: number) {
	await insertBooks(db, 3, 3);
	await db.query(
		`do $$ begin for i in 1..${count - 1} loop update "Book" set price = i where id = 3; end loop; end $$`
	);
}

test('a row keeps its life through a change of its key, which leads to the other', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	for (const set of ['price = 1', 'id = 7']) await db.query(`update "Book" set ${set} where id = 1`);
	await insertBooks(db, 1, 1);
	await db.query('update "Book" set price = 2 where id = 1');
	await expect(lines(page)).toHaveCount(5);
	await openLine(lines(page).first());
	const detail = detailOf(page);
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('version 5 of 5');
	const previous = detail.getByRole('button', { name: 'Previous version' });
	for (let i = 0; i < 2; i++) await previous.click();
	await expect(detail).toContainText('version 3 of 5');
	await expect(detail.locator('h2')).toContainText('Book 7');
	await previous.click();
	await expect(detail).toContainText('version 2 of 5');
	await detail.getByRole('button', { name: 'Next version' }).click();
	await detail.getByRole('button', { name: 'The life of Book 7' }).click();
	await expect(detail).toContainText('version 1 of 1');
});

test('at an end of it its keys are its own, and the list is one stop that follows', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await versions(db, 60);
	await insertBooks(db, 1, 1);
	await expect(lines(page).first()).toContainText('Book 1');
	await page.goto('/?q=price:59');
	await openLine(lines(page).first());
	const detail = detailOf(page);
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail).toContainText('version 60 of 60');
	await detail.getByRole('button', { name: 'First version' }).press('Enter');
	await expect(detail).toContainText('version 1 of 60');
	for (const [key, version] of [
		['Home', 1],
		['ArrowRight', 2],
		['End', 60],
		['End', 60],
		['ArrowRight', 60],
		['Home', 1]
	] as const) {
		await page.keyboard.press(key);
		await expect(detail).toContainText(`version ${version} of 60`);
		await expect(detail.locator('[aria-current]')).toBeInViewport();
	}
	await expect(detail.locator('li button[tabindex="0"]')).toHaveCount(1);
	// What is written to the row while it is open belongs to it.
	await db.query('update "Book" set price = 77 where id = 3');
	await expect(detail).toContainText('version 1 of 61');
});

test('a change that lies behind what was read is not taken for another', async ({ page, rowcast, db }) => {
	void rowcast;
	test.setTimeout(120_000);
	await open(page);
	await versions(db, 10_500);
	await page.goto('/?q=table:Book op:insert');
	await openLine(lines(page).first());
	const detail = detailOf(page);
	await detail.getByRole('tab', { name: 'Life' }).click();
	const told = detail.locator('.film').getByRole('status').first();
	await expect(told).toHaveText('It is older: 10,000 versions were read', { timeout: 30_000 });
	for (const name of ['Next version', 'Oldest version read'])
		await expect(detail.getByRole('button', { name })).toHaveAttribute('aria-disabled', 'true');
	await detail.getByRole('button', { name: 'Read further back' }).first().click();
	await expect(told).toHaveText('version 1 of 10,500', { timeout: 30_000 });
	await detail.getByRole('button', { name: 'Next version' }).click();
	await expect(told).toHaveText('version 2 of 10,500');
	await expect(detail.locator('li').first()).toContainText('newer changes');
});

test('what could not be read is read once it can be', async ({ page, rowcast, db, away, back }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await openLine(lines(page).first());
	await away();
	const detail = detailOf(page);
	await detail.getByRole('tab', { name: 'Life' }).click();
	await expect(detail.getByRole('alert')).toContainText('Not read');
	await back();
	await expect(detail).toContainText('version 1 of 1', { timeout: 30_000 });
});

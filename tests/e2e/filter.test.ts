/** The filter field: what it says of a filter that came with a link, and as one types on. */
import { expect, insertBooks, lines, open, test } from '../support/page.ts';

test('a link to a table or a column that is not there says so, and a filter that does not parse is marked', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 1);
	await open(page, '/?q=table:Boook');
	const told = page.locator('#filter-problem');
	await expect(told).toContainText('There is no table Boook; did you mean Book?');
	await expect(told.locator('mark')).toHaveText('table:Boook');
	await open(page, '/?q=pirce%3E5');
	await expect(told).toContainText('No table here has a column pirce; did you mean price?');
	await told.getByRole('button', { name: 'Close the hint' }).click();
	await expect(told).toHaveCount(0);
	await open(page, '/?q=price%3E(');
	await expect(told.locator('mark')).toHaveText('(');
	await expect(lines(page)).toHaveCount(1);
	await open(page, '/?q=price%3E5');
	await expect(lines(page)).toHaveCount(1);
	await expect(told).toHaveCount(0);
});

test('the field suggests on after Enter, beside a column named or', async ({ page, rowcast, db }) => {
	void rowcast;
	await db.query(`create table choice (id int primary key, "or" int)`);
	const problems = await open(page);
	const field = page.getByRole('combobox', { name: 'Filter changes' });
	await field.click();
	await field.pressSequentially('op:insert');
	await field.press('Enter');
	await expect(page).toHaveURL(/q=op/);
	await field.pressSequentially(' o');
	await expect(page.getByRole('option').filter({ hasText: 'or' }).first()).toBeVisible();
	expect(problems).toEqual([]);
});

/** The undo of what was picked. */
import { expect, lines, open, test } from '../support/page.ts';

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

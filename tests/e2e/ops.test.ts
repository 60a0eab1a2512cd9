import { expect, open, test } from '../support/page.ts';

test('a click on an operation shows only it, with Alt all but it', async ({ page, rowcast }) => {
	void rowcast;
	await open(page);
	const ops = page.getByRole('group', { name: 'Show only these operations' });
	const pressed = async (insert: boolean, update: boolean) => {
		await expect(ops.getByRole('button', { name: 'insert' })).toHaveAttribute('aria-pressed', String(insert));
		await expect(ops.getByRole('button', { name: 'update' })).toHaveAttribute('aria-pressed', String(update));
	};
	const insert = ops.getByRole('button', { name: 'insert' });
	await insert.click();
	await pressed(true, false);
	await insert.click();
	await pressed(false, false);
	await insert.click({ modifiers: ['Alt'] });
	await pressed(false, true);
	await page.goBack();
	await pressed(false, false);
});

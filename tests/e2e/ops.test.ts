import { expect, open, test } from '../support/page.ts';

test('a click on an operation shows only it, with Alt all but it', async ({ page, rowcast }) => {
	void rowcast;
	await open(page);
	const ops = page.getByRole('group', { name: 'Show only these operations' });
	const pressed = () =>
		ops
			.getByRole('button')
			.evaluateAll((all) => all.map((each) => each.getAttribute('aria-pressed')).join(' '));
	const insert = ops.getByRole('button').first();
	await insert.click();
	expect(await pressed()).toBe('true false false false false');
	await insert.click();
	expect(await pressed()).toBe('false false false false false');
	await insert.click({ modifiers: ['Alt'] });
	expect(await pressed()).toBe('false true true true true');
	await page.goBack();
	await expect.poll(pressed).toBe('false false false false false');
});

/** The palette, and what stands before the page: axe finds nothing, nothing is out of reach. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, open, test } from '../support/page.ts';

async function axe(page: Page): Promise<void> {
	const { violations } = await new AxeBuilder({ page }).analyze();
	expect(violations.map(({ id, nodes }) => `${id} ${nodes[0]?.html}`)).toEqual([]);
}

test('all commands are within reach of the arrows, and how many there are is told', async ({
	page,
	rowcast
}) => {
	void rowcast;
	await open(page);
	await page.keyboard.press('Control+k');
	const palette = page.getByRole('dialog', { name: 'Commands' });
	const options = palette.getByRole('option');
	const last = (await options.count()) - 1;
	expect(last).toBeGreaterThan(20);
	await expect(palette.getByRole('status')).toHaveText(`${last + 1} of ${last + 1}`);
	await axe(page);
	for (let i = 0; i < last + 3; i++) await page.keyboard.press('ArrowDown');
	await expect(options.nth(last)).toHaveAttribute('aria-selected', 'true');
	await expect(options.nth(last)).toBeInViewport({ ratio: 0.9 });
	await page.keyboard.type('theme');
	await expect(palette.getByRole('status')).toHaveText(`3 of ${last + 1}`);
	await page.keyboard.type(' of no such name');
	await expect(palette.getByRole('status')).toHaveText('Nothing by that name.');
	await axe(page);
});

test.describe('with a token', () => {
	test.use({ rowcastEnv: { ROWCAST_TOKEN: 's3cret' } });
	test('axe finds nothing on the page that asks for it', async ({ page, rowcast }) => {
		void rowcast;
		await page.goto('/');
		await expect(page.getByRole('heading', { name: 'This Rowcast asks for a token' })).toBeVisible();
		await axe(page);
		await page.getByLabel('Token').fill('wrong');
		await page.getByRole('button', { name: 'Open' }).click();
		await expect(page.getByRole('alert')).toBeVisible();
		await axe(page);
	});
});

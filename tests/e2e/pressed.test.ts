/** The keyboard stays where it was when what was pressed goes away. */
import { expect, insertBooks, lines, open, test } from '../support/page.ts';

test('what goes away when it is pressed hands the focus on', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page, '/?table=public.Book');
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	const focused = () =>
		page.evaluate(() => document.activeElement?.closest('#changes, dialog, .strip')?.id ?? '');
	const press = (name: RegExp | string) => page.getByRole('button', { name }).first().press('Enter');
	const gone = async (name: RegExp | string) => {
		await press(name);
		await expect(page.getByRole('button', { name })).toHaveCount(0);
		await expect.poll(focused).toBe('changes');
	};
	await gone(/^Only Book/);
	await page.keyboard.press('Space');
	await gone(/go live/);
	await page.keyboard.press('j');
	await page.keyboard.press('x');
	await gone('Clear');
	await page.goto('/?then=public.Book');
	await gone('Close table');
	await page.keyboard.press('r');
	await gone('Back to live');
});

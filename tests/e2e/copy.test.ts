/** Copying where the browser gives a page no clipboard: plain http from another machine. */
import type { Page } from '@playwright/test';
import { expect, insertBooks, lines, open, openLine, test } from '../support/page.ts';

/** What the clipboard holds, by pasting it: the page cannot read it. */
async function pasted(page: Page): Promise<string> {
	await page.evaluate(() => {
		const field = document.createElement('textarea');
		document.body.append(field);
		field.focus();
	});
	await page.keyboard.press('Control+v');
	return page.evaluate(() => {
		const field = document.activeElement as HTMLTextAreaElement;
		field.remove();
		return field.value;
	});
}

test.beforeEach(({ page }) =>
	page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }))
);

test('everything that copies still does, and keeps the focus where it was', async ({ page, rowcast, db }) => {
	void rowcast;
	const problems = await open(page);
	await insertBooks(db, 1, 1);
	await openLine(lines(page).first());
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	const button = detail.getByRole('button', { name: 'JSON', exact: true });
	await button.click();
	await expect(detail.getByRole('status')).toHaveText('Copied JSON');
	await expect(button).toBeFocused();
	expect(await pasted(page)).toContain('9007199254740993');
	await detail.getByRole('button', { name: 'SQL do' }).click();
	await expect(detail.getByRole('status')).toHaveText('Copied SQL');
	expect(await pasted(page)).toContain('insert into');
	await detail.getByRole('button', { name: 'Close detail' }).click();
	await expect(page).not.toHaveURL(/row=/);

	await page.keyboard.press('Control+k');
	await page.keyboard.type('copy a link');
	await page.keyboard.press('Enter');
	const palette = page.getByRole('dialog', { name: 'Commands' });
	await expect(palette.getByRole('status')).toHaveText('Copied a link to this view');
	await page.keyboard.press('Escape');
	expect(await pasted(page)).toBe(page.url());

	await lines(page).first().focus();
	await page.keyboard.press('x');
	await page.getByRole('button', { name: 'SQL that would undo it' }).click();
	const sheet = page.getByRole('dialog', { name: 'SQL that would undo 1 change' });
	await sheet.getByRole('button', { name: 'Copy' }).click();
	await expect(sheet).toContainText('Copied');
	await sheet.getByRole('button', { name: 'Close' }).click();
	expect(await pasted(page)).toContain('delete from');
	expect(problems).toEqual([]);
});

test('a browser that refuses is told', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await openLine(lines(page).first());
	await page.evaluate(() => (document.execCommand = () => false));
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await detail.getByRole('button', { name: 'SQL do' }).click();
	await expect(detail.getByRole('status')).toHaveText(/^Not copied/);
});

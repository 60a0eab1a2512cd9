/** Whose the keys are: the page's, wherever a pointer has pressed before; a control's own for who came to it by key. */
import { expect, insertBooks, lines, open, openLine, table, test } from '../support/page.ts';

test('after a click on a control the keys are the page’s again', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await open(page);
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await table(page, 'Book').click();
	await expect(page).toHaveURL(/table=/);
	await expect(lines(page)).toHaveCount(3);
	for (const key of ['j', 'j', 'Enter']) await page.keyboard.press(key);
	await expect(detail).toContainText('Book number 2');
	expect(page.url()).toContain('table=');
	for (const key of ['Escape', '.']) await page.keyboard.press(key);
	await page.getByRole('button', { name: 'Pause', exact: true }).click();
	for (const key of ['j', 'Enter']) await page.keyboard.press(key);
	await expect(detail).toContainText('Book number 3');
	for (const key of ['Escape', '.']) await page.keyboard.press(key);
	await lines(page).nth(1).hover();
	await lines(page).nth(1).getByRole('checkbox').click();
	for (const key of ['j', 'Enter']) await page.keyboard.press(key);
	await expect(detail).toContainText('Book number 1');
	for (const key of ['Escape', 'Escape', '.']) await page.keyboard.press(key);
	await expect(page.locator('.stance')).toHaveText('Live');
	await page.getByRole('button', { name: 'Replay', exact: true }).click();
	const bar = page.getByRole('region', { name: 'Replay' });
	const play = bar.getByRole('button', { name: 'Play', exact: true });
	await expect(bar.getByRole('button', { name: 'Pause replay' })).toBeVisible();
	await page.keyboard.press(' ');
	await expect(play).toBeVisible();
	// The scrubber keeps what moves it, and no other key.
	const scrubber = bar.getByRole('slider');
	await scrubber.click();
	const at = () => scrubber.inputValue().then(Number);
	const middle = await at();
	await page.keyboard.press('ArrowLeft');
	await expect.poll(at).toBeLessThan(middle);
	await page.keyboard.press(' ');
	await expect(play).toHaveCount(0);
	await page.keyboard.press('.');
	await expect(bar).toHaveCount(0);
});

test('who comes to a control by key presses it by key; j goes on to the feed', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 2);
	await open(page);
	const pause = page.getByRole('button', { name: /^(Pause|Follow)$/ });
	await pause.focus();
	await page.keyboard.press('Enter');
	await expect(page.locator('.stance')).toHaveText('Paused');
	await expect(pause).toBeFocused();
	await page.keyboard.press(' ');
	await expect(page.locator('.stance')).toHaveText('Live');
	const sort = page.getByRole('combobox', { name: 'Sort tables by' });
	await sort.focus();
	await page.keyboard.press('r');
	await expect(sort).toHaveValue('rate');
	await page.keyboard.press('ArrowDown');
	await expect(sort).toHaveValue('last');
	await pause.focus();
	await page.keyboard.press('j');
	await expect(lines(page).first()).toBeFocused();
});

test('a chosen line goes by pages and to the ends, and keeps the focus', async ({ page, rowcast, db }) => {
	void rowcast;
	await db.query(`insert into "Book" select n, 'n ' || n, 1, 1, null from generate_series(1, 180) n`);
	await open(page);
	await openLine(lines(page).first());
	await expect(lines(page).nth(5)).toBeVisible();
	await page.keyboard.press('Home');
	const focused = page.locator('article:focus');
	const place = async () => Number(await focused.getAttribute('aria-posinset'));
	await expect.poll(place).toBe(1);
	await page.keyboard.press('PageDown');
	await expect.poll(place).toBeGreaterThan(10);
	const paged = await place();
	await page.keyboard.press('PageDown');
	await expect.poll(place).toBe(2 * paged - 1);
	await expect(focused).toBeInViewport({ ratio: 1 });
	await page.keyboard.press('End');
	await expect.poll(place).toBe(181);
	await expect(focused).toBeInViewport({ ratio: 1 });
	await page.keyboard.press('PageUp');
	await expect.poll(place).toBe(182 - paged);
	await page.keyboard.press('Home');
	await expect.poll(place).toBe(1);
});

test('over a table that is open the keys go through its rows, and what is chosen then closes it', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await db.query(`insert into "User" values (3, 'Ann')`);
	await open(page, '/?then=public.Book');
	const rows = page.getByRole('region', { name: 'Rows' });
	const button = (row: number) => rows.locator('tbody tr').nth(row).getByRole('button');
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await expect(rows.locator('tbody tr')).toHaveCount(3);
	for (const key of ['j', 'j']) await page.keyboard.press(key);
	await expect(button(1)).toBeFocused();
	await page.keyboard.press('Enter');
	await expect(detail).toContainText('Book number 2');
	await page.keyboard.press('j');
	await expect(detail).toContainText('Book number 3');
	await page.keyboard.press('Escape');
	await expect(detail).toHaveCount(0);
	await rows.focus();
	for (const key of ['ArrowDown', 'Enter']) await page.keyboard.press(key);
	await expect(detail).toHaveCount(0);
	await expect(page.locator('article[data-selected]')).toHaveCount(0);
	await table(page, 'User').click();
	await expect(rows).toHaveCount(0);
	await expect(lines(page).first()).toContainText('“Ann”');
});

test('in a row’s detail the arrows scroll, and j goes on', async ({ page, rowcast, db }) => {
	void rowcast;
	await page.setViewportSize({ width: 1440, height: 420 });
	await insertBooks(db, 1, 2);
	await open(page);
	await expect(lines(page)).toHaveCount(2);
	for (const key of ['j', 'Enter']) await page.keyboard.press(key);
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await detail.getByRole('tab', { name: 'Raw' }).click();
	const panel = detail.getByRole('tabpanel');
	await panel.focus();
	await page.keyboard.press('ArrowDown');
	await expect.poll(() => panel.evaluate(({ scrollTop }) => scrollTop)).toBeGreaterThan(0);
	await expect(detail.getByRole('heading')).toContainText('Book 2');
	await page.keyboard.press('j');
	await expect(detail.getByRole('heading')).toContainText('Book 1');
});

test('a hand that comes back to the top goes live, also after a row was open', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 60);
	await open(page);
	await openLine(lines(page).nth(2));
	await page.getByRole('button', { name: 'Close detail' }).click();
	const stance = page.locator('.stance');
	await expect(stance).toHaveText('Reading');
	await lines(page).nth(5).hover();
	await page.mouse.wheel(0, 400);
	await expect.poll(() => page.locator('#changes').evaluate((it) => it.scrollTop)).toBeGreaterThan(300);
	await expect(stance).toHaveText('Reading');
	await page.mouse.wheel(0, -1000);
	await expect(stance).toHaveText('Live');
	// The keyboard's line is stood on at the top as well.
	for (const key of ['j', 'End', 'Home']) await page.keyboard.press(key);
	await expect(lines(page).first()).toBeFocused();
	await expect(stance).toHaveText('Reading');
});

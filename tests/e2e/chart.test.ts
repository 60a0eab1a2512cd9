/** The chart while time goes by, and as far back as the log goes. */
import { expect, hasBar, insertBooks, open, test } from '../support/page.ts';

test('a stretch begins at the moment that was pressed, however long the hand takes', async ({
	page,
	rowcast
}) => {
	void rowcast;
	await open(page, '/?span=1m');
	const chart = page.getByRole('application');
	const box = (await chart.boundingBox())!;
	await page.mouse.move(box.x + box.width - 500, box.y + 40);
	const readout = page.locator('.readout');
	await expect(readout).toBeVisible();
	const [pressed] = /\d\d:\d\d:\d\d/.exec(await readout.innerText())!;
	await page.mouse.down();
	await page.waitForTimeout(5000);
	await page.mouse.move(box.x + box.width - 300, box.y + 40, { steps: 2 });
	await page.mouse.up();
	await expect(page).toHaveURL(/from=/);
	const from = new Date(new URL(page.url()).searchParams.get('from')!);
	const off = from.getTime() - Date.parse(`${from.toISOString().slice(0, 10)}T${pressed}Z`);
	expect(Math.abs(off)).toBeLessThan(2000);
});

test('a press that rests is no stretch, though time goes by under it', async ({ page, rowcast }) => {
	void rowcast;
	await open(page, '/?span=1m');
	const box = (await page.getByRole('application').boundingBox())!;
	await page.mouse.move(box.x + 400, box.y + 40);
	await page.mouse.down();
	await page.waitForTimeout(1500);
	await page.mouse.up();
	await page.waitForTimeout(300);
	expect(page.url()).not.toContain('from=');
});

test('the chart is read out when a key is pressed, and not while it is left alone', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page, '/?span=1m');
	await insertBooks(db, 1, 1);
	const chart = page.locator('.chart');
	await chart.getByRole('application').focus();
	for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowLeft');
	const said = chart.locator('[aria-live]');
	await expect(said).toHaveText(/^\d\d:\d\d:\d\d: \d+ inserts?, 0 updates, 0 deletes$/);
	const first = await said.innerText();
	await page.waitForTimeout(2500);
	expect(await said.innerText()).toBe(first);
	// The moment that was chosen goes by with its time.
	expect(await page.locator('.readout').innerText()).toContain(first.slice(0, 8));
	await page.keyboard.press('ArrowLeft');
	await expect(said).not.toHaveText(first);
	// With Shift it is the stretch, and all that is in it.
	for (let i = 0; i < 30; i++) await page.keyboard.press('Shift+ArrowRight');
	await expect(said).toHaveText(/^\d\d:\d\d:\d\d to \d\d:\d\d:\d\d: 1 insert, 0 updates, 0 deletes$/);
});

test('where the log begins is marked, and a day is called the same everywhere', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await page.getByRole('group', { name: 'Time shown' }).getByRole('button', { name: '24h' }).click();
	await expect(page.getByRole('navigation')).toContainText('last 24 h');
	await expect(page.getByRole('region', { name: 'Activity over time' })).toContainText('The log begins at');
});

test('bars take the colours of the theme that is chosen and of a system that turns dark, live and in replay', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await page.emulateMedia({ colorScheme: 'light' });
	await open(page);
	await insertBooks(db, 1, 5);
	const inserts = () => expect.poll(() => hasBar(page, 'insert')).toBe(true);
	await inserts();
	await page.emulateMedia({ colorScheme: 'dark' });
	await inserts();
	const now = Date.now();
	const [from, to] = [now - 60_000, now + 1000].map((at) => new Date(at).toISOString());
	await page.goto(`/?from=${from}&to=${to}&at=${to}`);
	await inserts();
	await page.keyboard.press('t');
	await expect(page.locator('html')).toHaveAttribute('data-theme', 'light');
	await inserts();
});

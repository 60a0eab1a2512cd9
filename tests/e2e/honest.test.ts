/** What is not known is not told as a fact: another day, a replay that is not loaded, a transaction seen in part. */
import { counter, expect, insertBooks, lines, open, openLine, table, test } from '../support/page.ts';

const DAY_MS = 86_400_000;

for (const width of [1440, 390])
	test(`lines of another day name it, and a row’s life too: ${width}`, async ({ page, rowcast, db }) => {
		void rowcast;
		await page.setViewportSize({ width, height: 900 });
		await insertBooks(db, 1, 1);
		await db.query(`begin; update "Book" set price = 1; update "Book" set price = 2; commit`);
		await open(page);
		const line = lines(page).last();
		await expect(line.locator('time')).toHaveText(/^\d\d:\d\d:\d\d\.\d{3}$/);
		const day = /^\d{1,2} [A-Z][a-z]{2,4}, \d\d:\d\d:\d\d$/;
		const times = page.locator('[role="feed"] time, [role="tabpanel"] li time');
		await page.clock.setFixedTime(Date.now() + DAY_MS);
		await expect(line.locator('time')).toHaveText(day);
		await expect(line).toHaveAccessibleName(/insert Book 1 .*, \d\d:\d\d:\d\d$/);
		await openLine(line);
		await expect(
			page.getByRole('complementary', { name: 'Detail of a change' }).locator('time').first()
		).toHaveText(day);
		await page.getByRole('tab', { name: 'Life' }).click();
		await expect(page.locator('[role="tabpanel"] li time')).toHaveText([day, day, day]);
		for (const time of await times.all())
			if (await time.isVisible())
				expect(await time.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBeLessThan(
					1
				);
		// Of a replay, what is of its own day need not say so.
		const [from, to] = [-60_000, 60_000].map((ms) => new Date(Date.now() + ms).toISOString());
		await page.goto(`/?from=${from}&to=${to}&at=${to}`);
		await expect(lines(page).last().locator('time')).toHaveText(/^\d\d:\d\d:\d\d\.\d{3}$/);
	});

test('of a replay that the server cannot give yet, nothing is told as if it were known', async ({
	page,
	rowcast,
	db
}) => {
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	await expect(table(page, 'User')).toContainText('no change in');
	await rowcast.stop('SIGKILL');
	await expect(page.locator('header')).toContainText('Server away');
	await page.keyboard.press('r');
	await expect(page.getByRole('region', { name: 'Replay' })).toBeVisible();
	await expect(page.getByRole('region', { name: 'Changes' })).toContainText(
		'The server is away: what is shown is of the view before'
	);
	await expect(page.locator('nav')).not.toContainText('no change');
	await expect(page.locator('nav [data-count]')).toHaveCount(0);
	await expect(page.locator('nav .rate').first()).toHaveText('–/s');
});

test('a small transaction that may have more rows says so by a +, and when it is opened has them all', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await expect(page.locator('header')).toContainText('Following');
	// More in a tick than a page is sent of it, and of many transactions.
	const burst = db.query(`do $$ begin for i in 1..6000 loop
		insert into "User" values (10 + i, 'U'); insert into "Book" values (i, 'B ' || i, 1, 1, 1); commit; end loop; end $$`);
	const card = lines(page).filter({ hasText: '2+ rows' }).first();
	// Held still while there is one in sight.
	await expect(async () => {
		await expect(card).toBeVisible({ timeout: 5000 });
		await page.keyboard.press('Space');
		const held = (await card.count()) > 0;
		if (!held) await page.keyboard.press('Space');
		expect(held).toBe(true);
	}).toPass();
	await burst;
	await expect(lines(page).filter({ hasText: 'there may be more' })).toHaveCount(0);
	const place = (await lines(page).allInnerTexts()).findIndex((text) => text.includes('2+ rows'));
	await openLine(card);
	await expect(lines(page).nth(place)).toContainText(/2 rows.*▾/s);
	for (const row of [1, 2]) await expect(lines(page).nth(place + row)).toHaveClass(/nested/);
	await expect(lines(page).nth(place + 3)).not.toHaveClass(/nested/);
	await expect(lines(page).filter({ hasText: 'before these' })).toHaveCount(0);
});

test('by what the tables are sorted is told whole in a narrow window', async ({ page, rowcast }) => {
	void rowcast;
	await page.setViewportSize({ width: 720, height: 450 });
	await open(page, '/?span=15m');
	const select = page.getByRole('combobox', { name: 'Sort tables by' });
	await select.selectOption('last');
	const room = () =>
		select.evaluate((element) => {
			const text = document.createElement('span');
			text.textContent = (element as HTMLSelectElement).selectedOptions[0]!.textContent;
			element.parentElement!.append(text);
			const { width } = text.getBoundingClientRect();
			text.remove();
			return element.clientWidth - width;
		});
	expect(await room()).toBeGreaterThanOrEqual(0);
	await page.keyboard.press('Escape');
	await page.keyboard.press('r');
	await expect(page.locator('nav .span')).toHaveText('so far');
	expect(await room()).toBeGreaterThanOrEqual(0);
});

/** What the page says in words and figures, and what it keeps to: the locale, the theme, the width, less motion. */
import AxeBuilder from '@axe-core/playwright';
import type { Locator } from '@playwright/test';
import { counter, expect, insertBooks, lines, open, openLine, table, test } from '../support/page.ts';

for (const width of [1440, 390])
	test.describe(`${width} px wide`, () => {
		test.use({ viewport: { width, height: 844 } });
		test(`of more than one reads, it says how much is shown: ${width} px`, async ({ page, rowcast, db }) => {
			void rowcast;
			await open(page);
			const sampled = page.locator('.sampled');
			let going = true;
			const load = (async () => {
				for (let id = 1; going && id < 200_000; id += 500) {
					await db.query(
						`insert into "Book" select n, 'n', 1, 1, null from generate_series($1::int, $1 + 499) n`,
						[id]
					);
					// Ten thousand a second at most.
					await new Promise((resolve) => setTimeout(resolve, 50));
				}
			})();
			await expect(sampled).toHaveText(/^[\d.,]+k? of [\d.,]+k?\/s shown$/i);
			// Paused, it stands beside what waits, and each is whole.
			await page.keyboard.press(' ');
			const pill = page.getByRole('button', { name: /waiting/ });
			await expect(pill).toBeVisible();
			await expect(sampled).toHaveText(/shown$/);
			const ends = async (locator: Locator) => {
				const { x, width } = (await locator.boundingBox())!;
				return [x, x + width] as const;
			};
			const [stance, waits, shown] = [
				await ends(page.locator('.stance')),
				await ends(pill),
				await ends(sampled)
			];
			expect(await page.locator('.stance').evaluate((it) => it.scrollWidth - it.clientWidth)).toBe(0);
			expect(stance[1]).toBeLessThanOrEqual(waits[0]);
			expect(waits[1]).toBeLessThanOrEqual(shown[0]);
			expect(shown[1]).toBeLessThanOrEqual(width);
			going = false;
			await load;
			await expect(sampled).toHaveText('');
		});
	});

test('tables are sorted by name, share, rate and last change', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	await db.query(`update "User" set name = 'x' where id = 2`);
	await expect(counter(page, 'User', 'UPDATE')).toHaveText('1');
	const order = page.locator('nav [data-table]');
	const sort = page.getByRole('combobox', { name: 'Sort tables by' });
	const first = (name: string) => expect(order.first()).toHaveAttribute('data-table', name);
	await first('<b onclick=alert(1)>');
	await sort.selectOption('last change');
	await first('User');
	await sort.selectOption('share');
	await first('Book');
	await db.query(`insert into "<b onclick=alert(1)>" select n from generate_series(1, 40) n`);
	await expect(counter(page, '<b onclick=alert(1)>', 'INSERT')).toHaveText('40');
	await db.query(`delete from "Book" where id = 1`);
	await sort.selectOption('rate');
	await first('<b onclick=alert(1)>');
	await sort.selectOption('last change');
	await first('Book');
});

test.describe('where only what is asked for is watched', () => {
	test.use({ rowcastEnv: { ROWCAST_WATCH: '' } });
	test('a table of which nothing is recorded says why', async ({ page, rowcast, db }) => {
		void rowcast;
		await page.goto('/');
		await db.query(`select rowcast.watch('"Book"')`);
		await expect(table(page, 'Book')).toContainText('no change in 5 min');
		await expect(table(page, 'User')).toContainText('not watched');
		await db.query(`alter table "Book" disable trigger user`);
		await expect(table(page, 'Book')).toContainText('Its trigger is disabled: nothing is recorded');
		const { violations } = await new AxeBuilder({ page }).analyze();
		expect(violations.map(({ id }) => id)).toEqual([]);
	});
});

test('a theme that was chosen is there after a reload', async ({ page, rowcast }) => {
	void rowcast;
	await page.emulateMedia({ colorScheme: 'light' });
	await open(page);
	const paper = () => page.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor);
	const light = await paper();
	const button = page.getByRole('button', { name: /^Theme/ });
	while ((await button.getAttribute('aria-label')) !== 'Theme: dark') await button.click();
	await expect.poll(paper).not.toBe(light);
	const dark = await paper();
	await page.reload();
	await expect(button).toHaveAttribute('aria-label', 'Theme: dark');
	expect(await paper()).toBe(dark);
});

test.describe('in German', () => {
	test.use({ locale: 'de-DE' });
	test('figures and times are written as there', async ({ page, rowcast, db }) => {
		void rowcast;
		await open(page);
		await db.query(`insert into "Book" select n, 'n', 1, 1, null from generate_series(1, 1500) n`);
		await expect(counter(page, 'Book', 'INSERT')).toHaveText('1.500');
		await expect(lines(page).first().locator('time')).toHaveText(/^\d\d:\d\d:\d\d,\d{3}$/);
		await expect(lines(page).first()).toContainText('Book ×1.500');
		await expect(table(page, 'Book')).toContainText('100 %');
		await insertBooks(db, 2001, 2001);
		await openLine(lines(page).filter({ hasText: 'Book 2001' }));
		// The row's own values are not figures of the page: they stay as they are stored.
		await expect(page.getByRole('complementary')).toContainText('9007199254740993');
		await expect(page.getByRole('complementary')).toContainText('9.50');
	});
});

test('what is new is marked without motion where that is asked for', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	const motion = () =>
		page
			.locator('.fresh')
			.first()
			.evaluate((line) => getComputedStyle(line, '::before').animationName);
	await insertBooks(db, 1, 1);
	await expect.poll(motion).not.toBe('none');
	await page.emulateMedia({ reducedMotion: 'reduce' });
	await expect.poll(motion).toBe('none');
});

test('a long value is cut until all of it is asked for', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await db.query(`insert into "Book" (id, title) values (1, repeat('word ', 400) || 'end')`);
	await openLine(lines(page).first());
	const panel = page.getByRole('tabpanel');
	await expect(panel).not.toContainText('word end');
	await panel.getByRole('button', { name: 'load all 2,003 characters' }).click();
	await expect(panel).toContainText('word end');
});

test('a table that changes its shape has a line, which an open row passes over', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(1);
	await db.query(`alter table "Book" add column shelf text`);
	await expect(lines(page).first()).toContainText('Book has a new column shelf (text)');
	await insertBooks(db, 2, 2);
	await expect(lines(page)).toHaveCount(3);
	await openLine(lines(page).first());
	await page.keyboard.press('j');
	await expect(page.getByRole('complementary')).toContainText('Book number 1');
	await expect(page.locator('article[data-selected]')).toContainText('Book number 1');
});

for (const width of [900, 720, 390])
	test.describe(`${width} px wide`, () => {
		test.use({ viewport: { width, height: 700 } });
		test(`how long a change takes to the screen is told: ${width} px`, async ({ page, rowcast, db }) => {
			void rowcast;
			await open(page);
			await insertBooks(db, 1, 1);
			const delay = page.getByText(/[\d.]+ m?s\s*· p95 [\d.]+ m?s/).filter({ visible: true });
			await expect(delay).toHaveCount(1);
			const box = (await delay.boundingBox())!;
			expect(box.x + box.width).toBeLessThanOrEqual(width);
			expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
		});
	});

for (const [name, viewport, colorScheme] of [
	['light', { width: 1440, height: 900 }, 'light'],
	['dark', { width: 1440, height: 900 }, 'dark'],
	['phone, light', { width: 390, height: 844 }, 'light'],
	['phone, dark', { width: 390, height: 844 }, 'dark']
] as const)
	test.describe(name, () => {
		test.use({ viewport, colorScheme });
		test(`axe finds nothing in what opens, folds and goes away: ${name}`, async ({ page, rowcast, db }) => {
			test.slow();
			void rowcast;
			const check = async (state: string) => {
				const { violations } = await new AxeBuilder({ page }).analyze();
				expect(violations.map(({ id, nodes }) => `${state}: ${id} ${nodes[0]?.html}`)).toEqual([]);
			};
			await open(page);
			await db.query(`begin;
				insert into "Book" select n, 'n', 1, 1, null from generate_series(1, 8) n;
				update "Book" set price = 2 where id = 1;
				commit`);
			await openLine(lines(page).filter({ hasText: 'commit' }));
			await expect(
				lines(page)
					.filter({ hasText: /Book\s*×8\s*folded|Book ×8/ })
					.first()
			).toBeVisible();
			await check('a card that is open');
			await page.keyboard.press('j');
			await page.keyboard.press('x');
			await expect(page.getByRole('region', { name: 'Picked changes' })).toBeVisible();
			await check('picked');
			await page.keyboard.press('Escape');
			await page.keyboard.press('.');
			await page.keyboard.press(' ');
			await expect(page.locator('.stance')).toHaveText('Paused');
			await insertBooks(db, 20, 20);
			await expect(page.getByRole('button', { name: /1 waiting/ })).toBeVisible();
			await check('paused');
			await page.keyboard.press('.');
			await openLine(lines(page).filter({ hasText: 'Book 20' }));
			for (const tab of ['Related', 'Life', 'Raw']) {
				await page.getByRole('tab', { name: tab }).click();
				await check(tab);
			}
			await page.getByRole('button', { name: 'Close detail' }).click();
			if (viewport.width < 700) {
				await page.getByRole('button', { name: 'Tables' }).click();
				await expect(table(page, 'Book')).toBeVisible();
				await check('the sheet of tables');
				await page.keyboard.press('Escape');
			}
			await page.getByRole('button', { name: 'Export' }).click();
			await check('export');
			await page.keyboard.press('Escape');
			const field = page.getByRole('combobox', { name: 'Filter changes' });
			await field.fill('price>9 and (');
			await field.press('Enter');
			await expect(page.getByRole('alert')).toBeVisible();
			await check('a filter that does not parse');
			await rowcast.stop('SIGKILL');
			await expect(page.locator('.stance')).toHaveText('Server away');
			await check('server away');
		});
	});

import AxeBuilder from '@axe-core/playwright';
import { counter, expect, insertBooks, lines, open, openLine, table, test } from '../support/page.ts';

test('a row written in SQL appears, and its counter counts it', async ({ page, rowcast, db }) => {
	void rowcast;
	const problems = await open(page);
	await db.query(`insert into "Book" values (42, 'Emma', 9.50, 1, 1)`);
	await expect(lines(page).first()).toContainText('insert');
	await expect(lines(page).first()).toContainText('Book 42');
	await expect(lines(page).first()).toContainText('“Emma”');
	await db.query(`update "Book" set price = 10.00 where id = 42`);
	await expect(lines(page).first()).toContainText('price');
	await expect(lines(page).first()).toContainText('9.50');
	await expect(lines(page).first()).toContainText('10.00');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('1');
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText('1');
	expect(problems).toEqual([]);
});

test('the past is there when the page opens', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await expect(async () => {
		await open(page);
		await expect(lines(page)).toHaveCount(3, { timeout: 500 });
	}).toPass();
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
});

test('a filter by table and op lives in the address and narrows feed and counters together', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 2);
	await db.query(`update "User" set name = 'Charlotte' where id = 2`);
	await expect(lines(page)).toHaveCount(3);
	await table(page, 'Book').click();
	await expect(page).toHaveURL(/table=public\.Book/);
	await expect(lines(page)).toHaveCount(2);
	await expect(page.locator('[data-ready]')).not.toContainText('Charlotte');
	await expect(table(page, 'User').locator('[data-count]')).toHaveCount(0);
	await page
		.getByRole('group', { name: 'Show only these operations' })
		.getByRole('button', { name: 'update' })
		.click();
	await expect(page).toHaveURL(/op=update/);
	await expect(lines(page)).toHaveCount(0);
	await db.query(`update "Book" set price = 1 where id = 1`);
	await insertBooks(db, 3, 3);
	await expect(lines(page)).toHaveCount(1);
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText('1');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('0');
	await page.goBack();
	await expect(page).not.toHaveURL(/op=/);
	await expect(lines(page)).toHaveCount(4);
});

test('pausing holds the feed still and tells what waits; following shows it', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(1);
	await page.keyboard.press(' ');
	await insertBooks(db, 2, 6);
	await expect(page.getByRole('button', { name: /5 waiting/ })).toBeVisible();
	await expect(lines(page)).toHaveCount(1);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('6');
	await page.keyboard.press('.');
	await expect(lines(page)).toHaveCount(6);
});

test('the keyboard opens a row, moves to its neighbours and closes; values are exact', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 2);
	await expect(lines(page)).toHaveCount(2);
	await page.keyboard.press('j');
	await page.keyboard.press('Enter');
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await expect(detail).toContainText('Book number 2');
	await expect(detail).toContainText('9007199254740993');
	await expect(detail).toContainText('9.50');
	await page.keyboard.press('j');
	await expect(detail).toContainText('Book number 1');
	await detail.getByRole('tab', { name: 'Raw' }).click();
	await expect(detail.getByRole('tabpanel')).toContainText('"op": "INSERT"');
	await page.keyboard.press('Escape');
	await expect(detail).toHaveCount(0);
	await page.keyboard.press('Escape');
	await expect(page.getByRole('region', { name: 'Changes' }).getByText('Live')).toBeVisible();
});

test('with a row open the keyboard goes from row to row, over what is folded', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 1);
	await db.query(`insert into "Book" select n, 'n', 1, 1, null from generate_series(11, 18) n`);
	await insertBooks(db, 2, 2);
	await expect(lines(page)).toHaveCount(3);
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	const chosen = page.locator('article[data-selected]');
	await openLine(lines(page).first());
	await expect(detail).toContainText('Book number 2');
	await page.keyboard.press('j');
	await expect(detail).toContainText('Book number 1');
	await expect(chosen).toContainText('Book 1');
	// There is no other after it.
	await page.keyboard.press('j');
	await expect(chosen).toContainText('Book 1');
	// What opens beside it leaves it the chosen one, and is gone through from then on.
	await openLine(lines(page).nth(1));
	await expect(lines(page).nth(2)).toContainText('Book 11');
	await expect(chosen).toContainText('Book 1');
	await page.keyboard.press('k');
	await expect(chosen).toContainText('Book 18');
	await expect(detail.getByRole('heading')).toContainText('Book 18');
	// Folded away, the line that folds it is chosen.
	await lines(page).nth(1).dispatchEvent('click');
	await expect(lines(page)).toHaveCount(3);
	await expect(chosen).toContainText('×8');
});

test('a transaction is one card, a batch folds, references stand under their cause', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await db.query(`insert into "Book" select n, 'n ' || n, 1, 1, 1 from generate_series(1, 30) n`);
	await expect(lines(page)).toHaveCount(1);
	await expect(lines(page).first()).toContainText('×30');
	await db.query(`update "User" set name = 'Jane Austen' where id = 1`);
	await expect(lines(page).nth(1)).toContainText('Book ×30');
	await expect(lines(page).nth(1)).toContainText('via authorId');
	await openLine(lines(page).nth(2));
	await expect(lines(page).nth(3)).toContainText('“n 1”');
});

test('in an opened transaction each batch is a line of its own, which opens to its rows', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await db.query(`begin;
		insert into "Book" select n, 'n ' || n, 1, 1, null from generate_series(1, 100) n;
		update "User" set name = 'x';
		update "Book" set price = 2 where id <= 60;
		commit`);
	const card = lines(page).first();
	await expect(card).toContainText(/162 rows/);
	await card.click();
	await expect(lines(page)).toHaveCount(5);
	const [inserts, updates] = [lines(page).nth(1), lines(page).nth(4)];
	await expect(inserts).toHaveAccessibleName(/insert\s*Book ×100\s*folded/);
	await expect(lines(page).nth(2)).toContainText(/update\s*User 1/);
	await expect(updates).toContainText(/update\s*Book ×60/);
	for (let i = 0; i < 4; i++) await page.keyboard.press('j');
	await expect(updates).toBeFocused();
	await page.keyboard.press('Enter');
	await expect(updates).toHaveAccessibleName(/open$/);
	await expect(lines(page).nth(5)).toContainText(/update\s*Book 1/);
	await page.keyboard.press('x');
	await expect(page.getByText('60 changes picked')).toBeVisible();
	await page.keyboard.press('Enter');
	await expect(lines(page)).toHaveCount(5);
	await inserts.click();
	await expect(lines(page).nth(2)).toContainText('“n 1”');
});

test('a transaction of which only a part is here tells all that it did', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await db.query(`begin;
		insert into "Book" select n, 'n', 1, 1, null from generate_series(1, 2000) n;
		update "Book" set price = 2 where id <= 1500;
		commit`);
	await expect(lines(page).first()).toContainText(
		/3,500 rows\s*\+\s*insert\s*Book\s*×2,000\s*~\s*update\s*Book\s*×1,500\s*200 of them shown/
	);
});

test('replay moves feed and counters with the playhead, and leads back to live', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await page.waitForTimeout(2500);
	await db.query(`delete from "Book" where id = 1`);
	await open(page);
	await expect(lines(page)).toHaveCount(4);
	await page.getByRole('button', { name: 'Replay', exact: true }).click();
	const bar = page.getByRole('region', { name: 'Replay' });
	await expect(bar).toBeVisible();
	await expect(page).toHaveURL(/from=/);
	// At first only what came first is there; later all of it.
	await expect(lines(page)).toHaveCount(3);
	await expect(counter(page, 'Book', 'DELETE')).toHaveText('0');
	await expect(lines(page)).toHaveCount(4, { timeout: 15_000 });
	await expect(counter(page, 'Book', 'DELETE')).toHaveText('1');
	await bar.getByRole('button', { name: 'To the start' }).click();
	await expect(lines(page)).toHaveCount(0);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('0');
	await bar.getByRole('button', { name: 'Back to live' }).click();
	await expect(bar).toHaveCount(0);
	await insertBooks(db, 9, 9);
	await expect(lines(page).first()).toContainText('Book 9');
});

test('a database that goes away is shown, and so is its return', async ({ page, rowcast, away, back }) => {
	void rowcast;
	await open(page);
	await expect(page.locator('header')).toContainText('Following');
	await away();
	await page.keyboard.press('w');
	await expect(page.getByText(/Database away for/)).toBeVisible();
	await page.keyboard.press('w');
	await back();
	await expect(page.locator('header')).toContainText('Following', { timeout: 30_000 });
});

test('values, names and keys are inert', async ({ page, rowcast, db }) => {
	void rowcast;
	const evil = `<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>`;
	const problems = await open(page);
	await expect(table(page, '<b onclick=alert(1)>')).toBeVisible();
	await db.query(`insert into "<b onclick=alert(1)>" values ($1, $1)`, [evil]);
	await expect(lines(page).first()).toContainText('<img src=x');
	await page.keyboard.press('j');
	await page.keyboard.press('Enter');
	await expect(page.getByRole('complementary')).toContainText('onerror');
	expect(await page.evaluate(() => 'harmed' in window)).toBe(false);
	expect(problems).toEqual([]);
});

for (const [name, viewport, colorScheme] of [
	['light', { width: 1440, height: 900 }, 'light'],
	['dark', { width: 1440, height: 900 }, 'dark'],
	['phone', { width: 390, height: 844 }, 'light']
] as const) {
	test.describe(name, () => {
		test.use({ viewport, colorScheme });
		test(`axe finds nothing: ${name}`, async ({ page, rowcast, db }) => {
			void rowcast;
			const check = async (state: string) => {
				const { violations } = await new AxeBuilder({ page }).analyze();
				expect(violations.map(({ id, nodes }) => `${state}: ${id} ${nodes[0]?.html}`)).toEqual([]);
			};
			await open(page);
			await check('empty');
			await insertBooks(db, 1, 3);
			await db.query(`insert into "Book" select n, 'n', 1, 1, 1 from generate_series(10, 30) n`);
			await db.query(`update "User" set name = 'x' where id = 1`);
			await expect(lines(page).nth(3)).toBeVisible();
			await check('live');
			await page.keyboard.press('j');
			await page.keyboard.press('Enter');
			await check('detail');
			await page.keyboard.press('Escape');
			await page.keyboard.press('.');
			await page.keyboard.press('r');
			await expect(page.getByRole('region', { name: 'Replay' })).toBeVisible();
			await check('replay');
			await page.keyboard.press('Escape');
			await page.keyboard.press('?');
			await check('keys');
		});
	});
}

test.describe('on a phone', () => {
	test.use({ viewport: { width: 390, height: 844 } });
	test('all parts of the page begin and end at the same margins', async ({ page, rowcast, db }) => {
		void rowcast;
		await open(page);
		await insertBooks(db, 1, 1);
		const line = lines(page).first();
		await expect(line).toBeVisible();
		const edges = async (selector: string) => {
			const { x, width } = (await page.locator(selector).first().boundingBox())!;
			return [x, x + width];
		};
		expect(await edges('header input')).toEqual([12, 378]);
		expect(await edges('article .what')).toEqual([12, 378]);
		expect((await edges('.strip .controls'))[1]).toBe(378);
		expect((await edges('h1'))[0]).toBe(12);
		expect((await edges('.ledger .stance'))[0]).toBe(12);
		await openLine(line);
		expect((await edges('.detail h2'))[0]).toBe(12);
	});
});

test('the first load is small', async ({ page, rowcast }) => {
	void rowcast;
	let bytes = 0;
	page.on('response', async (response) => {
		if (!response.url().endsWith('.js')) return;
		const { responseBodySize } = await response.request().sizes();
		bytes += responseBodySize;
	});
	await open(page);
	await page.waitForTimeout(500);
	expect(bytes).toBeGreaterThan(0);
	expect(bytes).toBeLessThan(170_000);
});

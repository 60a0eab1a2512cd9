/** The detail: what changed inside a document, values that the log holds in part, the way back to the feed. */
import type { Locator } from '@playwright/test';
import { expect, insertBooks, lines, open, openLine, table, test } from '../support/page.ts';

test('a document is told by the paths that changed', async ({ page, rowcast, db }) => {
	void rowcast;
	await db.query(`create table doc (id int primary key, meta jsonb)`);
	await db.query(`insert into doc values (1, '{"tags": ["a"], "dim": {"w": 1, "h": 2}}')`);
	await open(page);
	await expect(page.locator('nav [data-table="doc"] [data-count="INSERT"]')).toBeVisible();
	await db.query(`update doc set meta = jsonb_set(meta, '{dim,h}', '3')`);
	await openLine(lines(page).filter({ hasText: 'update' }).first());
	const panel = page.getByRole('tabpanel');
	await expect(panel.locator('dd').first()).toHaveText(
		/^\s*dim\.h before\s*2\s*→ after\s*3\s*\+ 2 the same\s*$/
	);
	await panel.getByRole('button', { name: '+ 2 the same' }).click();
	await expect(panel).toContainText('dim.w 1');
});

test('of a value that is too large for the log, it is told how large it is', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await db.query(`create table long (id int primary key, t text, j jsonb)`);
	await open(page);
	await expect(page.locator('nav [data-table="long"] [data-count="INSERT"]')).toBeVisible();
	await db.query(
		`insert into long select 1, string_agg(md5(n::text), ''), jsonb_agg(md5(n::text)) from generate_series(1, 16000) n`
	);
	await openLine(lines(page).filter({ hasText: 'insert' }).first());
	const panel = page.getByRole('tabpanel');
	await expect(panel).toContainText(/c4ca4238.*… \d+ kB as stored: only its beginning is kept/);
	await expect(panel).toContainText(/\d+ kB as stored: too large to be kept/);
	await expect(panel).not.toContainText('load all');
	await expect(panel.locator('dt').nth(1)).toHaveText(/^t\s*only$/);
});

test('what cannot be seen of a key, a name or a cell has its sign wherever it stands', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await db.query(`create table "odd\u200b" (id text primary key, "turned\u202e" text)`);
	await open(page);
	await db.query(`insert into "odd\u200b" values ('a', 'x')`);
	await db.query(`insert into "odd\u200b" values ('a\u200b', 'x\u200b')`);
	const signs = (within: Locator, code: string) => within.locator(`[data-sign="U+${code}"]`);
	const inserts = lines(page).filter({ hasText: 'insert' });
	await expect(inserts).toHaveCount(2);
	const line = inserts.first();
	await expect(signs(line.locator('.table'), '200B')).toHaveCount(1);
	await expect(signs(line.locator('.key'), '200B')).toHaveCount(1);
	await expect(signs(inserts.last().locator('.key'), '200B')).toHaveCount(0);
	await expect(signs(line.locator('.what'), '202E')).toHaveCount(1);
	await expect(signs(table(page, 'odd\u200b'), '200B')).toHaveCount(1);
	await openLine(line);
	const detail = page.getByRole('complementary', { name: 'Detail' });
	await expect(signs(detail.getByRole('heading'), '200B')).toHaveCount(2);
	await expect(signs(detail.locator('dt'), '202E')).toHaveCount(1);
	await page.keyboard.press('Escape');
	await page.getByRole('button', { name: 'Open odd\u200b as it is' }).click();
	const then = page.getByRole('region', { name: /^odd/ });
	await expect(signs(then.getByRole('columnheader'), '202E')).toHaveCount(1);
	await expect(signs(then.getByRole('cell'), '200B')).toHaveCount(2);
});

test('closing the detail gives the keyboard back to its line', async ({ page, rowcast, db }) => {
	void rowcast;
	// So wide that the feed keeps its height.
	await page.setViewportSize({ width: 1440, height: 900 });
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await openLine(lines(page).nth(1));
	await detail.getByRole('button', { name: 'Close detail' }).click();
	await expect(lines(page).nth(1)).toBeFocused();
	await page.keyboard.press('Enter');
	await detail.getByRole('tab', { name: 'Changes' }).focus();
	await page.keyboard.press('Escape');
	await expect(detail).toHaveCount(0);
	await expect(lines(page).nth(1)).toBeFocused();
});

test('of a truncated partition the others stay; a foreign key that is there twice is one way', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await db.query(`create table ev (id int) partition by range (id);
		create table ev_1 partition of ev for values from (0) to (10);
		create table twice (id int primary key, b int references "User", foreign key (b) references "User")`);
	const problems = await open(page);
	await db.query(`insert into twice values (1, 1)`);
	await db.query('truncate ev_1');
	const truncated = lines(page).filter({ hasText: 'truncate' });
	await expect(truncated).toContainText(/truncate\s*ev.*partition ev_1: all its rows\s+removed/s);
	await openLine(truncated);
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await expect(detail).toContainText('All rows of partition ev_1 were removed');
	await page.keyboard.press('Escape');
	await openLine(lines(page).filter({ hasText: 'twice 1' }));
	await detail.getByRole('tab', { name: 'Related' }).click();
	await expect(detail.getByRole('button', { name: /User.*via b/ })).toHaveCount(1);
	expect(problems).toEqual([]);
});

test.describe('on a phone', () => {
	test.use({ viewport: { width: 390, height: 844 } });
	test('the title has room for a long name and its key', async ({ page, rowcast, db }) => {
		void rowcast;
		const name = 'a_very_long_table_name_that_reaches_the_limit_of_sixty_three_by';
		await db.query(`create table ${name} (id int primary key)`);
		await open(page);
		await page.getByRole('button', { name: 'Tables' }).click();
		await expect(page.locator(`nav [data-table="${name}"] [data-count="INSERT"]`)).toBeVisible();
		await page.keyboard.press('Escape');
		await db.query(`insert into ${name} values (4711)`);
		await openLine(lines(page).filter({ hasText: 'insert' }).first());
		const key = page.getByRole('complementary').locator('h2 .key');
		await expect(key).toBeInViewport({ ratio: 1 });
	});
});

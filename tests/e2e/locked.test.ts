/** What keeps a page from its server or from its room: a token that is asked for later, a detail, a wall. */
import { startRowcast } from '../support/rowcast.ts';
import { expect, insertBooks, lines, open, openLine, test } from '../support/page.ts';

test('a server that comes to ask for a token is not told as away, and the way in is a click', async ({
	page,
	rowcast,
	database,
	db
}) => {
	await open(page, '/?table=public.Book&q=price%3E0&span=1h');
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(1);
	await rowcast.stop();
	const again = await startRowcast({
		env: {
			DATABASE_URL: database.url,
			ROWCAST_WATCH: 'all',
			PORT: new URL(rowcast.url).port,
			ROWCAST_TOKEN: 'a-token-of-some-length'
		}
	});
	try {
		const header = page.locator('header');
		await expect(header).toContainText('The server asks for a token', { timeout: 20_000 });
		await expect(page.locator('.stance')).toHaveText('Token needed');
		await expect(page.locator('.lamps')).not.toContainText('away');
		await expect(page.locator('p[role=status]').first()).toHaveText('The server asks for a token');
		await page.keyboard.press('[');
		await expect(page.getByText('of the view before')).toHaveText(/The server asks for a token/);
		await page.getByRole('button', { name: 'Export', exact: true }).click();
		await expect(page.getByRole('dialog')).toContainText('reload the page to sign in');
		await page.keyboard.press('Escape');
		await header.getByRole('link', { name: 'sign in' }).click();
		await page.getByLabel('Token').fill('a-token-of-some-length');
		await page.getByRole('button', { name: 'Open' }).click();
		await expect(lines(page)).toHaveCount(1);
		expect(new URL(page.url()).search).toBe('?table=public.Book&q=price%3E0&span=15m');
	} finally {
		await again.stop();
	}
});

for (const width of [1001, 1024, 1150, 1200, 1201])
	test(`beside a detail the changes can be read: ${width}`, async ({ page, rowcast, db }) => {
		void rowcast;
		await page.setViewportSize({ width, height: 800 });
		await open(page);
		await insertBooks(db, 1, 2);
		await openLine(lines(page).first());
		const detail = (await page.getByRole('complementary', { name: 'Detail of a change' }).boundingBox())!;
		const what = (await lines(page).first().locator('.what').boundingBox())!;
		expect(what.width).toBeGreaterThan(140);
		expect(what.x + what.width).toBeLessThanOrEqual(detail.x);
	});

for (const width of [701, 720, 785, 900])
	test(`on a wall nothing runs over something else: ${width}`, async ({ page, rowcast, db }) => {
		void rowcast;
		await page.setViewportSize({ width, height: 900 });
		await open(page);
		await insertBooks(db, 1, 2);
		await openLine(lines(page).first());
		await page.keyboard.press('w');
		await expect(page.locator('main.wall')).toBeVisible();
		const { x: border } = (await page.locator('nav').boundingBox())!;
		for (const op of await page.locator('.strip .op').all()) {
			const box = await op.boundingBox();
			if (box) expect(box.x + box.width).toBeLessThanOrEqual(border);
		}
		await page.keyboard.press('Escape');
		await expect(page.locator('main.wall')).toHaveCount(0);
	});

test('on a wall, operations below the spans begin where these do', async ({ page, rowcast }) => {
	void rowcast;
	await page.setViewportSize({ width: 1280, height: 800 });
	await open(page);
	await page.keyboard.press('w');
	const left = (selector: string) =>
		page.locator(selector).evaluate((element) => {
			const words = document.createRange();
			words.selectNodeContents(element);
			return words.getBoundingClientRect().left;
		});
	const [op, span] = [await left('.ops > :first-child'), await left('.spans > :first-child')];
	expect((await page.locator('.ops').boundingBox())!.y).toBeGreaterThan(
		(await page.locator('.spans').boundingBox())!.y
	);
	expect(Math.abs(op - span)).toBeLessThan(1);
});

test('what of a line is not told is told whole at 720 pixels', async ({ page, rowcast, db }) => {
	void rowcast;
	await page.setViewportSize({ width: 720, height: 800 });
	await open(page);
	await db.query(
		`create table long (id int primary key, first text, second text, third text, fourth text, fifth text)`
	);
	await expect(page.locator('nav [data-table="long"]')).toBeVisible({ timeout: 20_000 });
	await db.query(`insert into long select 1, r, r, r, r, r from repeat('many words ', 20) r`);
	const line = lines(page).first();
	await expect(line.locator('.more')).toHaveText(/^\+\d$/);
	const [more, what] = [
		(await line.locator('.more').boundingBox())!,
		(await line.locator('.what').boundingBox())!
	];
	expect(more.x + more.width).toBeLessThanOrEqual(what.x + what.width);
});

test('where nothing can be heard, a wall that is left leaves its chart as it is for the page', async ({
	page,
	rowcast,
	db,
	away
}) => {
	void rowcast;
	await page.setViewportSize({ width: 1440, height: 900 });
	await open(page);
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(1);
	const places = async () => {
		const boxes = [];
		for (const part of ['.chart', '.chart .over > div'])
			boxes.push(await page.locator(part).first().boundingBox());
		return boxes;
	};
	await away();
	const before = await places();
	await page.keyboard.press('w');
	await expect.poll(async () => (await places())[1]!.height).toBeGreaterThan(before[1]!.height + 100);
	await page.keyboard.press('w');
	await expect.poll(places).toEqual(before);
});

test('a name that turns its line around has a sign where it does', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page);
	await db.query('create table "a\u202eb" (id int primary key)');
	const note = lines(page).filter({ hasText: 'is a new table' });
	await expect(note.locator('[data-sign="U+202E"]')).toHaveCount(1, { timeout: 20_000 });
});

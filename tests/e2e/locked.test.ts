/** What keeps a page from its server or from its room: a token that is asked for later, a detail, a wall. */
import { startRowcast } from '../support/rowcast.ts';
import { expect, insertBooks, lines, open, openLine, test } from '../support/page.ts';

test('a server that comes to ask for a token is not told as away, and the way in is a click', async ({
	page,
	rowcast,
	database,
	db
}) => {
	await open(page);
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
		await page.getByRole('button', { name: 'Export', exact: true }).click();
		await expect(page.getByRole('dialog')).toContainText('reload the page to sign in');
		await page.keyboard.press('Escape');
		await header.getByRole('link', { name: 'sign in' }).click();
		await expect(page.getByLabel(/token/i).first()).toBeVisible();
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

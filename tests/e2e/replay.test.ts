/** Replay: all that shows a moment of the past shows the same moment. */
import { counter, expect, feed, insertBooks, lines, open, openLine, replay, test } from '../support/page.ts';

test('feed, counters and time travel agree at a playhead, of a log that nobody watched', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	const from = new Date(Date.now() - 1000);
	// Without a viewer a tick is about a second long.
	for (let id = 1; id <= 12; id++) {
		await insertBooks(db, id, id);
		await new Promise((resolve) => setTimeout(resolve, 150));
	}
	await new Promise((resolve) => setTimeout(resolve, 1500));
	const to = new Date();
	const address = (at: Date) =>
		`/?from=${from.toISOString()}&to=${to.toISOString()}&at=${at.toISOString()}&then=public.Book`;
	await open(page, `/?from=${from.toISOString()}&to=${to.toISOString()}&at=${to.toISOString()}`);
	await expect(lines(page)).toHaveCount(12);
	const times = await lines(page)
		.locator('time')
		.evaluateAll((times) => times.map((time) => time.getAttribute('datetime')!));
	expect(times).toHaveLength(12);
	for (const shown of [3, 7, 10]) {
		const at = new Date(Date.parse(times[12 - shown]!) + 20);
		await open(page, address(at));
		await expect(page.getByRole('region', { name: 'Rows' }).locator('tbody tr')).toHaveCount(shown);
		await page.keyboard.press('Escape');
		await expect(lines(page)).toHaveCount(shown);
		await expect(counter(page, 'Book', 'INSERT')).toHaveText(String(shown));
		await page.keyboard.press('n');
		await expect(lines(page)).toHaveCount(shown + 1);
		await expect(counter(page, 'Book', 'INSERT')).toHaveText(String(shown + 1));
		await page.reload();
		await expect(lines(page)).toHaveCount(shown + 1);
	}
	await expect(feed(page)).toBeVisible();
});

test('under a condition on values the counters follow each step, too', async ({ page, rowcast, db }) => {
	void rowcast;
	const from = new Date(Date.now() - 15_000);
	// Of each three books one matches; they are closer together than the stretch has fine steps.
	await insertBooks(db, 1, 30);
	for (let id = 1; id <= 30; id++)
		await db.query(`update "Book" set ${id % 3 === 0 ? 'price = 1' : `title = 'B'`} where id = $1`, [id]);
	await new Promise((resolve) => setTimeout(resolve, 1500));
	const to = new Date();
	await open(
		page,
		`/?from=${from.toISOString()}&to=${to.toISOString()}&at=${from.toISOString()}&op=update&q=changed:price`
	);
	await expect(lines(page)).toHaveCount(0);
	for (let shown = 1; shown <= 10; shown++) {
		await page.keyboard.press('n');
		await expect(lines(page)).toHaveCount(shown);
		await expect(counter(page, 'Book', 'UPDATE')).toHaveText(String(shown));
	}
	for (let shown = 9; shown > 0; shown--) {
		await page.keyboard.press('p');
		await expect(lines(page)).toHaveCount(shown);
		await expect(counter(page, 'Book', 'UPDATE')).toHaveText(String(shown));
	}
});

test('stepping back into a transaction and on shows each of its rows once', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 2);
	await db.query(`insert into "User" select i, 'U' || i from generate_series(11, 18) i`);
	await insertBooks(db, 3, 3);
	const problems = await open(page);
	await expect(lines(page).first()).toContainText('Book number 3');
	const bar = await replay(page);
	await bar.getByRole('button', { name: 'To the start' }).click();
	await expect(lines(page)).toHaveCount(0);
	for (const shown of [1, 2]) {
		await page.keyboard.press('n');
		await expect(lines(page)).toHaveCount(shown);
	}
	await page.keyboard.press('Shift+N');
	const user = counter(page, 'User', 'INSERT');
	await expect(user).toHaveText('8');
	await expect(feed(page)).toContainText('×8');
	for (const left of [7, 6]) {
		await page.keyboard.press('p');
		await expect(feed(page)).toContainText(`×${left}`);
	}
	await expect(user).toHaveText('6');
	await page.keyboard.press('Shift+N');
	await expect(feed(page)).toContainText('×8');
	await expect(user).toHaveText('8');
	await page.keyboard.press('p');
	await expect(feed(page)).toContainText('×7');
	await bar.getByRole('button', { name: 'Play', exact: true }).click();
	await expect(feed(page)).toContainText('Book number 3');
	await expect(feed(page)).toContainText('×8');
	await expect(lines(page)).toHaveCount(4);
	expect(problems).toEqual([]);
});

test('a link opens at the very change where the playhead stood, and so do Back and Forward', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	const from = new Date(Date.now() - 60_000).toISOString();
	await insertBooks(db, 1, 1);
	await db.query(`insert into "User" select i, 'U' || i from generate_series(11, 14) i`);
	await open(page);
	const user = counter(page, 'User', 'INSERT');
	// The log has it all by now: a stretch is of what it had when it was opened.
	await expect(user).toHaveText('4');
	const to = new Date(Date.now() + 2000).toISOString();
	await open(page, `/?from=${from}&to=${to}`);
	await expect(user).toHaveText('0');
	const detail = page.getByRole('complementary', { name: 'Detail of a change' });
	await page.keyboard.press('n');
	await expect(lines(page)).toHaveCount(1);
	for (const shown of [1, 2]) {
		await page.keyboard.press('n');
		await expect(user).toHaveText(String(shown));
	}
	await expect(page).toHaveURL(/place=\d+-\d+/);
	await page.reload();
	await expect(user).toHaveText('2');
	await expect(lines(page).filter({ hasText: 'User 1' })).toHaveCount(2);
	await openLine(lines(page).filter({ hasText: 'User 12' }));
	await expect(page).toHaveURL(/row=/);
	const row = () => new URL(page.url()).searchParams.get('row');
	const opened = row();
	await page.keyboard.press('n');
	await expect(user).toHaveText('3');
	await expect(detail).toContainText('U13');
	await expect.poll(row).not.toBe(opened);
	await page.goBack();
	await expect(user).toHaveText('2');
	await expect(detail).toHaveCount(0);
	await page.goForward();
	await expect(user).toHaveText('3');
	await expect(detail).toContainText('U13');
	for (const left of [2, 1, 0]) {
		await page.keyboard.press('p');
		await expect(user).toHaveText(String(left));
	}
	await page.keyboard.press('p');
	await expect(lines(page)).toHaveCount(0);
	await expect(page).toHaveURL(/place=/);
	await page.reload();
	await expect(page.getByText('What happened up to this moment is not known')).toBeVisible();
	await expect(lines(page)).toHaveCount(0);
});

test('a replay says that it is one, and of which day', async ({ page, rowcast }) => {
	void rowcast;
	await page.setViewportSize({ width: 1440, height: 900 });
	await page.clock.setFixedTime('2026-01-25T12:00:00Z');
	await page.goto('/?from=2026-01-24T10:00:00Z&to=2026-01-24T10:05:00Z');
	const bar = page.getByRole('region', { name: 'Replay' });
	await expect(page.locator('header')).toContainText('Replaying 24 Jan, 10:00:00 to 10:05:00');
	await expect(bar).toContainText('Replay of the past');
	await expect(bar.locator('.moment')).toHaveText(
		/^24 Jan, 10:00:00\s+of 24 Jan, 10:00:00 to 10:05:00 · 5 min$/
	);
	await page.goto('/?from=2026-01-24T23:58:00Z&to=2026-01-25T00:03:00Z');
	await expect(page.locator('header')).toContainText('Replaying 24 Jan, 23:58:00 to 25 Jan, 00:03:00');
	await page.goto('/?from=2026-01-25T10:00:00Z&to=2026-01-25T10:05:00Z');
	await expect(page.locator('header')).toContainText('Replaying 10:00:00 to 10:05:00');
	await expect(bar.locator('.moment')).toHaveText(/^10:00:00\s+of 10:00:00 to 10:05:00 · 5 min$/);
});

for (const [name, viewport] of [
	['a wide window', { width: 1440, height: 900 }],
	['a phone', { width: 390, height: 844 }]
] as const)
	test(`on ${name} a replay is told across the whole of it, above and below what is shown`, async ({
		page,
		rowcast
	}) => {
		void rowcast;
		await page.setViewportSize(viewport);
		await page.goto('/?from=2026-01-24T10:00:00Z&to=2026-01-24T10:05:00Z');
		await expect(page.locator('header').getByText(/^Replaying .*10:00:00 to 10:05:00$/)).toBeVisible();
		const bar = page.getByRole('region', { name: 'Replay' });
		const banner = bar.locator('.banner');
		await expect(banner).toContainText('Replay');
		expect(await banner.evaluate((element) => element.getBoundingClientRect().width)).toBe(viewport.width);
		await expect(banner.getByText('10:00:00').first()).toBeInViewport({ ratio: 1 });
		await expect(banner.getByRole('button', { name: 'Back to live' })).toBeInViewport({ ratio: 1 });
		for (const button of await bar.getByRole('button').all())
			await expect(button).toBeInViewport({ ratio: 1 });
		expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(viewport.width);
	});

/** What the screen leaves out, narrows or cannot show: it says so, and offers the rest. */
import { counter, expect, hasBar, insertBooks, lines, open, openLine, test } from '../support/page.ts';

test('the rows that a large transaction leaves out are loaded page by page, where they belong', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await db.query(`insert into "Book" select n, 'n ' || n, 1, 1, null from generate_series(1, 2500) n`);
	await expect(lines(page).first()).toContainText('×2,500');
	await openLine(lines(page).first());
	const offer = lines(page).filter({ hasText: 'before these are not shown' });
	await expect(offer).toHaveText(/^\s*2,300 before .*load 1,000/);
	const place = await offer.boundingBox();
	await offer.click();
	await expect(offer).toHaveText(/^\s*1,300 before .*load 1,000/);
	expect((await offer.boundingBox())?.y).toBe(place?.y);
	await expect(lines(page).nth(2)).toContainText('“n 1301”');
	await offer.click();
	await expect(offer).toHaveText(/^\s*300 before .*load 300/);
	await offer.click();
	await expect(offer).toHaveCount(0);
	await expect(lines(page).first()).toContainText('×2,500');
	await expect(lines(page).nth(1)).toContainText('“n 1”');
});

test('a condition on values narrows feed, counters and chart alike, live and in replay', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await db.query(
		`insert into "Book" values (1, 'cheap', 1, 1, 1), (2, 'dear', 10, 1, 1), (3, 'dear', 11, 1, 1)`
	);
	await db.query(`insert into "User" values (3, 'Ann')`);
	await open(page);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	const field = page.getByRole('combobox', { name: 'Filter changes' });
	await field.fill('price>9');
	await field.press('Enter');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('2');
	await expect(counter(page, 'User', 'INSERT')).toHaveText('0');
	await expect.poll(() => hasBar(page, 'insert')).toBe(true);
	await db.query(`insert into "Book" values (4, 'cheap', 2, 1, 1), (5, 'dear', 12, 1, 1)`);
	await db.query(`delete from "Book" where price < 9`);
	await db.query(`update "Book" set title = 'very dear' where id = 5`);
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText('1');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	await expect(counter(page, 'Book', 'DELETE')).toHaveText('0');
	await expect(lines(page)).toHaveCount(5);
	await expect.poll(() => hasBar(page, 'update')).toBe(true);
	expect(await hasBar(page, 'delete')).toBe(false);

	const [from, to] = [-60_000, 1000].map((ms) => new Date(Date.now() + ms).toISOString());
	await open(page, `/?q=price%3E9&from=${from}&to=${to}&at=${to}`);
	const bar = page.getByRole('region', { name: 'Replay' });
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	await expect(counter(page, 'Book', 'UPDATE')).toHaveText('1');
	await expect(counter(page, 'Book', 'DELETE')).toHaveText('0');
	await expect.poll(() => hasBar(page, 'update')).toBe(true);
	expect(await hasBar(page, 'delete')).toBe(false);
	await bar.getByRole('button', { name: 'To the start' }).click();
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('0');
	await field.fill('price<9');
	await field.press('Enter');
	await page.getByRole('slider', { name: 'Playhead' }).press('End');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('2');
	await expect(counter(page, 'Book', 'DELETE')).toHaveText('2');
	await bar.getByRole('button', { name: 'Back to live' }).click();
	await db.query(`insert into "Book" values (6, 'dear', 13, 1, 1), (7, 'cheap', 3, 1, 1)`);
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('3');
	await expect(lines(page)).toHaveCount(6);
});

test('a count of matches that takes long keeps nobody waiting, and says how far it is', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	// The database takes its time over one old change, with which the others are counted: all are of one tick.
	await db.query(
		`insert into "Book" select n, 'old', case n when 0 then 777 else 10 end, 1, 1 from generate_series(0, 2500) n`
	);
	await db.query(`alter function rowcast.compare rename to compare_at_once`);
	await db.query(
		`create function rowcast.compare(a text, b text) returns int language sql stable as
		$$ select case when a = '777.00' and pg_sleep(4) is null then 0 else rowcast.compare_at_once(a, b) end $$`
	);
	await db.query(`grant execute on function rowcast.compare to public`);
	const field = page.getByRole('combobox', { name: 'Filter changes' });
	await field.fill('price>9');
	await field.press('Enter');
	const strip = page.getByRole('region', { name: 'Activity over time' });
	await expect(strip).toContainText('Counting matches');
	await expect(lines(page).first()).toContainText('there may be more of it');
	await db.query(`insert into "Book" values (9001, 'dear', 10, 1, 1), (9002, 'cheap', 1, 1, 1)`);
	await expect(lines(page).first()).toContainText('“dear”');
	await expect(strip).toContainText('Counting matches');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('1');
	await expect(counter(page, 'Book', 'INSERT')).toHaveText('2,502', { timeout: 20_000 });
	await expect(strip).not.toContainText('Counting');
});

test('a link to what is not there says what is missing and shows the rest', async ({ page, rowcast, db }) => {
	void rowcast;
	await open(page, '/?table=public.Nowhere&table=public.Book');
	const feed = page.getByRole('region', { name: 'Changes' });
	await expect(feed).toContainText('no table Nowhere');
	await insertBooks(db, 1, 2);
	await expect(lines(page)).toHaveCount(2);
	const hour = 3_600_000;
	const [from, to] = [-hour, hour].map((ms) => new Date(Date.now() + ms).toISOString());
	await open(page, `/?from=${from}&to=${to}&at=${to}`);
	await expect(feed).toContainText('The log begins at');
	await expect(lines(page)).toHaveCount(2);
	await open(page, '/?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z');
	await expect(feed).toContainText('The log holds nothing of this time');
	await open(page, `/?from=${to}&to=${from}`);
	await expect(feed).toContainText('The time of this link does not end after it begins: showing the present');
	await expect(lines(page)).toHaveCount(2);
	await open(page, `/?from=yesterday&to=${to}&table=public.Book`);
	await expect(feed).toContainText('The time of this link cannot be read: showing the present');
	await expect(lines(page)).toHaveCount(2);
	// Until one goes on to another view.
	await page.keyboard.press(']');
	await expect(feed).not.toContainText('of this link');
});

test('a filter that does not parse points at the place, and the last good view stays', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page, '/?q=price%3E9');
	await insertBooks(db, 1, 1);
	await expect(lines(page)).toHaveCount(1);
	const field = page.getByRole('combobox', { name: 'Filter changes' });
	await field.fill('price>9 and (');
	await field.press('Enter');
	await expect(field).toHaveAttribute('aria-invalid', 'true');
	await expect(page.getByRole('alert')).toContainText('price>9 and (');
	await expect(page).toHaveURL(/q=price%3E9$/);
	await insertBooks(db, 2, 2);
	await expect(lines(page)).toHaveCount(2);
	await open(page, '/?q=price%3E%3E');
	await expect(page.getByRole('alert')).toBeVisible();
	await expect(lines(page)).toHaveCount(2);
});

test('an export tells its size for each format, shows how far it is, and can be cancelled', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	await open(page);
	await insertBooks(db, 1, 3);
	await expect(lines(page)).toHaveCount(3);
	await page.getByRole('button', { name: 'Export' }).click();
	const dialog = page.getByRole('dialog', { name: 'Export all that is kept' });
	for (const format of ['NDJSON', 'CSV', 'HTML']) {
		await dialog.getByRole('radio', { name: format }).check();
		await expect(dialog.getByRole('status')).toHaveText(/^3 changes, about /);
	}
	// A file that does not come: what is there so far is told, and leaving ends it.
	await page.route(/\/export\?(?!.*size)/, () => {});
	await dialog.getByRole('button', { name: 'Save' }).click();
	await expect(dialog.getByRole('status')).toHaveText(/^0 byte of about /);
	const ended = page.waitForEvent('requestfailed');
	await dialog.getByRole('button', { name: 'Cancel' }).click();
	await ended;
	await expect(dialog).toBeHidden();
	await page.unroute(/\/export\?(?!.*size)/);
	await page.getByRole('button', { name: 'Export' }).click();
	const saved = page.waitForEvent('download');
	await dialog.getByRole('button', { name: 'Save' }).click();
	expect((await saved).suggestedFilename()).toMatch(/^rowcast-.*\.ndjson$/);
	await expect(dialog).toBeHidden();
});

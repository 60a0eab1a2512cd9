/** What is done while another view loads is meant for that view. */
import type { Page } from '@playwright/test';
import { expect, insertBooks, lines, open, replay, table, test } from '../support/page.ts';

/** Between the page and the server: holds back what the server says, until it may be heard. */
async function held(page: Page): Promise<{ hold(): void; release(): void }> {
	let waiting: (() => void)[] | null = null;
	await page.routeWebSocket(/socket\.io/, (socket) => {
		const server = socket.connectToServer();
		server.onMessage((message) =>
			waiting ? waiting.push(() => socket.send(message)) : socket.send(message)
		);
	});
	return {
		hold: () => (waiting = []),
		release: () => {
			const said = waiting ?? [];
			waiting = null;
			said.forEach((say) => say());
		}
	};
}

test('a key that is pressed while a view loads is not undone by the view that comes', async ({
	page,
	rowcast,
	db
}) => {
	void rowcast;
	const socket = await held(page);
	await insertBooks(db, 1, 3);
	await db.query(`insert into "User" values (3, 'Kim')`);
	await open(page);
	await expect(lines(page)).toHaveCount(4);
	const stance = page.locator('.stance');
	/** Asks for Book alone, or again for all, presses keys, and has the view come. */
	const meanwhile = async (rows: number, ...keys: string[]) => {
		socket.hold();
		await table(page, 'Book').click();
		await expect(page.locator('.choice')).toHaveCount(rows === 3 ? 1 : 0);
		for (const key of keys) await page.keyboard.press(key);
		await expect(lines(page)).toHaveCount(rows === 3 ? 4 : 3);
		socket.release();
		await expect(lines(page)).toHaveCount(rows);
	};
	await meanwhile(3, 'j', 'j');
	await expect(stance).toHaveText('Reading');
	await expect(page.locator('[data-selected]')).toContainText('Book 3');
	await page.keyboard.press('Enter');
	await expect(page.getByRole('complementary', { name: 'Detail of a change' })).toContainText(
		'Book number 3'
	);
	// What was done before is not meant for the other view.
	await meanwhile(4);
	await expect(stance).toHaveText('Live');
	// The row that is chosen here is not there.
	await meanwhile(3, 'j');
	await expect(stance).toHaveText('Live');
	await meanwhile(4, 'Space');
	await expect(stance).toHaveText('Paused');
	await insertBooks(db, 4, 4);
	await expect(page.locator('.pill')).toContainText('1 waiting');
	await expect(lines(page)).toHaveCount(4);
	await page.keyboard.press('Space');
	await expect(lines(page)).toHaveCount(5);
});

test('nor in a replay', async ({ page, rowcast, db }) => {
	void rowcast;
	const socket = await held(page);
	await insertBooks(db, 1, 3);
	await db.query(`insert into "User" values (3, 'Kim')`);
	await open(page);
	await expect(lines(page)).toHaveCount(4);
	const bar = await replay(page);
	await bar.getByRole('slider').press('End');
	await expect(lines(page)).toHaveCount(4);
	socket.hold();
	await table(page, 'Book').click();
	await expect(page.locator('.choice')).toBeVisible();
	for (const key of ['j', 'j']) await page.keyboard.press(key);
	socket.release();
	await expect(lines(page)).toHaveCount(3);
	await expect(page.locator('[data-selected]')).toContainText('Book 3');
	// The playhead goes elsewhere: what was chosen where it stood is left.
	await bar.getByRole('slider').press('Home');
	await expect(lines(page)).toHaveCount(0);
	await bar.getByRole('slider').press('End');
	await expect(lines(page)).toHaveCount(3);
	await expect(page.locator('[data-selected]')).toHaveCount(0);
});

test('nor is what is pressed while a replay loads', async ({ page, rowcast, db }) => {
	void rowcast;
	const socket = await held(page);
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	const bar = page.getByRole('region', { name: 'Replay' });
	// It plays by itself, but for this.
	socket.hold();
	await page.keyboard.press('r');
	await expect(bar.getByRole('button', { name: 'Pause replay' })).toBeVisible();
	await page.keyboard.press('Space');
	await expect(bar.getByRole('button', { name: 'Play', exact: true })).toBeVisible();
	await expect(bar.getByRole('button', { name: 'Next change' })).toHaveAttribute('aria-disabled', 'true');
	socket.release();
	await expect(bar.getByRole('button', { name: 'Next change' })).toHaveAttribute('aria-disabled', 'false');
	await expect(bar.getByRole('button', { name: 'Play', exact: true })).toBeVisible();
	// And the other way round.
	socket.hold();
	await table(page, 'Book').click();
	await expect(page.locator('.choice')).toBeVisible();
	await page.keyboard.press('Space');
	await expect(bar.getByRole('button', { name: 'Pause replay' })).toBeVisible();
	const scrubber = bar.getByRole('slider');
	const before = Number(await scrubber.inputValue());
	socket.release();
	await expect.poll(async () => Number(await scrubber.inputValue())).toBeGreaterThan(before);
});

test('a replay that plays goes on from where it is under another filter', async ({ page, rowcast, db }) => {
	void rowcast;
	await insertBooks(db, 1, 3);
	await open(page);
	await expect(lines(page)).toHaveCount(3);
	await page.keyboard.press('r');
	await expect(lines(page)).toHaveCount(3);
	const at = () => page.getByRole('slider', { name: 'Playhead' }).inputValue().then(Number);
	const before = await at();
	await table(page, 'Book').click();
	await expect(page.locator('.choice')).toBeVisible();
	await expect(page.getByRole('button', { name: 'Pause replay' })).toBeVisible();
	expect(await at()).toBeGreaterThanOrEqual(before);
	await expect(lines(page)).toHaveCount(3);
});

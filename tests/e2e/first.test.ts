/** What a person does on a database in which nothing is watched. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { runCli } from '../support/cli.ts';
import { expect, lines, test } from '../support/page.ts';

test.use({ rowcastEnv: { ROWCAST_WATCH: '' } });

const sql = (page: Page, label: string | RegExp) => page.getByRole('region', { name: label });

test('the first screen shows the very SQL that install runs, a change to try it with, and the way out', async ({
	page,
	rowcast,
	database,
	db,
	context
}) => {
	void rowcast;
	await context.grantPermissions(['clipboard-read', 'clipboard-write']);
	const copied = async (label: string) => {
		await page.getByRole('button', { name: `Copy: ${label}` }).click();
		return page.evaluate(() => navigator.clipboard.readText());
	};
	/** What it prints of the tables, behind the settings. */
	const printed = async (...args: string[]) => {
		const { stdout } = await runCli(database.url, [...args, '--dry-run']);
		return stdout.slice(stdout.indexOf('-- public.')).trimEnd();
	};
	await page.goto('/');
	await expect(page.getByRole('heading', { name: 'No table is watched yet' })).toBeVisible();

	// Who owns the table may not call a function of schema rowcast.
	await expect(page.locator('.first')).toContainText('until you choose what: run this as a superuser.');
	await page.getByRole('radio', { name: 'All 3' }).check();
	await expect(sql(page, 'SQL that watches all 3 tables')).toHaveText(await printed('install'));
	await page.getByRole('combobox', { name: 'Which table' }).selectOption('User');
	const watches = await printed('install', '--tables', 'public."User"');
	await expect(sql(page, 'SQL that watches User')).toHaveText(watches);
	expect(watches).toContain(`select rowcast.watch('public."User"');`);

	await page.getByText('What watch() creates').click();
	await page.getByText('What unwatch() drops').click();
	const [creates, drops] = await Promise.all(
		['watch', 'unwatch'].map((name) => sql(page, `Statements that ${name}() runs for User`).innerText())
	);
	const removes = await copied('SQL that stops watching User');
	const tries = await copied('A change to see arrive');
	await db.query(await copied('SQL that watches User'));
	const triggers = () =>
		db.query(
			`select tgname, tgenabled, pg_get_triggerdef(oid), obj_description(oid) from pg_trigger where tgname ~ '^!rowcast' order by 1`
		);
	const { rows } = await triggers();
	expect(rows).toHaveLength(2);
	await expect(page.getByRole('heading', { name: 'User is watched' })).toBeVisible();

	// What it said it would run does the same by hand.
	await db.query(drops!);
	expect((await triggers()).rows).toEqual([]);
	await db.query(creates!);
	expect((await triggers()).rows).toEqual(rows);

	await db.query(tries);
	await expect(lines(page).first()).toContainText('User 1');
	await expect(page.locator('.first')).toBeHidden();

	expect(removes).toBe((await printed('uninstall')).split('\n-- rowcast.')[0]);
	await db.query(removes);
	expect((await triggers()).rows).toEqual([]);
});

test('the way out of everything is what uninstall runs', async ({ page, rowcast, database, db }) => {
	await page.goto('/');
	await page.getByText('Everything that Rowcast installed').click();
	const removes = await sql(page, 'SQL that removes Rowcast').innerText();
	await db.query(await sql(page, /^SQL that watches/).innerText());
	await rowcast.stop();
	expect((await runCli(database.url, ['uninstall', '--dry-run'])).stdout.trimEnd()).toBe(removes);
	await db.query(removes);
	const { rows } = await db.query(`select to_regnamespace('rowcast') as schema`);
	expect(rows).toEqual([{ schema: null }]);
});

for (const [name, viewport] of [
	['wide', { width: 1440, height: 900 }],
	['phone', { width: 390, height: 844 }]
] as const)
	for (const colorScheme of ['light', 'dark'] as const)
		test.describe(`${name}, ${colorScheme}`, () => {
			test.use({ viewport, colorScheme });
			test(`the first screen fits and is clean: ${name}, ${colorScheme}`, async ({ page, rowcast }) => {
				void rowcast;
				await page.goto('/');
				const first = page.locator('.first');
				await expect(first.locator('summary')).toHaveCount(4);
				for (const summary of await first.locator('summary').all()) await summary.press('Enter');
				await expect(first.locator('details[open]')).toHaveCount(4);
				const { violations } = await new AxeBuilder({ page }).analyze();
				expect(violations.map(({ id, nodes }) => `${id} ${nodes[0]?.html}`)).toEqual([]);
				expect(await first.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
			});
		});

/** The past as a file, from the running server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from '@playwright/test';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { findBrowser } from '../support/browser.ts';
import { useDatabase } from '../support/database.ts';
import { eventually } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast, type Rowcast } from '../support/rowcast.ts';

const database = useDatabase();
let rowcast: Rowcast;

beforeAll(async () => {
	await withClient(database().url, (client) =>
		client.query(
			`create table "Book" (id int primary key, title text, price numeric); create table stock (id int primary key)`
		)
	);
	rowcast = await startRowcast({
		env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all', ROWCAST_TOKEN: 'secret' }
	});
	await withClient(database().url, async (client) => {
		await client.query(
			`insert into "Book" values (1, '=cmd|calc', -5), (2, 'two "quoted", lines' || chr(10) || '日本', 0.10), (3, '', null)`
		);
		await client.query(`update "Book" set price = 9007199254740993 where id = 2`);
		await client.query(`insert into stock select generate_series(1, 2500)`);
	});
	const viewer = await connect(rowcast.url, { token: 'secret' });
	await viewer.subscribe();
	await eventually(
		() => viewer.ask('history', { filter: { tables: [{ schema: 'public', table: 'stock' }] }, limit: 1 }),
		(answer) => answer.ok && answer.changes.length === 1
	);
	viewer.close();
});
afterAll(() => rowcast?.stop());

const get = (query: string, headers: Record<string, string> = { authorization: 'Bearer secret' }) =>
	fetch(`${rowcast.url}/export${query}`, { headers });

async function lines(query: string): Promise<Change[]> {
	const response = await get(query);
	expect(response.status).toBe(200);
	return (await response.text())
		.trimEnd()
		.split('\n')
		.map((line) => JSON.parse(line));
}

test('every change is there once, in order, however many pages it takes', async () => {
	const response = await get('');
	expect(response.headers.get('content-type')).toMatch('ndjson');
	expect(response.headers.get('content-disposition')).toMatch(
		/attachment; filename="rowcast-\d+-\d+\.ndjson"/
	);
	expect(response.headers.get('x-rowcast-changes')).toBe('2504');
	const all = await lines('');
	expect(all.length).toBe(2504);
	expect(new Set(all.map(({ seq }) => seq)).size).toBe(2504);
	expect(all[3]).toMatchObject({
		op: 'UPDATE',
		table: 'Book',
		after: expect.stringContaining('"price":9007199254740993')
	});
});

test("a view's address chooses what is exported", async () => {
	expect((await lines('?table=public.Book&op=insert')).length).toBe(3);
	expect((await lines('?without=public.stock&q=price>0')).map(({ op }) => op)).toEqual(['INSERT', 'UPDATE']);
	expect((await lines(`?q=${encodeURIComponent('table:stock id<=7')}`)).length).toBe(7);
	const from = new Date(Date.now() - 3_600_000).toISOString();
	expect((await lines(`?from=${from}&to=${new Date(Date.now() + 60_000).toISOString()}`)).length).toBe(2504);
	const before = new Date(Date.now() - 1_800_000).toISOString();
	expect(await (await get(`?from=${from}&to=${before}`)).text()).toBe('');
});

test('CSV can be opened in a spreadsheet', async () => {
	const text = await (await get('?format=csv&table=public.Book')).text();
	expect(
		text.startsWith(
			'seq,tick,tx,at,schema,table,op,key,before,after,via,cut,before.id,after.id,before.title,after.title,before.price,after.price\r\n'
		)
	).toBe(true);
	expect(text).toContain(`,1,,'=cmd|calc,,-5\r\n`);
	expect(text).toContain(`,2,,"two ""quoted"", lines\n日本",,0.10\r\n`);
	expect(text).toContain(',0.10,9007199254740993\r\n');
	expect(text, 'the empty text, and null').toContain(',,3,,"",,\r\n');
	expect(text.match(/\r\n/g)!.length).toBe(5);
});

test.each([
	['?format=xlsx', 400, /format/],
	['?q=price>', 400, /character 7/],
	['?op=upsert', 400, /`op`/],
	['?table=a.b.c', 400, /`table`/],
	['?table=public.nothing', 404, /no table/],
	['?from=yesterday', 400, /two times/]
])('%s is refused with %i', async (query, status, message) => {
	const response = await get(query);
	expect(response.status).toBe(status);
	expect((await response.json()).error.message).toMatch(message);
});

test('without the token there is no file', async () => {
	const response = await get('', {});
	expect(await response.text()).not.toContain('"Book"');
	expect(response.headers.get('content-disposition')).toBeNull();
});

test('one who leaves in the middle harms nothing', async () => {
	const aborted = new AbortController();
	const response = await fetch(`${rowcast.url}/export`, {
		headers: { authorization: 'Bearer secret' },
		signal: aborted.signal
	});
	await response.body!.getReader().read();
	aborted.abort();
	expect((await lines('')).length).toBe(2504);
	expect((await fetch(`${rowcast.url}/readyz`)).status).toBe(200);
});

test('a replay is one page that needs no server, whatever the rows hold', async () => {
	await withClient(database().url, (client) =>
		client.query(
			`insert into "Book" values (65, 'of the same moment', 1), (66, '</script><script>alert(1)//<!--', 9007199254740993)`
		)
	);
	const page = await eventually(
		() => get('?format=html&table=public.Book').then((response) => response.text()),
		(text) => text.includes('alert(1)')
	);
	expect(page).not.toContain('</script><script>alert');
	const folder = await mkdtemp(path.join(tmpdir(), 'rowcast-replay-'));
	await writeFile(path.join(folder, 'replay.html'), page);
	const browser = await chromium.launch({
		executablePath: findBrowser(),
		// Chromium's sandbox does not work as root.
		args: process.getuid?.() === 0 ? ['--no-sandbox'] : []
	});
	try {
		const tab = await browser.newPage();
		const problems: string[] = [];
		tab.on('pageerror', (error) => problems.push(error.message));
		tab.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
		await tab.goto(`file://${folder}/replay.html`);
		const rows = tab.locator('#ledger > li');
		const first = await rows.count();
		for (let i = 0; i < 6; i++) await tab.getByTitle('Next change').click();
		expect(await rows.count()).toBeGreaterThan(first);
		expect(await rows.count()).toBe(6);
		expect(await tab.locator('#now').textContent()).toMatch(/\d\d:\d\d:\d\d[.,]\d{3}.* · 6 of 6/);
		// Newest first, and what stands under more of its transaction is set in.
		const shown = await tab.evaluate<Change[]>('entries.slice(0, 6).reverse()');
		expect(await rows.evaluateAll((rows) => rows.map(({ className }) => className))).toEqual(
			shown.map(({ tick, tx }, i) =>
				i > 0 && shown[i - 1]!.tick === tick && shown[i - 1]!.tx === tx ? 'within' : ''
			)
		);
		await rows.first().locator('summary').click();
		expect(await rows.first().locator('table').textContent()).toContain('9007199254740993');
		expect(await rows.first().locator('table').textContent()).toContain('</script>');
		await tab.getByTitle('Previous change').click();
		expect(await rows.count()).toBe(5);
		// From any step it plays on, also within the last millisecond; and after the last change anew.
		const [play, now] = [tab.locator('#play'), tab.locator('#now')];
		const here = await now.textContent();
		expect(await tab.evaluate(`toggle(), document.getElementById('now').textContent`)).toBe(here);
		await expect.poll(() => now.textContent()).toContain(' · 6 of 6');
		await expect.poll(() => play.textContent()).toContain('Play');
		await play.click();
		expect(await now.textContent()).not.toContain(' · 6 of 6');
		expect(problems).toEqual([]);
	} finally {
		await browser.close();
		await rm(folder, { recursive: true });
	}
});

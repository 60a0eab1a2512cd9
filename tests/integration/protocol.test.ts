/** The wire, spoken to the real server as anybody would speak it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failure, History, Position, RowLife, TickMessage } from '../../src/lib/protocol.ts';
import { useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast, totals, type Rowcast, type Viewer } from '../support/rowcast.ts';

const database = useDatabase();
let server: Rowcast;
const viewers: Viewer[] = [];

/** A viewer that is gone at the end, whatever the test does. */
async function viewer(...[options]: [Parameters<typeof connect>[1]?]): Promise<Viewer> {
	const made = await connect(server.url, options);
	viewers.push(made);
	return made;
}

const sql = (text: string, values?: unknown[]) => withClient(database().url, (db) => db.query(text, values));
const book = { schema: 'public', table: 'Book' };
const codeOf = (answer: { ok: true } | Failure) => (answer.ok ? 'ok' : answer.error.code);

beforeAll(async () => {
	await sql(`
		create table "Book" (id int primary key, title text, price numeric);
		create table other (id int primary key);
		create table many (id int primary key);
		create table resumed (id int primary key);
		create table streamed (id int primary key);
		create table past (id int primary key)`);
	server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all' } });
});
afterAll(async () => {
	for (const viewer of viewers) viewer.close();
	await server?.stop();
});

describe('hello', () => {
	test('comes first and says what is here', async () => {
		const order: string[] = [];
		const { hello, socket } = await viewer({ autoConnect: true });
		socket.onAny((event) => order.push(event));
		expect(hello).toMatchObject({ protocol: 1, version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
		expect(hello.epoch).toMatch(/^[0-9a-f-]{36}$/);
		expect(hello.database).toBe(`${database().name} @ 127.0.0.1:${new URL(database().url).port}`);
		expect(hello.database).not.toContain('postgres:');
		const info = hello.tables.find(({ table }) => table === 'Book');
		expect(info).toMatchObject({
			...book,
			watched: true,
			primaryKey: ['id'],
			columns: [{ name: 'id', type: 'integer', redacted: false }, {}, {}]
		});
		expect(BigInt(hello.head)).toBeGreaterThanOrEqual(BigInt(hello.oldest));
	});

	test('state follows, and comes again while nothing changes', async () => {
		const it = await viewer();
		await it.until('state', ({ state }) => state?.database === 'live');
		const [first, second] = [it.state, await new Promise((resolve) => it.socket.once('state', resolve))];
		expect(second).toEqual(first);
	});
});

describe('subscribe', () => {
	test('feed: a change arrives with its row, key and counts', async () => {
		const it = await viewer();
		const { tick, gap } = await it.subscribe();
		expect(gap).toBeNull();
		await sql(`insert into "Book" values (1, 'Things "Fall" Apart', 9007199254740993.10)`);
		await it.until('the change', ({ changes }) => changes.length > 0);
		expect(it.changes).toMatchObject([
			{
				...book,
				op: 'INSERT',
				before: null,
				after: String.raw`{"id":1,"title":"Things \"Fall\" Apart","price":9007199254740993.10}`,
				key: { id: '1' }
			}
		]);
		const [message] = it.ticks as [TickMessage];
		expect(message).toMatchObject({ from: tick, omitted: 0, counts: [{ ...book, op: 'INSERT', rows: 1 }] });
		expect(message.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
		expect(message.changes[0]!.at).toMatch(/\.\d{6}Z$/);
	});

	test('a filter narrows changes and counts, and the chain of ticks has no hole', async () => {
		const [all, some] = [await viewer(), await viewer()];
		await all.subscribe();
		let { tick } = await some.subscribe({
			filter: { tables: [{ schema: 'public', table: 'other' }], ops: ['DELETE'] }
		});
		for (let i = 0; i < 20; i++)
			await sql(
				`with a as (insert into other values (${i}) returning 1) insert into "Book" values (${100 + i})`
			);
		await sql('delete from other where id < 5');
		await some.until('the deletes', ({ changes }) => changes.length === 5);
		expect(totals(some.ticks)).toEqual({ 'public.other': { DELETE: 5 } });
		for (const message of some.ticks) {
			expect(message.from).toBe(tick);
			tick = message.tick;
		}
		await all.until('everything', ({ ticks }) => totals(ticks)['public.other']?.DELETE === 5);
		expect(totals(all.ticks)).toEqual({
			'public.other': { INSERT: 20, DELETE: 5 },
			'public.Book': { INSERT: 20 }
		});
		await sql('truncate other');
	});

	test('limit bounds a message, and the rest is told as omitted', async () => {
		const it = await viewer();
		await it.subscribe({ limit: 10, filter: { tables: [{ schema: 'public', table: 'many' }] } });
		await sql(`insert into many select generate_series(1, 3000)`);
		await it.until('the counts', ({ ticks }) => totals(ticks)['public.many']?.INSERT === 3000);
		expect(it.ticks).toHaveLength(1);
		expect(it.ticks[0]).toMatchObject({ omitted: 2990, remainder: 2990 });
		expect(it.changes.map(({ key }) => key!.id)).toEqual(
			Array.from({ length: 10 }, (_, i) => String(2991 + i))
		);
		// One that is too large to be kept in memory.
		await sql(`insert into many select generate_series(3001, 9000)`);
		await it.until('the counts', ({ ticks }) => totals(ticks)['public.many']?.INSERT === 9000);
		expect(it.ticks[1]).toMatchObject({ omitted: 5990, remainder: 5990 });
	});

	test('history reaches as far as the rates tell, however lately it was written', async () => {
		const it = await viewer();
		await sql('create table lately (id int primary key)');
		await it.until('it is watched', ({ tables }) =>
			tables.some(({ table, watched }) => watched && table === 'lately')
		);
		const filter = { tables: [{ schema: 'public', table: 'lately' }] };
		const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
		await it.subscribe();
		let written = false;
		const writing = (async () => {
			for (let i = 0; i < 60; i++)
				await sql(`insert into lately select i from generate_series(${i * 500 + 1}, ${i * 500 + 500}) i`);
			written = true;
		})();
		while (!written) {
			const rates = await it.ask('rates', { from: day(-1), to: day(1), buckets: 1, filter });
			if (!rates.ok) continue;
			const before = { tick: String(BigInt(rates.tick) + 1n), seq: '0' };
			const history = await it.ask('history', { filter, before, limit: 1 });
			if (!history.ok) continue;
			expect(history.changes[0]?.key?.id ?? '0').toBe(String(rates.series[0]?.rows[0] ?? 0));
		}
		await writing;
		// So that the next test begins behind it.
		await it.until('all of it', ({ ticks }) => totals(ticks)['public.lately']?.INSERT === 30_000);
	});

	test('resumes after a cut without a hole or a double', async () => {
		const first = await viewer();
		await first.subscribe();
		await sql(`insert into resumed select generate_series(1, 5)`);
		await first.until('five', ({ changes }) => changes.length === 5);
		first.close();
		for (let i = 6; i <= 20; i++) await sql(`insert into resumed values (${i})`);
		const again = await viewer();
		const tick = first.ticks.at(-1)!.tick;
		expect(await again.subscribe({ after: { epoch: first.hello.epoch, tick } })).toEqual({
			ok: true,
			tick,
			gap: null
		});
		await again.until('the others', ({ changes }) => changes.length === 15);
		expect(again.ticks[0]!.from).toBe(tick);
		expect(again.changes.map(({ key }) => key!.id)).toEqual(
			Array.from({ length: 15 }, (_, i) => String(6 + i))
		);
	});

	test('with a cursor of another log says so and starts at the head', async () => {
		const it = await viewer();
		const answer = await it.subscribe({ after: { epoch: randomUUID(), tick: '1' } });
		expect(answer.gap).toEqual({ after: '1', until: answer.tick, reason: 'epoch' });
		expect(await it.subscribe({ after: { epoch: it.hello.epoch, tick: '999999999' } })).toMatchObject({
			gap: { reason: 'epoch' }
		});
	});

	test('stream: every change, each message only after the acknowledgement of the one before', async () => {
		let waiting = 0;
		const it = await viewer({
			onTick: async () => {
				expect(++waiting).toBe(1);
				await new Promise((resolve) => setTimeout(resolve, 5));
				waiting--;
			}
		});
		await it.subscribe({ mode: 'stream', filter: { tables: [{ schema: 'public', table: 'streamed' }] } });
		await sql(`insert into streamed select generate_series(1, 2500)`);
		// So that no delete is of the same tick.
		await it.until('its beginning', ({ changes }) => changes.length > 0);
		for (let i = 0; i < 10; i++) await sql(`delete from streamed where id = ${i + 1}`);
		await it.until('everything', ({ changes }) => changes.length === 2510);
		expect(new Set(it.changes.map(({ seq }) => seq)).size).toBe(2510);
		expect(totals(it.ticks)).toEqual({ 'public.streamed': { INSERT: 2500, DELETE: 10 } });
		const parts = it.ticks.filter(({ part }) => part !== undefined);
		expect(parts.map(({ part, more }) => [part, more])).toEqual([
			[0, true],
			[1, true],
			[2, false]
		]);
		expect(parts.map(({ counts }) => counts.length)).toEqual([0, 0, 1]);
		expect(new Set(parts.map(({ from, tick }) => `${from} ${tick}`)).size).toBe(1);
		expect(it.ticks.every(({ omitted }) => omitted === 0)).toBe(true);
	});

	test.each([{ tables: [{ schema: 'public', table: 'moving' }] }, { where: 'table:moving' }])(
		'stream: a table that is renamed while a large tick of it is sent, by %j, is sent to its end',
		async (filter) => {
			await sql('create table moving (id int primary key)');
			const known = (name: string) => (viewer: Viewer) => viewer.tables.some(({ table }) => table === name);
			let renamed: Promise<unknown> | undefined;
			const it = await viewer({
				async onTick({ changes }) {
					if (changes.length === 0) return;
					await (renamed ??= sql('alter table moving rename to moved'));
					await it.until('the new name', known('moved'));
				}
			});
			await it.until('the table', known('moving'));
			await it.subscribe({ mode: 'stream', filter });
			await sql('insert into moving select generate_series(1, 6000)');
			await it.until('the last part', ({ ticks }) => ticks.some(({ more }) => more === false));
			expect(it.changes).toHaveLength(6000);
			expect(new Set(it.changes.map(({ table }) => table))).toEqual(new Set(['moving', 'moved']));
			await sql('drop table moved');
		}
	);

	test('unsubscribe ends it; a new subscription replaces the one before', async () => {
		const it = await viewer();
		await it.subscribe();
		await it.subscribe({ filter: { tables: [book] } });
		await sql(`insert into other values (1)`);
		await sql(`update "Book" set title = 'x' where id = 1`);
		await it.until('the update', ({ changes }) => changes.length > 0);
		expect(it.changes).toMatchObject([{ op: 'UPDATE', key: { id: '1' } }]);
		expect(await it.ask('unsubscribe', {})).toEqual({ ok: true });
		const seen = it.ticks.length;
		const other = await viewer();
		await other.subscribe();
		await sql(`update "Book" set title = 'y' where id = 1`);
		await other.until('the update', ({ changes }) => changes.length > 0);
		expect(it.ticks).toHaveLength(seen);
		await sql('truncate other');
	});
});

describe('the past', () => {
	test('history pages through both ways and bounds', async () => {
		const it = await viewer();
		const filter = { tables: [{ schema: 'public', table: 'past' }], ops: ['INSERT' as const] };
		await it.subscribe({ filter });
		await sql(`insert into past select generate_series(1001, 1025)`);
		await it.until('them', ({ changes }) => changes.length === 25);
		const ids: string[] = [];
		let before: { tick: string; seq: string } | undefined;
		for (let page = 0; page < 3; page++) {
			const answer = await it.ask('history', { filter, limit: 10, before });
			if (!answer.ok) throw new Error(answer.error.message);
			ids.push(...answer.changes.map(({ key }) => key!.id!));
			before = answer.next ?? undefined;
		}
		expect(ids.slice(0, 25)).toEqual(Array.from({ length: 25 }, (_, i) => String(1025 - i)));
		const [a, b] = [it.changes[4]!, it.changes[9]!];
		for (const order of ['asc', 'desc'] as const) {
			const between = await it.ask('history', { filter, after: a, before: b, order });
			const found = between.ok ? between.changes.map(({ seq }) => seq) : [];
			const expected = it.changes.slice(5, 9).map(({ seq }) => seq);
			expect(found).toEqual(order === 'asc' ? expected : expected.reverse());
			expect(between).toMatchObject({ next: null });
		}
	});

	test('a page of history ends early where its rows are wide, and tells where the next begins', async () => {
		const it = await viewer();
		await sql(`create table wide (id int primary key, a text, b text, c text, d text)`);
		await it.until('the table', ({ tables }) =>
			tables.some(({ table, watched }) => table === 'wide' && watched)
		);
		await sql(`insert into wide select i, t, t, t, t from generate_series(1, 200) i, repeat('x', 15000) t`);
		const filter = { tables: [{ schema: 'public', table: 'wide' }] };
		await expect
			.poll(async () => {
				const sizes: number[] = [];
				let before: Position | null | undefined;
				do {
					const page = (await it.ask('history', { filter, before, limit: 1000 })) as History;
					sizes.push(page.changes.length);
					before = page.next;
				} while (before);
				return sizes;
			})
			.toEqual([133, 67]);
	});

	test('rates count exactly, and name the ticks they are of', async () => {
		const it = await viewer();
		await it.subscribe();
		// From now on: the tests before this one wrote to the same table, on a fast machine within this second.
		const from = new Date().toISOString();
		await sql(`insert into "Book" select generate_series(5000, 5099)`);
		await it.until('them', ({ changes }) => changes.length === 100);
		const filter = { tables: [book], ops: ['INSERT' as const] };
		const answer = await it.ask('rates', {
			from,
			to: new Date(Date.now() + 1000).toISOString(),
			buckets: 7,
			filter
		});
		if (!answer.ok) throw new Error(answer.error.message);
		expect(answer.series).toHaveLength(1);
		expect(answer.series[0]!.rows).toHaveLength(7);
		expect(answer.series[0]!.rows.reduce((a, b) => a + b)).toBe(100);
		expect(answer.tick).toBe(it.ticks.at(-1)!.tick);
		expect(answer.from).toBe(from.replace('Z', '000Z'));
	});

	test('rates may be asked for up to the last moment of a year of four digits', async () => {
		const it = await viewer();
		const ask = (to: string) => it.ask('rates', { from: '2026-01-01T01:00:00+01:00', to, buckets: 3 });
		const answer = await ask('9999-12-31T23:59:59.999999Z');
		expect(answer).toMatchObject({ ok: true, from: '2026-01-01T00:00:00.000000Z' });
		expect(codeOf(await ask('9999-12-31T23:59:59-12:00'))).toBe('BAD_REQUEST');
	});

	test("row tells one row's life, newest first", async () => {
		const it = await viewer();
		await it.subscribe();
		await sql(`insert into "Book" values (77, 'one')`);
		await sql(`update "Book" set title = 'two' where id = 77`);
		await sql(`delete from "Book" where id = 77`);
		await it.until('all three', ({ changes }) => changes.length === 3);
		const answer = await it.ask('row', { ...book, key: { id: '77' } });
		expect(answer).toMatchObject({
			ok: true,
			changes: [{ op: 'DELETE' }, { op: 'UPDATE' }, { op: 'INSERT' }],
			next: null
		});
	});

	test('row goes on before `next`, also where a page ends at 8 MB', async () => {
		const names = Array.from({ length: 100 }, (_, i) => `c${i}`);
		await sql(`create table broad (id int primary key, step int, ${names.join(' text, ')} text)`);
		const it = await viewer();
		await it.subscribe();
		// Of 1.5 MB: what is larger than 16 kB is abbreviated column by column.
		await sql(`insert into broad select 1, 0, ${names.map(() => `repeat('x', 15000)`).join(', ')}`);
		for (let step = 1; step <= 5; step++) await sql('update broad set step = $1', [step]);
		await it.until('all of it', ({ ticks }) => totals(ticks)['public.broad']?.UPDATE === 5);
		const row = { schema: 'public', table: 'broad', key: { id: '1' } };
		const pages: number[][] = [];
		for (let before: Position | null | undefined; before !== null;) {
			const { changes, next } = (await it.ask('row', { ...row, before })) as RowLife;
			pages.push(changes.map(({ after }) => JSON.parse(after!).step));
			before = next;
		}
		expect(pages.flat()).toEqual([5, 4, 3, 2, 1, 0]);
		expect(pages.length).toBeGreaterThan(1);
	});
});

describe('bad input gets a Failure and harms nothing', () => {
	const nope = { schema: 'public', table: 'nope' };
	test.each([
		['subscribe', 'all', 'BAD_REQUEST'],
		['subscribe', { filter: { ops: ['SELECT'] } }, 'BAD_REQUEST'],
		['subscribe', { filter: { tables: [nope] } }, 'NOT_FOUND'],
		['subscribe', { filter: { where: 'x'.repeat(1_000_000) } }, 'BAD_REQUEST'],
		['subscribe', { filter: [] }, 'BAD_REQUEST'],
		['history', { limit: 0 }, 'BAD_REQUEST'],
		['history', { filter: { tables: [nope] } }, 'NOT_FOUND'],
		['rates', {}, 'BAD_REQUEST'],
		['rates', { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z', buckets: 1e9 }, 'BAD_REQUEST'],
		['row', { ...nope, key: { id: '1' } }, 'NOT_FOUND'],
		['row', { ...book, key: { nope: '1' } }, 'BAD_REQUEST'],
		['row', { ...book, key: { id: 1 } }, 'BAD_REQUEST'],
		['row', { ...book, key: { id: '1' }, before: { tick: '1' } }, 'BAD_REQUEST'],
		['unsubscribe', 5, 'BAD_REQUEST']
	] as const)('%s %j', async (event, message, code) => {
		const it = await viewer();
		const answer = await it.ask(event, message);
		expect(codeOf(answer)).toBe(code);
		expect((answer as Failure).error.message).toMatch(/^.{10,450}\.$/);
	});

	test('a flood is limited, and only for the one who floods', async () => {
		const [flood, other] = [await viewer(), await viewer()];
		const answers = await Promise.all(Array.from({ length: 600 }, () => flood.ask('history', { limit: 1 })));
		const codes = answers.map(codeOf);
		expect(codes).toContain('ok');
		expect(codes).toContain('RATE_LIMITED');
		expect(codeOf(await other.ask('history', { limit: 1 }))).toBe('ok');
	});

	test('events that nobody knows, reserved names and missing acknowledgements do nothing', async () => {
		const it = await viewer();
		const raw = it.socket as unknown as { emit(event: string, ...args: unknown[]): void };
		raw.emit('error', new Error('x').message);
		raw.emit('__proto__', {});
		raw.emit('nobody', Buffer.from('knows'));
		raw.emit('history');
		raw.emit('row', null, 1, 'x');
		raw.emit('subscribe', Buffer.alloc(10));
		expect(codeOf(await it.ask('history', { limit: 1 }))).toBe('ok');
		const health = await fetch(`${server.url}/readyz`);
		expect(health.status).toBe(200);
	});
});

describe('http', () => {
	test('health, readiness and metrics', async () => {
		expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
		const ready = await fetch(`${server.url}/readyz`);
		expect(await ready.json()).toMatchObject({ ready: true, database: 'live' });
		const metrics = await (await fetch(`${server.url}/metrics`)).text();
		for (const name of [
			'ticks_total',
			'changes_total',
			'sockets',
			'rooms',
			'lag_seconds',
			'delivery_seconds_count'
		])
			expect(metrics).toMatch(new RegExp(`^rowcast_${name} [0-9.e-]+$`, 'm'));
	});

	test('a page of an allowed origin may ask by HTTP first, as Socket.IO does by default; others may not', async () => {
		const friend = 'http://friend.example';
		const { url, stop } = await startRowcast({
			env: { DATABASE_URL: database().url, ROWCAST_ORIGINS: `https://other.example, ${friend}` }
		});
		const ask = (origin: string, method = 'GET') =>
			fetch(`${url}/socket.io/?EIO=4&transport=polling`, {
				method,
				headers: { origin, ...(method === 'OPTIONS' && { 'access-control-request-method': 'POST' }) }
			});
		for (const method of ['OPTIONS', 'GET']) {
			const answer = await ask(friend, method);
			expect(answer.ok).toBe(true);
			expect(answer.headers.get('access-control-allow-origin')).toBe(friend);
			expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
			expect(answer.headers.get('vary')).toMatch(/origin/i);
		}
		const { hello, close } = await connect(url, {
			transports: ['polling', 'websocket'],
			extraHeaders: { origin: friend }
		});
		expect(hello.protocol).toBe(1);
		close();
		for (const origin of ['http://evil.example', 'http://friend.example:81', 'null'])
			for (const method of ['OPTIONS', 'GET']) {
				const answer = await ask(origin, method);
				expect(answer.headers.get('access-control-allow-origin')).toBeNull();
				if (method === 'GET') expect(answer.status).toBe(403);
			}
		await stop();
	});

	test('a page of another origin may not connect', async () => {
		const foreign = { extraHeaders: { origin: 'http://evil.example' } };
		await expect(connect(server.url, foreign)).rejects.toThrow();
		const port = new URL(server.url).port;
		const own = await viewer({ extraHeaders: { origin: `http://127.0.0.1:${port}` } });
		expect(own.hello.protocol).toBe(1);
	});
});

test('a tick with few changes, with many and with very many is followed without a warning', async () => {
	const it = await viewer();
	await it.subscribe({ filter: { tables: [{ schema: 'public', table: 'many' }] } });
	const said = server.stderr();
	let rows = 0;
	for (const more of [1, 99, 102, 1_500, 6_000]) {
		await sql(`insert into many select i from generate_series($1::int, $2::int) i`, [
			1_000_000 + rows,
			1_000_000 + rows + more - 1
		]);
		rows += more;
		await it.until('the counts', ({ ticks }) => totals(ticks)['public.many']?.INSERT === rows);
	}
	expect(server.stderr()).toBe(said);
});

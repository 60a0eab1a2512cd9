/** The past, asked in every way: it must be the same as read change by change. */
import fc from 'fast-check';
import type pg from 'pg';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change, Filter, Position } from '../../src/lib/protocol.ts';
import { makeCatalog, type Relations } from '../../src/lib/server/catalog.ts';
import { total } from '../../src/lib/server/compose.ts';
import { addSeries, piecesOf } from '../../src/lib/pieces.ts';
import { makePool } from '../../src/lib/server/pool.ts';
import { makeReader } from '../../src/lib/server/reader.ts';
import type { Reader } from '../../src/lib/server/types.ts';
import { writePast } from '../bench/past.ts';
import { majors, useDatabase } from '../support/database.ts';
import { eventually, follow, readAll } from '../support/follow.ts';
import { withClient } from '../support/postgres.ts';

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });
	let pool: pg.Pool;
	let catalog: Relations;
	let reader: Reader;
	let all: Change[];
	let head: bigint;

	beforeAll(async () => {
		await writePast(database().url, { changes: 9000, ticks: 1500 });
		pool = makePool({ connectionString: database().url }, pino({ level: 'silent' }));
		catalog = makeCatalog(pool);
		reader = makeReader(pool, catalog);
		await read();
	});
	afterAll(() => pool?.end());

	async function read() {
		await catalog.refresh();
		const bounds = await reader.bounds();
		head = bounds.head;
		all = await readAll(reader, bounds.oldest, head);
	}

	async function pages(filter: Filter, order: 'asc' | 'desc', limit: number): Promise<Change[]> {
		const { oldest } = await reader.bounds();
		const found: Change[] = [];
		let from: Position | undefined;
		do {
			const page = await reader.changes({
				filter,
				after: oldest,
				until: head,
				order,
				limit,
				...(from && { from })
			});
			expect(page.changes.length).toBeLessThanOrEqual(limit);
			found.push(...page.changes);
			from = page.next ?? undefined;
		} while (from);
		return found;
	}

	const field = (change: Change, name: string) => JSON.parse((change.after ?? change.before)!)[name];
	const names = (...tables: string[]) => tables.map((table) => ({ schema: 'public', table }));

	test('a table has its number also while the catalogue is read anew', async () => {
		const [book] = names('book');
		const ids = catalog.ids(book!);
		expect(ids).toHaveLength(1);
		catalog.problems.set('none', 'something new');
		let reading = true;
		const read = catalog.refresh().finally(() => (reading = false));
		// One look at it in each turn of the loop.
		for (; reading; await new Promise(setImmediate)) expect(catalog.ids(book!)).toEqual(ids);
		catalog.problems.clear();
		expect(await read).toBe(true);
	});

	test.each<[Filter, (change: Change) => boolean]>([
		[{ where: 'price>50' }, (change) => field(change, 'price') > 50],
		[
			{ where: 'price>99.5', tables: names('book') },
			(change) => change.table === 'book' && field(change, 'price') > 99.5
		],
		[
			{ where: 'table:stock or author:7' },
			(change) => change.table === 'stock' || field(change, 'author') === 7
		],
		[
			{ where: 'op:delete discontinued:true' },
			(change) => change.op === 'DELETE' && field(change, 'discontinued')
		],
		[
			{ tables: names('customer'), ops: ['INSERT'] },
			(change) => change.table === 'customer' && change.op === 'INSERT'
		],
		[{ where: 'title:"no such title"' }, () => false],
		[{ where: 'table:public.voucher' }, (change) => change.table === 'voucher'],
		[
			{ where: '(table:stock or table:nothing) op:insert', tables: names('stock', 'book') },
			(change) => change.table === 'stock' && change.op === 'INSERT'
		]
	])('pages of %j hold each change that matches once, in order', async (filter, matches) => {
		const expected = all.filter(matches).map(({ tick, seq }) => `${tick} ${seq}`);
		for (const limit of [37, 1000]) {
			const ascending = await pages(filter, 'asc', limit);
			expect(ascending.map(({ tick, seq }) => `${tick} ${seq}`)).toEqual(expected);
			const descending = await pages(filter, 'desc', limit);
			expect(descending.map(({ tick, seq }) => `${tick} ${seq}`).reverse()).toEqual(expected);
		}
		expect(total(await reader.matching(filter, 0n, head))).toBe(expected.length);
	});

	test('a change is in the tick that tick_of tells', async () => {
		const { rows } = await pool.query(
			`select c.xid, rowcast.tick_of(c.xid, c.at) as near, rowcast.tick_of(c.xid, '-infinity') as old, rowcast.tick_of(c.xid, 'infinity') as new
			from rowcast.change c where c.relation <> 1 or c.lsn < '0/2000000'`
		);
		const ticks = new Map(all.map(({ tx, tick }) => [tx, tick]));
		for (const { xid, near, old, new: last } of rows)
			expect([near, old, last]).toEqual(Array(3).fill(ticks.get(xid) ?? null));
	});

	/** Rates as the ticks themselves tell them. */
	async function counted(from: string, to: string, buckets: number): Promise<Record<string, number[]>> {
		const step = Math.max(1, Math.ceil((Date.parse(to) - Date.parse(from)) / buckets));
		const { rows } = await pool.query({
			text: `select r.name || c.op::text, least(floor(extract(epoch from t.at - $1::timestamptz) * 1000 / $3::numeric)::int, $4::int - 1), sum(c.rows)
				from rowcast.tick t join rowcast.tick_count c on c.tick = t.n join rowcast.relation r on r.id = c.relation
				where t.at >= $1::timestamptz and t.at < $2::timestamptz and t.n > (select oldest from rowcast.state) group by 1, 2`,
			values: [from, to, step, buckets],
			rowMode: 'array'
		});
		const series: Record<string, number[]> = {};
		for (const [name, bucket, count] of rows)
			(series[name] ??= new Array(buckets).fill(0))[Number(bucket)] = Number(count);
		return series;
	}

	test('rates tell when each table was last written', async () => {
		const range = {
			from: new Date(Date.now() - 2 * 86_400_000).toISOString(),
			to: new Date(Date.now() + 60_000).toISOString()
		};
		for (const ops of [undefined, ['DELETE' as const]]) {
			const { after, tick, last } = await reader.rates({ ...range, buckets: 1, filter: ops ? { ops } : {} });
			const truth = await pool.query(
				`select r.schema, r.name as table, floor(extract(epoch from (array_agg(t.at order by t.n desc))[1]) * 1000)::float8 as at from rowcast.tick_count c
				join rowcast.tick t on t.n = c.tick join rowcast.relation r on r.id = c.relation
				where t.n > $1 and t.n <= $2 and c.op <> 'R' and ($3::text[] is null or c.op::text = any ($3)) group by 1, 2 order by 2`,
				[after, tick, ops ? ['D'] : null]
			);
			expect(truth.rows.length).toBeGreaterThan(0);
			const told = last!
				.map((each) => ({ ...each, at: Date.parse(each.at) }))
				.sort((a, b) => (a.table < b.table ? -1 : 1));
			expect(told).toEqual(truth.rows.map((each) => ({ ...each, at: Number(each.at) })));
		}
	});

	async function expectExactRates(numRuns: number) {
		const day = 86_400_000;
		const start = Date.now() - day;
		const time = fc
			.integer({ min: -600_000, max: day + 600_000 })
			.map((ms) => new Date(start + ms).toISOString());
		await fc.assert(
			fc.asyncProperty(time, time, fc.constantFrom(1, 7, 24, 60, 333, 1000), async (a, b, buckets) => {
				if (a === b) return;
				const [from, to] = [a, b].sort() as [string, string];
				const { series } = await reader.rates({ from, to, buckets, filter: {} });
				const got = Object.fromEntries(series.map(({ table, op, rows }) => [`${table}${op[0]}`, rows]));
				expect(got).toEqual(await counted(from, to, buckets));
			}),
			{ numRuns }
		);
	}

	test('rates are exact before, while and after the counts are summed', async () => {
		await expectExactRates(10);
		await pool.query('update rowcast.state set rolled = 0');
		await pool.query('truncate rowcast.rate');
		await pool.query(`create table kept as select * from rowcast.tick where n > 700`);
		await pool.query('delete from rowcast.tick where n > 700');
		await pool.query('select rowcast.roll_up()');
		await pool.query('insert into rowcast.tick select * from kept');
		await expectExactRates(10);
		await pool.query('select rowcast.roll_up()');
		await expectExactRates(20);
		const { rows } = await pool.query('select seconds, sum(rows) from rowcast.rate group by 1 order by 1');
		expect(rows.map(({ seconds }) => seconds)).toEqual(['1', '10', '60']);
		expect(new Set(rows.map(({ sum }) => sum)).size).toBe(1);
	});

	test('rates have what happened in the last microseconds of their time', async () => {
		const iso = (of: string) => `to_char((${of}) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
		const { rows } = await pool.query(
			`select ${iso(`date_trunc('milliseconds', at) - interval '1 second'`)} as from, ${iso(`at + interval '1 microsecond'`)} as to,
				(select sum(rows)::int from rowcast.tick_count where tick = n) as rows
			from rowcast.tick where n > 0 and extract(microseconds from at)::int % 1000 between 1 and 998 order by n desc limit 20`
		);
		expect(rows.length).toBeGreaterThan(0);
		for (const { from, to, rows: least } of rows)
			for (const buckets of [1, 10, 1000]) {
				const { series } = await reader.rates({ from, to, buckets, filter: {} });
				const told = series.flatMap((one) => one.rows).reduce((sum, rows) => sum + rows, 0);
				expect(told).toBeGreaterThanOrEqual(Number(least));
			}
	});

	test('rates of what matches are those of the changes that history finds', async () => {
		const { rows } = await pool.query(
			`select n::text, extract(epoch from at) * 1000 as at from rowcast.tick order by n`
		);
		const times = new Map<string, number>(rows.map(({ n, at }) => [n, Number(at)]));
		const [first, last] = [rows[1]!, rows.at(-1)!].map(({ at }) => Math.floor(Number(at)));
		const from = new Date(first! + (last! - first!) / 4).toISOString();
		const to = new Date(first! + ((last! - first!) * 3) / 4).toISOString();
		const buckets = 10;
		for (const where of ['table:book', 'op:update id>20', 'id=7 or table:book op:delete', 'id=-1']) {
			const { series, stepMs } = await reader.rates({ from, to, buckets, filter: { where } });
			const expected: Record<string, number[]> = {};
			for (const { table, op, tick } of await pages({ where }, 'asc', 1000)) {
				const at = times.get(tick)!;
				if (at < Date.parse(from) || at >= Date.parse(to)) continue;
				const counts = (expected[`${table} ${op}`] ??= new Array<number>(buckets).fill(0));
				counts[Math.min(buckets - 1, Math.floor((at - Date.parse(from)) / stepMs))]!++;
			}
			expect(Object.fromEntries(series.map(({ table, op, rows }) => [`${table} ${op}`, rows]))).toEqual(
				expected
			);
		}
	});

	test('rates in pieces, up to a tick, add up to those of the whole', async () => {
		const day = 86_400_000;
		const from = new Date(Date.now() - day).toISOString();
		const to = new Date().toISOString();
		const until = String((head * 9n) / 10n);
		for (const where of ['price>50', 'op:update id>20', undefined]) {
			const query = { buckets: 24, filter: { ...(where && { where }) }, until };
			const whole = await reader.rates({ ...query, from, to });
			expect(whole.tick).toBe(until);
			const rows = whole.series.reduce((sum, { rows }) => sum + rows.reduce((a, b) => a + b), 0);
			const matching = await reader.matching(query.filter, BigInt(whole.after), BigInt(until));
			expect(rows).toBe(total(matching));
			const pieces = await Promise.all(
				piecesOf(whole, rows / 50).map((piece) => reader.rates({ ...query, ...piece }))
			);
			expect(pieces.length).toBeGreaterThan(24);
			const added = whole.series.map((series) => ({ ...series, rows: series.rows.map(() => 0) }));
			for (const piece of pieces) addSeries(added, whole, piece);
			expect(added).toEqual(whole.series);
		}
	});

	/** What a row went through, as the log tells it change by change, newest first. */
	const lifeOf = (table: string, id: string) =>
		all
			.filter(
				(change) =>
					change.table === table &&
					[change.before, change.after].some((row) => row !== null && String(JSON.parse(row).id) === id)
			)
			.sort((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? 1 : -1));

	test("a row's life is the same with and without an index, keys that moved included", async () => {
		const ids = [
			...new Set(all.filter(({ table }) => table === 'book').map((change) => change.key!.id!))
		].slice(0, 20);
		// As if some updates had moved rows, in a closed leaf and in the open one.
		for (const leaf of [2, 7])
			await pool.query(
				`update rowcast.change_${leaf} set after = replace(after, '"id":', '"id":1') where op = 'U' and lsn in (
					select lsn from rowcast.change_${leaf} where op = 'U' order by lsn limit 40)`
			);
		await read();
		const moved = all.filter(
			({ op, before, after }) => op === 'UPDATE' && JSON.parse(before!).id !== JSON.parse(after!).id
		);
		expect(moved.length).toBe(80);
		const rows: [string, string][] = [
			...ids.map((id): [string, string] => ['book', id]),
			...moved.flatMap(({ table, before, after }): [string, string][] => [
				[table, String(JSON.parse(before!).id)],
				[table, String(JSON.parse(after!).id)]
			])
		];
		const expectLives = async () => {
			for (const [table, id] of rows.slice(0, 60))
				expect(await reader.row({ schema: 'public', table, key: { id }, limit: 500 })).toEqual({
					changes: lifeOf(table, id),
					next: null
				});
		};
		await expectLives();
		for (let i = 0; i < 4; i++)
			expect((await pool.query('select rowcast.index_leaf() as did')).rows[0].did).toBe(true);
		await expectLives();
		while ((await pool.query('select rowcast.index_leaf() as did')).rows[0].did);
		await expectLives();
		const [{ table, key }] = [all[5]!];
		for (const limit of [1, 2, 3]) {
			const paged: Change[] = [];
			for (let next: Position | null | undefined; next !== null;) {
				const page = await reader.row({ schema: 'public', table, key: key!, limit, before: next });
				expect(page.changes.length).toBeGreaterThan(0);
				paged.push(...page.changes);
				next = page.next;
			}
			expect(paged).toEqual(lifeOf(table, key!.id!));
		}
		const by = async (key: Record<string, string | null>) =>
			(await reader.row({ schema: 'public', table: 'book', key })).changes;
		expect(await by({ title: 'The 5 Gorillas' })).toEqual(
			all
				.filter(
					(change) => change.table === 'book' && /"The 5 Gorillas"/.test(change.after ?? change.before!)
				)
				.sort((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? 1 : -1))
		);
		for (const id of [`5' or 1=1 --`, '\0', '\ud800', '"', '\\']) expect(await by({ id })).toEqual([]);
	});

	test('pruning takes a leaf with its index, and rates with the ticks', async () => {
		expect((await pool.query('select rowcast.prune() as did')).rows[0].did).toBe(true);
		const { oldest } = await reader.bounds();
		expect(oldest).toBeGreaterThan(100n);
		const { rows } = await pool.query(
			`select to_regclass('rowcast.change_0_row') as row, to_regclass('rowcast.change_1_row') is null as other`
		);
		expect(rows[0]).toEqual({ row: null, other: false });
		await expectExactRates(10);
		await pool.query('select rowcast.maintain()');
		await expectExactRates(10);
		const sums = await pool.query(
			'select seconds, min(start) > (select at from rowcast.tick where n = $1) - make_interval(secs => 60 + seconds) as swept from rowcast.rate group by 1',
			[oldest]
		);
		expect(sums.rows.every(({ swept }) => swept)).toBe(true);
	});
});

describe('while a server leads', () => {
	const database = useDatabase();

	test('sums follow by themselves, and a closed leaf gets its index', async () => {
		await withClient(database().url, (client) =>
			client.query('create table item (id int primary key, note text)')
		);
		const following = await follow(database().url);
		await withClient(database().url, async (client) => {
			for (let i = 1; i <= 5; i++) {
				await client.query(`insert into item values (${i}, 'one')`);
				await client.query('select pg_sleep(0.25)');
			}
			await client.query('select rowcast.rotate()');
			await client.query(
				`update rowcast.leaf set closed_at = closed_at - interval '1 minute' where closed_at is not null`
			);
			const { rows } = await eventually(
				() =>
					client.query(
						'select row_keys, (select sum(rows)::int from rowcast.rate where seconds = 10) as sum from rowcast.leaf where slot = 0'
					),
				({ rows }) => rows[0].row_keys !== null && rows[0].sum > 0
			);
			expect(Object.values(rows[0].row_keys)).toEqual([['id']]);
			await client.query(`update item set note = 'two' where id = 1`);
			await following.until('the update', ({ ticks }) =>
				ticks.some(({ changes }) => changes.some(({ op }) => op === 'UPDATE'))
			);
		});
		const { changes: life } = await following.follower.reader.row({
			schema: 'public',
			table: 'item',
			key: { id: '1' }
		});
		expect(life.map(({ op }) => op)).toEqual(['UPDATE', 'INSERT']);
		await following.close();
	});
});

describe('rows of a log that is written to', () => {
	const database = useDatabase();

	test("a row's life is found whatever its key is, and wherever its columns were", async () => {
		const keys = ['50%_\\', '50xx\\', '"id":7', '7', 'null', 'Ж "ß"', '', '{"id":"7'];
		await withClient(database().url, (client) =>
			client.query(`
				create table odd (id text, part int, note text, primary key (part, id));
				create table moved (gone int, id bigint primary key, note text)`)
		);
		const following = await follow(database().url);
		await withClient(database().url, async (client) => {
			await client.query(`insert into odd select k, 1, 'one' from unnest($1::text[]) k`, [keys]);
			await client.query(`insert into moved values (1, 77, '"id":78'), (77, 7, 'x'), (2, 78, 'y')`);
			await client.query(`alter table moved drop column gone`);
			await client.query(`update moved set note = 'two'; update odd set note = 'two'`);
			await following.until('all of them', ({ ticks }) => {
				const rows = ticks.flatMap(({ counts }) => counts).reduce((sum, { rows }) => sum + rows, 0);
				return rows === 2 * (keys.length + 3);
			});
		});
		const { reader } = following.follower;
		for (const id of keys) {
			const { changes: life } = await reader.row({ schema: 'public', table: 'odd', key: { id, part: '1' } });
			expect(life.map(({ op, key }) => [op, key])).toEqual(
				['UPDATE', 'INSERT'].map((op) => [op, { part: '1', id }])
			);
		}
		for (const id of ['7', '77', '78']) {
			const { changes: life } = await reader.row({ schema: 'public', table: 'moved', key: { id } });
			expect(life.map(({ op, key }) => [op, key])).toEqual(['UPDATE', 'INSERT'].map((op) => [op, { id }]));
		}
		await following.close();
	});
});

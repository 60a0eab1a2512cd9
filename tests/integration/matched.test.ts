/** What matches a condition is counted by the server, whatever of it is sent: as history selects it, to the row. */
import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { Change, Count, Filter, History, Position, Rates } from '../../src/lib/protocol.ts';
import { majors, useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast, type Viewer } from '../support/rowcast.ts';

const term = fc.oneof(
	fc
		.tuple(fc.constantFrom('', 'before.', 'after.'), fc.constantFrom('>', '<=', ':', '!='), fc.nat(20))
		.map(([row, sign, value]) => `${row}price${sign}${value}`),
	fc.constantFrom('before.price!=after.price', 'changed:note', 'note:null', 'note~"*1*"', 'missing:null'),
	fc.constantFrom('table:book', 'table:public.stock', 'op:update', 'op:delete', 'op:reference')
);
const where = fc
	.array(fc.tuple(fc.constantFrom('', '-'), term), { minLength: 1, maxLength: 3 })
	.chain((terms) =>
		fc.constantFrom(' ', ' or ').map((joint) => terms.map(([not, term]) => not + term).join(joint))
	);
const filter: fc.Arbitrary<Filter> = fc.record(
	{
		where,
		tables: fc.constant([{ schema: 'public', table: 'book' }]),
		ops: fc.constant(['INSERT' as const, 'UPDATE' as const])
	},
	{ requiredKeys: ['where'] }
);

/** By table and op. */
function sum(counts: Count[]): Record<string, number> {
	const sums: Record<string, number> = {};
	for (const { table, op, rows } of counts) sums[`${table} ${op}`] = (sums[`${table} ${op}`] ?? 0) + rows;
	return sums;
}
const countsOf = (changes: Change[]) => changes.map((change): Count => ({ ...change, rows: 1 }));
const rowsOf = (counts: Count[] | undefined) => counts?.reduce((sum, { rows }) => sum + rows, 0);

/** All that history selects. */
async function select(viewer: Viewer, filter: Filter): Promise<Change[]> {
	const found: Change[] = [];
	let before: Position | undefined;
	do {
		const page = (await viewer.ask('history', { filter, limit: 1000, ...(before && { before }) })) as History;
		expect(page).toMatchObject({ ok: true });
		found.push(...page.changes);
		before = page.next ?? undefined;
	} while (before);
	return found;
}

async function write(db: pg.ClientBase): Promise<void> {
	await db.query(`insert into stock select n from generate_series(1, 20) n`);
	await db.query(
		`insert into book select n, n % 20, 'note ' || n % 3, n % 20 + 1 from generate_series(1, 40) n`
	);
	for (let i = 1; i <= 40; i++) {
		await db.query(
			`update book set price = (price * 7 + $1) % 25, note = nullif(note, 'note 1') where id % 7 = $1 % 7`,
			[i]
		);
		if (i % 5 === 0) await db.query(`update stock set note = 'moved ' || $1 where id = $1`, [i % 20]);
	}
	// More than one part of a stream holds.
	await db.query(`insert into book select n, n % 20 from generate_series(1001, 3500) n`);
	await db.query(`delete from book where id % 3 = 0`);
	await db.query(`insert into last values (1)`);
}

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	test('in feed and stream, over random filters', async () => {
		const { url } = database();
		await withClient(url, (db) =>
			db.query(`create table stock (id int primary key, note text);
				create table book (id int primary key, price int, note text, stock_id int references stock);
				create index on book (stock_id);
				create table last (id int primary key)`)
		);
		const rowcast = await startRowcast({ env: { DATABASE_URL: url, ROWCAST_WATCH: 'all' } });
		const filters = [{ where: 'price>5' }, ...fc.sample(filter, { numRuns: 8 })];
		const watched = filters.flatMap((filter) => [
			{ filter, mode: 'feed' as const, limit: 3 },
			{ filter, mode: 'feed' as const, limit: 1000 },
			{ filter, mode: 'stream' as const }
		]);
		const viewers: Viewer[] = [];
		for (const request of watched) {
			const viewer = await connect(rowcast.url);
			await viewer.subscribe(request);
			viewers.push(viewer);
		}
		const all = await connect(rowcast.url);
		await all.subscribe({ limit: 1 });
		await withClient(url, write);
		const counted = (what: (count: Count) => boolean) => (viewer: Viewer) =>
			viewer.ticks.some(({ counts }) => counts.some(what));
		await all.until(
			'the last row',
			counted(({ table }) => table === 'last')
		);
		// They are announced after their causes.
		await all.until(
			'references',
			counted(({ op }) => op === 'REFERENCE')
		);
		const { tick: head } = all.ticks.at(-1)!;
		const from = new Date(Date.now() - 3_600_000).toISOString();
		const to = new Date(Date.now() + 3_600_000).toISOString();
		for (const [i, request] of watched.entries()) {
			const { filter, mode } = request;
			const viewer = viewers[i]!;
			await viewer.until(`tick ${head}`, ({ ticks }) => BigInt(ticks.at(-1)?.tick ?? 0) >= BigInt(head));
			// What arrives while the past is asked for, a later tick's references, is left out on both sides.
			const ticks = [...viewer.ticks];
			const changes = [...viewer.changes];
			const until = ticks.at(-1)!.tick;
			const what = `${mode} of ${JSON.stringify(filter)}`;
			const selected = (await select(all, filter)).filter(({ tick }) => BigInt(tick) <= BigInt(until));
			const expected = sum(countsOf(selected));
			expect(sum(ticks.flatMap(({ matched }) => matched!)), what).toEqual(expected);
			if (mode === 'stream') expect(sum(countsOf(changes)), what).toEqual(expected);
			else
				for (const { matched, changes, omitted } of ticks)
					expect(rowsOf(matched), what).toBe(changes.length + omitted);
			const rates = (await all.ask('rates', { from, to, buckets: 7, filter, until })) as Rates;
			const rows = rates.series.map(({ rows, ...of }) => ({ ...of, rows: rows.reduce((a, b) => a + b) }));
			expect(sum(rows), what).toEqual(expected);
		}
		expect(all.ticks.every((message) => !('matched' in message))).toBe(true);
		for (const viewer of [all, ...viewers]) viewer.close();
		await rowcast.stop();
	});
});

import { describe, expect, test } from 'vitest';
import { Feed } from '../../src/lib/feed.ts';
import { height, indexOf, linesBetween, toggle, type Line } from '../../src/lib/lines.ts';
import type { Change, TableInfo } from '../../src/lib/protocol.ts';
import { change } from './support/changes.ts';

const at = '2026-01-31T12:00:00.000000Z';
const all = (feed: Feed) => linesBetween(feed.entries, 0, 10_000);
const kinds = (lines: Line[]) => lines.map(({ kind }) => kind);
const push = (feed: Feed, changes: Change[], omitted = 0, now = 1000, remainder?: number) =>
	feed.push({ at, changes, omitted, remainder }, now);

describe('the ledger', () => {
	test('shows the newest first, a transaction of one row as one line', () => {
		const feed = new Feed();
		push(feed, [change({ tx: '1', table: 'a' }), change({ tx: '2', table: 'b' })]);
		expect(all(feed).map((line) => line.kind === 'change' && line.change.table)).toEqual(['b', 'a']);
	});

	test('keeps the rows of a transaction together, in their order, under one line', () => {
		const feed = new Feed();
		push(feed, [
			change({ tx: '1', table: 'a' }),
			change({ tx: '2', table: 'x' }),
			change({ tx: '1', table: 'b' })
		]);
		const lines = all(feed);
		expect(kinds(lines)).toEqual(['change', 'transaction', 'change', 'change']);
		expect(lines.slice(2).map((line) => line.kind === 'change' && line.change.table)).toEqual(['a', 'b']);
	});

	test('folds a batch, and opens it', () => {
		const feed = new Feed();
		push(
			feed,
			Array.from({ length: 40 }, () => change({ tx: '1', op: 'UPDATE' }))
		);
		const [line] = all(feed);
		expect(all(feed)).toHaveLength(1);
		expect(line!.kind === 'transaction' && line!.tallies).toMatchObject([{ op: 'UPDATE', rows: 40 }]);
		expect(toggle(feed.entries, line!)).toBe(true);
		expect(all(feed)).toHaveLength(41);
	});

	test('gives what was left out to the transaction that is known to have made it', () => {
		const feed = new Feed();
		push(feed, [change({ tx: '1' }), change({ tx: '1' })], 9998, 1000, 9990);
		push(feed, [change({ tx: '2', tick: '2' }), change({ tx: '2', tick: '2' })], 9998, 1000, 0);
		push(feed, [change({ tx: '3', tick: '3' }), change({ tx: '3', tick: '3' })], 9998);
		expect(feed.entries).toMatchObject([{ omitted: 9990 }, { omitted: 0 }, { omitted: Infinity }]);
	});

	test('tells what a transaction did in all where most of it was left out', () => {
		const feed = new Feed();
		const count = (op: Change['op'], rows: number) => ({ schema: 'public', table: 'Book', op, rows });
		const counts = [count('INSERT', 2000), count('UPDATE', 1500)];
		const changes = Array.from({ length: 200 }, () => change({ op: 'UPDATE' }));
		feed.push(
			{ at, changes, omitted: 3300, remainder: 3300, counts: [...counts, count('REFERENCE', 0)] },
			1000
		);
		expect(all(feed)[0]).toMatchObject({ tallies: counts, omitted: 3300 });
		feed.extend(Array.from({ length: 100 }, () => change({ op: 'UPDATE' })));
		expect(all(feed)[0]).toMatchObject({ tallies: counts, omitted: 3200 });
	});

	test('puts references under their cause, alike ones on one line', () => {
		const feed = new Feed();
		const cause = change({ tx: '1', op: 'UPDATE' });
		push(feed, [cause, change({ tx: '2' })]);
		const via = { seq: cause.seq, schema: 'public', table: 'Book', constraint: 'fk', truncated: false };
		push(feed, [
			change({ tx: '9', op: 'REFERENCE', table: 'Review', via }),
			change({ tx: '9', op: 'REFERENCE', table: 'Review', via })
		]);
		const lines = all(feed);
		expect(kinds(lines)).toEqual(['change', 'change', 'references']);
		expect(lines[2]!.kind === 'references' && lines[2]!.references.changes).toHaveLength(2);
	});

	test('does not move what is being read: late references stand by themselves', () => {
		const feed = new Feed();
		const cause = change({ tx: '1', op: 'UPDATE' });
		push(feed, [cause], 0, 1000);
		const copy = feed.entries.slice();
		feed.frozenAt = 1500;
		const via = { seq: cause.seq, schema: 'public', table: 'Book', constraint: 'fk', truncated: false };
		push(feed, [change({ tick: '2', op: 'REFERENCE', table: 'Review', via })], 0, 2000);
		expect(height(copy)).toBe(1);
		expect(kinds(all(feed))).toEqual(['references', 'change']);
	});

	test('puts references that come with their cause under it, also as history while one reads', () => {
		const feed = new Feed();
		const page = () => {
			const cause = change({ tx: '1', op: 'UPDATE' });
			const via = { seq: cause.seq, schema: 'public', table: 'Book', constraint: 'fk', truncated: false };
			return [cause, change({ op: 'REFERENCE', table: 'Review', via })];
		};
		const older = page();
		push(feed, [change({ tick: '2', tx: '2' })], 0, 1000);
		feed.frozenAt = 1500;
		feed.extend(older);
		expect(kinds(all(feed))).toEqual(['change', 'change', 'references']);
		feed.reset(page());
		expect(kinds(all(feed))).toEqual(['change', 'references']);
	});

	test('is bounded', () => {
		const feed = new Feed(100);
		for (let i = 0; i < 1000; i++) push(feed, [change({ tx: String(i) })], 0, i * 100);
		expect(feed.size).toBeLessThanOrEqual(100);
		expect(feed.entries.length).toBeLessThanOrEqual(100);
	});

	test('keeps a burst whole, samples what goes on and says so', () => {
		const feed = new Feed();
		push(
			feed,
			Array.from({ length: 1000 }, (_, i) => change({ tx: String(i) })),
			0,
			0
		);
		expect(feed.size).toBe(1000);
		for (let now = 0; now < 10_000; now += 50)
			push(
				feed,
				Array.from({ length: 100 }, (_, i) => change({ tx: `${now} ${i}` })),
				0,
				now
			);
		expect(feed.size).toBeLessThan(1000 + 2000 + 11 * 200);
		expect(feed.sample.of).toBeGreaterThan(1900);
		expect(feed.sample.shown).toBeLessThan(300);
	});

	test('adds older history below, and newer after an absence, each once', () => {
		const feed = new Feed();
		const [a, b, c] = ['1', '2', '3'].map((tick) => change({ tick, tx: tick }));
		feed.reset([b!]);
		expect(feed.oldest()).toEqual({ tick: '2', seq: b!.seq });
		feed.extend([a!]);
		feed.catchUp([b!, c!], 5);
		expect(all(feed).map((line) => line.id)).toEqual([c!.seq, b!.seq, a!.seq]);
		expect(indexOf(feed.entries, a!.seq)).toBe(2);
	});

	test('joins a transaction, and references, that the beginning of a page had split', () => {
		const feed = new Feed();
		const of = (tick: string, rows: number) => Array.from({ length: rows }, () => change({ tick, tx: tick }));
		const [other, batch, single] = [of('1', 1), of('2', 300), of('3', 1)];
		const via = { seq: '0', schema: 'public', table: 'Book', constraint: 'fk', truncated: false };
		const references = Array.from({ length: 4 }, () => change({ tick: '4', op: 'REFERENCE', via }));
		feed.reset([...references.slice(2)]);
		feed.extend([...batch.slice(120), ...single, ...references.slice(0, 2)]);
		expect(feed.entries).toHaveLength(3);
		const copy = feed.entries.slice();
		expect(feed.extend([...other, ...batch.slice(0, 120)])).toHaveLength(1);
		expect(new Set(all(feed).map(({ id }) => id)).size).toBe(4);
		expect(copy[0]).toMatchObject({ changes: batch, omitted: 0, open: false });
		expect(copy[2]).toMatchObject({ references: { changes: references } });
		expect(feed.size).toBe(306);
		expect(feed.oldest()).toEqual({ tick: '1', seq: other[0]!.seq });
		// Once more what is held already changes nothing.
		expect(feed.extend([...other, ...batch])).toEqual([]);
		expect(feed.size).toBe(306);
	});

	test('a card at the beginning of a full page may go on before it, until that is known', () => {
		const feed = new Feed();
		feed.reset(Array.from({ length: 200 }, () => change({ tick: '2', op: 'UPDATE' })));
		expect(all(feed)[0]).toMatchObject({ kind: 'transaction', omitted: Infinity });
		const more = Array.from({ length: 50 }, () => change({ tick: '2', op: 'UPDATE' }));
		feed.extend(more);
		expect(all(feed)[0]).toMatchObject({ omitted: Infinity });
		expect(feed.begun).toBe(false);
		feed.extend([]);
		expect(all(feed)[0]).toMatchObject({ omitted: 0, tallies: [{ rows: 250 }] });
		expect(feed.begun).toBe(true);
	});

	test('takes no more than there is room for', () => {
		const feed = new Feed(100);
		feed.reset(Array.from({ length: 100 }, () => change({ tick: '2' })));
		feed.extend([change({ tick: '1' })]);
		expect(feed.size).toBe(100);
		expect(feed.begun).toBe(true);
	});

	test('sampling counts what it drops for the transaction that wrote it', () => {
		const feed = new Feed();
		const moment = (tick: number) =>
			Array.from({ length: 49 }, (_, i) =>
				change({ tick: String(tick), tx: `${tick} ${Math.floor(i / 7)}` })
			);
		for (let i = 0; i < 100; i++) push(feed, moment(i), 0, i * 50);
		const sizes = feed.entries.map(
			(entry) => entry.kind === 'transaction' && entry.changes.length + entry.omitted
		);
		expect(new Set(sizes)).toEqual(new Set([7]));
		const cut = all(feed).find((line) => line.kind === 'transaction' && line.omitted > 0);
		expect(cut).toMatchObject({ tallies: [{ rows: 7 }] });
	});

	test('what the server left out of several transactions may be of any in the first tick', () => {
		const feed = new Feed();
		push(
			feed,
			['1', '1', '1', '2', '2'].map((tick, i) => change({ tick, tx: String(Math.max(1, i)) })),
			50
		);
		expect(feed.entries).toMatchObject([
			{ omitted: Infinity },
			{ omitted: 0 },
			{ omitted: 0 },
			{ omitted: 0 }
		]);
	});

	describe('runs within a transaction', () => {
		const of = (table: string, op: Change['op'], rows: number) =>
			Array.from({ length: rows }, () => change({ table, op }));
		const words = (feed: Feed) =>
			all(feed).map((line) => (line.kind === 'run' ? `${line.changes.length} ${line.open}` : line.kind));

		test('more than five rows alike fold to one line, which opens to them', () => {
			const feed = new Feed();
			push(feed, [...of('order', 'INSERT', 1), ...of('stock', 'UPDATE', 6), ...of('line', 'INSERT', 5)]);
			toggle(feed.entries, all(feed)[0]!);
			expect(words(feed)).toEqual(['transaction', 'change', '6 false', ...Array(5).fill('change')]);
			toggle(feed.entries, all(feed)[2]!);
			expect(words(feed).slice(1, 5)).toEqual(['change', '6 true', 'change', 'change']);
			expect(all(feed)[3]).toMatchObject({ depth: 2, change: { table: 'stock' } });
			const ids = all(feed).map(({ id }) => id);
			expect(new Set(ids).size).toBe(ids.length);
			// Folded and opened again, the card is as it was left.
			toggle(feed.entries, all(feed)[0]!);
			toggle(feed.entries, all(feed)[0]!);
			expect(all(feed).map(({ id }) => id)).toEqual(ids);
			toggle(feed.entries, all(feed)[2]!);
			expect(words(feed)).toEqual(['transaction', 'change', '6 false', ...Array(5).fill('change')]);
		});

		test('what is opened stays open, and what is listed stays listed, while history comes in before it', () => {
			const feed = new Feed();
			const stock = of('stock', 'UPDATE', 20);
			const line = of('line', 'INSERT', 9);
			const [early, late] = [stock.slice(0, 18), stock.slice(18)];
			push(feed, [...late, ...line], 18);
			toggle(feed.entries, all(feed)[0]!);
			expect(words(feed)).toEqual(['transaction', 'omitted', 'change', 'change', '9 false']);
			toggle(feed.entries, all(feed)[4]!);
			const run = all(feed)[4]!.id;
			const card = all(feed)[0]!;
			if (card.kind !== 'transaction') throw new Error(card.kind);
			const next = (seq: string) => ({ tick: '1', seq });
			feed.fill(card.transaction, early.slice(9), next(early[9]!.seq));
			expect(words(feed).slice(0, 3)).toEqual(['transaction', 'omitted', '11 true']);
			expect(all(feed)[14]).toMatchObject({ id: run, open: true });
			feed.extend(early.slice(0, 9));
			expect(words(feed).slice(0, 3)).toEqual(['transaction', 'omitted', '20 true']);
			expect(all(feed)[23]).toMatchObject({ id: run, open: true });
		});

		test('a card of one run lists its rows, and goes on to when another comes in before it', () => {
			const feed = new Feed();
			const [order, stock] = [of('order', 'INSERT', 8), of('stock', 'UPDATE', 8)];
			push(feed, stock, 8);
			toggle(feed.entries, all(feed)[0]!);
			expect(words(feed)).toEqual(['transaction', 'omitted', ...Array(8).fill('change')]);
			feed.extend(order);
			expect(words(feed)).toEqual([
				'transaction',
				'omitted',
				'8 false',
				'8 true',
				...Array(8).fill('change')
			]);
		});

		test('what follows from a row of a run is found in it', () => {
			const feed = new Feed();
			const gone = of('User', 'DELETE', 7).map((change, i) => ({ ...change, before: `{"id":${i}}` }));
			const via = { seq: gone[1]!.seq, schema: 'public', table: 'User', constraint: 'fk', truncated: false };
			const columns = { columns: ['by'], referenced: ['id'], constraint: 'Review_by' };
			const review = {
				oid: 1,
				schema: 'public',
				table: 'Review',
				watched: true,
				columns: [],
				primaryKey: ['id']
			};
			feed.tables = [{ ...review, references: [{ ...columns, schema: 'public', table: 'User' }] }];
			push(feed, [
				...of('order', 'INSERT', 1),
				...gone,
				change({ table: 'Review', op: 'DELETE', before: '{"id":1,"by":6}' })
			]);
			push(feed, [change({ tick: '2', op: 'REFERENCE', via })]);
			toggle(feed.entries, all(feed)[0]!);
			expect(words(feed)).toEqual(['transaction', 'change', '7 false']);
			toggle(feed.entries, all(feed)[2]!);
			const rows = Array(7).fill('change');
			rows.splice(2, 0, 'references');
			expect(words(feed)).toEqual(['transaction', 'change', '7 true', ...rows, 'change']);
			expect(all(feed).at(-1)).toMatchObject({ depth: 3, change: { table: 'Review' } });
		});

		test('a card that was opened is open where the feed starts over', () => {
			const feed = new Feed();
			const rows = [...of('order', 'INSERT', 2), ...of('stock', 'UPDATE', 8)];
			feed.reset(rows);
			toggle(feed.entries, all(feed)[0]!);
			toggle(feed.entries, all(feed)[3]!);
			const more = of('stock', 'UPDATE', 1);
			feed.reset([...rows, ...more]);
			expect(words(feed).slice(0, 5)).toEqual(['transaction', 'change', 'change', '9 true', 'change']);
		});
	});

	test('rows that a deleted row took along stand under it, at every depth', () => {
		const table = (table: string, ...references: [column: string, parent: string][]): TableInfo => ({
			oid: 1,
			schema: 'public',
			table,
			watched: true,
			columns: [],
			primaryKey: ['id'],
			references: references.map(([column, parent]) => ({
				constraint: `${table}_${column}`,
				columns: [column],
				referenced: ['id'],
				schema: 'public',
				table: parent
			}))
		});
		const gone = (table: string, row: object) =>
			change({ op: 'DELETE', table, before: JSON.stringify(row), after: null });
		const feed = new Feed();
		feed.tables = [
			table('User'),
			table('Book', ['authorId', 'User']),
			table('Review', ['bookId', 'Book'], ['by', 'User'])
		];
		push(feed, [
			gone('Review', { id: 1, bookId: 9, by: null }),
			gone('User', { id: 1 }),
			gone('Book', { id: 9, authorId: 1 }),
			gone('Review', { id: 2, bookId: 9, by: 7 }),
			change({
				op: 'UPDATE',
				table: 'Review',
				before: '{"id":3,"bookId":8,"by":1}',
				after: '{"id":3,"bookId":8,"by":null}'
			}),
			gone('Review', { id: 4, bookId: 9, by: 7 })
		]);
		toggle(feed.entries, all(feed)[0]!);
		const shape = () => all(feed).map((line) => [line.kind, 'depth' in line ? line.depth : 0]);
		expect(shape()).toEqual([
			['transaction', 0],
			['change', 1],
			['change', 1],
			['change', 2],
			['references', 3],
			['change', 2]
		]);
		expect(all(feed)[4]).toMatchObject({ references: { table: 'Review', changes: [{}, {}] } });
		toggle(feed.entries, all(feed)[4]!);
		expect(shape().slice(4)).toEqual([
			['references', 3],
			['change', 4],
			['change', 4],
			['change', 2]
		]);
	});

	test('knows when a table was last changed, of history and of the present', () => {
		const feed = new Feed();
		feed.reset([change({ at: '2026-01-31T12:00:01.500000Z' })]);
		feed.extend([change({ at: '2026-01-31T11:00:00.000000Z' })]);
		const table = { schema: 'public', table: 'Book' };
		expect(feed.latest(table)).toBe(Date.parse('2026-01-31T12:00:01.500Z'));
		push(feed, [change({ at: '2026-01-31T12:00:02.000000Z' })]);
		expect(feed.latest(table)).toBe(Date.parse('2026-01-31T12:00:02Z'));
		expect(feed.latest({ schema: 'other', table: 'Book' })).toBe(null);
	});

	test('what was left out is no longer, once history brings it', () => {
		const feed = new Feed();
		const rows = Array.from({ length: 30 }, () => change({ op: 'UPDATE' }));
		push(feed, rows.slice(20), 20, 1000, 20);
		feed.extend(rows.slice(5, 20));
		expect(feed.entries).toMatchObject([{ omitted: 5 }]);
		feed.extend(rows.slice(0, 5));
		expect(feed.entries).toMatchObject([{ changes: rows, omitted: Infinity }]);
		feed.extend([]);
		expect(feed.entries).toMatchObject([{ omitted: 0 }]);
	});

	test('a stretch of lines is the same stretch of all of them', () => {
		const feed = new Feed();
		for (let i = 0; i < 30; i++)
			push(
				feed,
				Array.from({ length: (i % 4) + 1 }, () => change({ tick: String(i + 1), tx: String(i) }))
			);
		const lines = all(feed).map(({ id }) => id);
		expect(lines).toHaveLength(height(feed.entries));
		expect(linesBetween(feed.entries, 17, 20).map(({ id }) => id)).toEqual(lines.slice(17, 37));
	});
});

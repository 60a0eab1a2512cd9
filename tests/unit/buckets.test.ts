import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Buckets, written } from '../../src/lib/buckets.ts';

const book = { schema: 'public', table: 'Book' };
const user = { schema: 'public', table: 'User' };

test('counts stay while the window holds them and leave with it', () => {
	const window = new Buckets(1000, 5, 10_000);
	window.add(10_500, [{ ...book, op: 'INSERT', rows: 3 }]);
	window.add(12_000, [{ ...user, op: 'UPDATE', rows: 2 }]);
	expect(written(window.sums)).toBe(5);
	window.advance(15_000);
	expect(window.of(book).INSERT).toBe(0);
	expect(window.of(user).UPDATE).toBe(2);
	window.advance(1_000_000);
	expect(written(window.sums)).toBe(0);
});

test('what is older than the window is not counted', () => {
	const window = new Buckets(1000, 5, 10_000);
	window.add(5_000, [{ ...book, op: 'INSERT', rows: 3 }]);
	expect(written(window.sums)).toBe(0);
});

test('a table was last written when it is told, not when its step began', () => {
	const buckets = new Buckets(1000, 10, 20_000);
	const name = { schema: 'public', table: 'Book' };
	buckets.fill(15_000, 1000, [{ ...name, op: 'INSERT', rows: [2, 0, 1] }]);
	expect(buckets.last(name)).toBe(17_000);
	buckets.touch([
		{ ...name, at: new Date(17_912).toISOString() },
		{ schema: 'public', table: 'User', at: new Date(18_000).toISOString() }
	]);
	expect(buckets.last(name)).toBe(17_912);
	expect(buckets.last({ schema: 'public', table: 'User' })).toBe(null);
});

test('a sparkline adds up to the rows written, references left out', () => {
	const window = new Buckets(1000, 60, 60_000);
	window.add(20_000, [{ ...book, op: 'INSERT', rows: 3 }]);
	window.add(59_000, [{ ...book, op: 'DELETE', rows: 1 }]);
	window.add(59_000, [{ ...book, op: 'REFERENCE', rows: 9 }]);
	const points = window.spark(book, 10);
	expect(points).toHaveLength(10);
	expect(points.reduce((sum, value) => sum + value, 0)).toBe(4);
});

test('however counts arrive, the window holds the sum of those within it', () => {
	const count = fc.record({
		at: fc.integer({ min: 0, max: 100_000 }),
		rows: fc.integer({ min: 1, max: 50 })
	});
	fc.assert(
		fc.property(fc.array(count), (counts) => {
			const window = new Buckets(500, 40, 0);
			for (const { at, rows } of counts) window.add(at, [{ ...book, op: 'UPDATE', rows }]);
			const within = counts.filter(({ at }) => at >= window.from && at < window.to);
			const expected = within.reduce((sum, { rows }) => sum + rows, 0);
			expect(window.sums.UPDATE).toBe(expected);
			expect(window.of(book).UPDATE).toBe(expected);
			const steps: number[] = [];
			window.read('UPDATE', steps);
			expect(steps.reduce((sum, value) => sum + value, 0)).toBe(expected);
		})
	);
});

import { expect, test } from 'vitest';
import { makeRandom } from '../../src/lib/server/demo/random.ts';

const numbers = (seed: number) => {
	const random = makeRandom(seed);
	return Array.from({ length: 1000 }, () => random.next());
};

test('a seed repeats, another seed differs', () => {
	expect(numbers(7)).toEqual(numbers(7));
	expect(numbers(7)).not.toEqual(numbers(8));
});

test('numbers are spread evenly from 0 to 1', () => {
	const mean = numbers(1).reduce((sum, n) => sum + n, 0) / 1000;
	expect(mean).toBeGreaterThan(0.45);
	expect(mean).toBeLessThan(0.55);
	expect(numbers(1).every((n) => n >= 0 && n < 1)).toBe(true);
});

test('items come as often as their weight says', () => {
	const random = makeRandom(3);
	const items = [
		{ name: 'often', weight: 9 },
		{ name: 'seldom', weight: 1 }
	];
	const seldom = Array.from({ length: 2000 }, () => random.weighted(items)).filter(
		(i) => i.name === 'seldom'
	);
	expect(seldom.length).toBeGreaterThan(120);
	expect(seldom.length).toBeLessThan(280);
});

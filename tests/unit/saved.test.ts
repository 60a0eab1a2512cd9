import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MOST_VIEWS, parseSaved, withView } from '../../src/lib/saved.ts';

test('what was kept is read again', () => {
	const list = withView(withView([], 'Books', '?table=public.Book'), 'All', '');
	expect(parseSaved(JSON.stringify(list))).toEqual(list);
});

test('a view of the same name takes the place of the old one', () => {
	const list = withView(withView([], 'a', '?q=1'), 'b', '?q=2');
	expect(withView(list, 'a', '?q=3')).toEqual([
		{ name: 'a', address: '?q=3' },
		{ name: 'b', address: '?q=2' }
	]);
});

test('what is no view is passed over', () => {
	const good = { name: 'good', address: '?q=x' };
	const bad = [
		null,
		7,
		{ name: '', address: '' },
		{ name: 'elsewhere', address: 'https://example.org' },
		{ name: 'script', address: 'javascript:alert(1)' },
		{ name: 'path', address: '//example.org' },
		{ name: 'n'.repeat(81), address: '' },
		{ name: 'good', address: '?q=second' }
	];
	expect(parseSaved(JSON.stringify([...bad.slice(0, 3), good, ...bad.slice(3)]))).toEqual([good]);
	expect(parseSaved(null)).toEqual([]);
	expect(parseSaved('{"name": "x"}')).toEqual([]);
});

test('anything that may be kept is read without failing', () => {
	fc.assert(
		fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
			expect(parseSaved(text).length).toBeLessThanOrEqual(MOST_VIEWS);
		})
	);
});

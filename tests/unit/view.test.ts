import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OPS } from '../../src/lib/protocol.ts';
import { DEFAULT_SPAN, filterOf, formatView, parseView, SPANS, toggled } from '../../src/lib/view.ts';

const plain = parseView(new URLSearchParams());

test('the plain view has the plain address', () => {
	expect(formatView(plain)).toBe('');
	expect(plain.span).toBe(DEFAULT_SPAN);
	expect(filterOf(plain, [])).toEqual({});
});

test('an address says what it shows', () => {
	const view = parseView(new URLSearchParams('table=public.Book&op=update&op=delete&q=price%3E10&span=1h'));
	expect(filterOf(view, [])).toEqual({
		tables: [{ schema: 'public', table: 'Book' }],
		ops: ['UPDATE', 'DELETE'],
		where: 'price>10'
	});
	expect(view.span.label).toBe('1h');
});

test('a table without a schema is a public one', () => {
	expect(parseView(new URLSearchParams('table=Book')).tables).toEqual([{ schema: 'public', table: 'Book' }]);
});

test('what cannot be read is left at its default', () => {
	const view = parseView(new URLSearchParams('table=a.b.c&op=explode&span=9y&from=yesterday&to=x'));
	expect(view).toEqual(plain);
});

test('leaving tables out asks for the others', () => {
	const known = ['a', 'b', 'c'].map((table) => ({ schema: 'public', table }));
	expect(filterOf({ ...plain, without: [known[1]!] }, known).tables).toEqual([known[0], known[2]]);
});

test('any view comes back from its address', () => {
	const name = fc.string({ minLength: 1, maxLength: 63, unit: 'binary' });
	const table = fc.record({ schema: name, table: name });
	const view = fc.record({
		tables: fc.array(table, { maxLength: 3 }),
		without: fc.array(table, { maxLength: 3 }),
		ops: fc.subarray([...OPS]),
		where: fc.string(),
		span: fc.constantFrom(...SPANS),
		past: fc.option(
			fc
				.tuple(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 1, max: 1e9 }), fc.nat(100))
				.map(([from, length, part]) => ({
					from,
					to: from + length,
					at: from + Math.floor((length * part) / 100)
				}))
		)
	});
	fc.assert(
		fc.property(view, (shown) => {
			expect(parseView(new URLSearchParams(formatView(shown)))).toEqual(shown);
		})
	);
});

test('a chosen item is put in and taken out', () => {
	expect(toggled(['a'], 'b')).toEqual(['a', 'b']);
	expect(toggled(['a', 'b'], 'a')).toEqual(['b']);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OPS, type TableInfo } from '../../src/lib/protocol.ts';
import {
	DEFAULT_SPAN,
	filterOf,
	formatView,
	missingTables,
	parseView,
	SPANS,
	spansBeside,
	toggled
} from '../../src/lib/view.ts';

/** A table of these columns. */
const info = (table: string): TableInfo => ({
	oid: 1,
	schema: 'public',
	table,
	watched: true,
	columns: [],
	primaryKey: [],
	references: []
});
const name = (table: string) => ({ schema: 'public', table });

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

test('what cannot be read is left at its default, and an operation or a span that is none is told', () => {
	expect(parseView(new URLSearchParams('table=a.b.c&row=x'))).toEqual(plain);
	expect(parseView(new URLSearchParams('op=explode&op=update&span=9y'))).toEqual({
		...plain,
		ops: ['UPDATE'],
		unread: 'There is no operation “explode” and no time span “9y”: showing the rest'
	});
});

test.each([
	['from=yesterday&to=x', 'The time of this link cannot be read: showing the present'],
	['from=1&to=2', 'The time of this link cannot be read: showing the present'],
	['at=2026-01-02T10:00:00Z', 'The time of this link cannot be read: showing the present'],
	[
		'from=2026-01-02T10:00:00Z&to=%2B012026-01-02T10:00:00Z',
		'The time of this link cannot be read: showing the present'
	],
	[
		'from=2026-01-02T10:00:00Z&to=2026-01-02T09:00:00Z',
		'The time of this link does not end after it begins: showing the present'
	]
])('a time that cannot be shown is told: %s', (address, unread) => {
	expect(parseView(new URLSearchParams(address))).toEqual({ ...plain, unread });
});

test.each(['soon', '2026-01-02T11:00:00Z'])('a moment that is not within the time is told: %s', (at) => {
	const { past, unread } = parseView(
		new URLSearchParams({ from: '2026-01-02T10:00:00Z', to: '2026-01-02T10:30:00Z', at })
	);
	expect(past!.at).toBe(past!.from);
	expect(unread).toBe('The moment of this link is not within its time: showing the start');
});

test('a table that the database does not have is told, and the rest is shown', () => {
	const view = parseView(new URLSearchParams('table=nope&table=Book'));
	const known = [info('Book')];
	expect(missingTables(view, known)).toEqual([{ schema: 'public', table: 'nope' }]);
	expect(filterOf(view, known).tables).toEqual([name('Book')]);
	expect(filterOf({ ...view, tables: [view.tables[0]!] }, known).tables).toBeUndefined();
});

test('what the text says of tables and ops alone narrows the counters too', () => {
	const known = ['a', 'b', 'c'].map(info);
	expect(filterOf({ ...plain, where: 'table:a op:update n>1' }, known)).toEqual({
		tables: [name('a')],
		ops: ['UPDATE'],
		where: 'n>1'
	});
	const both = { ...plain, tables: [name('a'), name('b')], where: '(table:b or table:c)' };
	expect(filterOf(both, known)).toEqual({ tables: [name('b')] });
});

test('leaving tables out asks for the others', () => {
	const known = ['a', 'b', 'c'].map(info);
	expect(filterOf({ ...plain, without: [known[1]!] }, known).tables).toEqual([name('a'), name('c')]);
});

test('any view comes back from its address', () => {
	const name = fc.string({ minLength: 1, maxLength: 63, unit: 'binary' });
	const table = fc.record({ schema: name, table: name });
	const position = fc.record({
		tick: fc.nat().map(String),
		seq: fc.bigInt({ min: 0n, max: 2n ** 96n }).map(String)
	});
	const view = fc.record({
		tables: fc.array(table, { maxLength: 3 }),
		without: fc.array(table, { maxLength: 3 }),
		ops: fc.subarray([...OPS]),
		where: fc.string(),
		span: fc.constantFrom(...SPANS),
		past: fc.option(
			fc
				.tuple(
					fc.integer({ min: 0, max: 4e12 }),
					fc.integer({ min: 1, max: 1e9 }),
					fc.nat(100),
					fc.option(position)
				)
				.map(([from, length, part, place]) => ({
					from,
					to: from + length,
					at: from + Math.floor((length * part) / 100),
					place
				}))
		),
		row: fc.option(position),
		then: fc.option(table),
		unread: fc.constant(null)
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

test('the chart shows all that can be kept, in whole steps; what is longer than a month only where the log is', () => {
	const longest = SPANS.at(-1)!;
	expect(longest.ms).toBeGreaterThanOrEqual(3650 * 86_400_000);
	expect(SPANS.filter(({ ms, stepMs }) => ms % stepMs !== 0)).toEqual([]);
	const offered = (label: string, goesOn: boolean) =>
		spansBeside(
			SPANS.find((span) => span.label === label)!,
			goesOn
		).at(-1)!.label;
	expect(offered('5m', true)).toBe('30d');
	expect(offered('30d', false)).toBe('30d');
	expect(offered('30d', true)).toBe('1y');
	expect(offered('1y', false)).toBe('1y');
	expect(offered('10y', true)).toBe('10y');
});

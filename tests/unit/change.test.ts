import { describe, expect, test } from 'vitest';
import {
	brief,
	briefKey,
	columnsOf,
	keyLabel,
	summarise,
	tableLabel,
	tally,
	tell
} from '../../src/lib/change.ts';
import { differing } from '../../src/lib/differing.ts';
import { piecesOf, shortened } from '../../src/lib/signs.ts';
import { change } from './support/changes.ts';

describe('a change in words', () => {
	test('an update tells the columns that changed, in their order, and counts the rest', () => {
		const summary = summarise(
			change({
				op: 'UPDATE',
				before: '{"id":1,"a":1,"b":1,"c":1,"d":1,"updated_at":"x"}',
				after: '{"id":1,"a":2,"b":2,"c":2,"d":2,"updated_at":"y"}'
			})
		);
		expect(summary.columns.map(({ name, before, after }) => [name, before, after])).toEqual([
			['a', '1', '2'],
			['b', '1', '2'],
			['c', '1', '2']
		]);
		expect(summary.more).toBe(2);
	});

	test('a column that only says when is told where nothing else changed', () => {
		const summary = summarise(
			change({ op: 'UPDATE', before: '{"updatedAt":"x","a":1}', after: '{"updatedAt":"y","a":1}' })
		);
		expect(summary.columns.map(({ name }) => name)).toEqual(['updatedAt']);
	});

	test('a changed document tells what changed inside', () => {
		const summary = summarise(
			change({ op: 'UPDATE', before: '{"d":{"x":1,"y":2}}', after: '{"d":{"x":1,"y":3,"z":4}}' })
		);
		expect(summary.columns.map(({ name, before, after }) => [name, before, after])).toEqual([
			['d.y', '2', '3'],
			['d.z', null, '4']
		]);
	});

	test('by the same paths as the detail, however deep, and by members where it is large', () => {
		const of = (side: number, ...more: string[]) =>
			JSON.stringify({ d: { dim: { h: { cm: side } }, tags: ['a', side, 'c'], more } });
		const names = (before: string, after: string) =>
			summarise(change({ op: 'UPDATE', before, after })).columns.map(({ name }) => name);
		expect(names(of(1), of(2))).toEqual(['d.dim.h.cm', 'd.tags.1']);
		const large = 'x'.repeat(20_000);
		expect(names(of(1, large), of(2, large))).toEqual(['d.dim', 'd.tags']);
		expect(names('{"d":[1,2]}', '{"d":[1,3]}')).toEqual(['d.1']);
		expect(names('{"d":{"a": 1}}', '{"d":{"a":1}}')).toEqual(['d']);
	});

	test('an inserted row is called by its title, without its key and its nulls', () => {
		const summary = summarise(
			change({ op: 'INSERT', after: '{"id":1,"price":9.50,"title":"Emma","gone":null}', key: { id: '1' } })
		);
		expect(summary.title).toBe('Emma');
		expect(summary.columns.map(({ name }) => name)).toEqual(['price']);
	});

	test('9.50 and 9.5 differ as text: what PostgreSQL stores is what is compared', () => {
		expect(columnsOf({ before: '{"p":9.5}', after: '{"p":9.50}' })[0]).toMatchObject({ changed: true });
	});
});

describe('values on a line', () => {
	test('are cut, and show line breaks as a sign', () => {
		expect(brief('"a\\nb"')).toBe('a⏎b');
		expect(brief(`"${'x'.repeat(100)}"`, 10)).toBe('xxxxxxxxx…');
		expect(brief(null)).toBe('∅');
	});

	test('a megabyte costs a line, wherever the cut falls', () => {
		for (let lead = 0; lead < 12; lead++) {
			const text = `"${'x'.repeat(lead)}${'\\u00e9\\n\\\\'.repeat(100_000)}"`;
			expect(brief(text, 20).length).toBeLessThanOrEqual(20);
			expect(brief(text, 20)).not.toContain('\\u');
		}
	});
});

describe('a line of so many characters', () => {
	const update = change({
		op: 'UPDATE',
		before: '{"a":1,"b":"x","c":true}',
		after: '{"a":2,"b":"yy","c":false}'
	});
	const names = (room: number) => tell(update, room).columns.map(({ column }) => column.name);

	test('leaves out whole what does not fit, and counts it', () => {
		expect(names(100)).toEqual(['a', 'b', 'c']);
		expect(names(16)).toEqual(['a', 'b']);
		expect(tell(update, 16).more).toBe(1);
		expect(names(4)).toEqual(['a']);
		expect(tell(update, 4).more).toBe(2);
	});

	test('a long value leaves the other side its room', () => {
		const long = 'x'.repeat(100);
		const sides = (before: string, after: string) => {
			const told = tell(
				change({ op: 'UPDATE', before: JSON.stringify({ a: before }), after: JSON.stringify({ a: after }) }),
				40
			);
			return told.columns.map(({ before, after }) => [before.length, after.length])[0];
		};
		expect(sides(long, 'short')).toEqual([28, 5]);
		expect(sides('short', long)).toEqual([5, 28]);
		expect(sides(long, 'y'.repeat(100))).toEqual([16, 16]);
	});

	test('and how many more there are theirs', () => {
		const of = (rest: string) => {
			const row = (a: string) => JSON.stringify({ a: a.repeat(100), ...JSON.parse(rest) });
			return tell(change({ op: 'UPDATE', before: row('x'), after: row('y').replace('1', '2') }), 40)
				.columns[0]!;
		};
		expect(of('{}').after.length).toBe(16);
		expect(of('{"b":1}').column.name).toBe('b');
		expect(of('{"at":1}').after.length).toBe(15);
	});

	test('where a value would be cut, one that is told whole comes before it; bookkeeping does not', () => {
		const rows = ['some long words', 'other long words'].map((a, i) =>
			JSON.stringify({ a, updated_at: i, price: i })
		);
		const of = (room: number) =>
			tell(change({ op: 'UPDATE', before: rows[0]!, after: rows[1]! }), room).columns[0]!.column.name;
		expect([of(60), of(20), of(8)]).toEqual(['a', 'price', 'a']);
	});

	test('a title comes first; empty text is seen', () => {
		const insert = change({ op: 'INSERT', after: '{"id":1,"title":"Emma","e":"","n":5}', key: { id: '1' } });
		expect(tell(insert, 20)).toMatchObject({ title: 'Emma', columns: [{ after: '""' }], more: 1 });
	});
});

test('names and keys as people write them', () => {
	expect(tableLabel({ schema: 'public', table: 'Book' })).toBe('Book');
	expect(tableLabel({ schema: 'shop', table: 'a.b' })).toBe('shop."a.b"');
	expect(tableLabel({ schema: 'public', table: 'a.b' })).not.toBe(tableLabel({ schema: 'a', table: 'b' }));
	expect(keyLabel({ a: '7', b: null })).toBe('7/null');
	expect(keyLabel(null)).toBe('');
	expect(briefKey({ id: 'ceee64d5-25a0-4b49-88aa-0123456789ab' })).toBe('ceee64d5…');
});

test('alike changes are counted in the order of their first', () => {
	const changes = [change({ table: 'a' }), change({ table: 'b' }), change({ table: 'a' })];
	expect(tally(changes).map(({ table, rows }) => [table, rows])).toEqual([
		['a', 2],
		['b', 1]
	]);
});

describe('different values look different', () => {
	const sides = (before: string, after: string, room = 60) => {
		const told = tell(change({ op: 'UPDATE', before: `{"v":${before}}`, after: `{"v":${after}}` }), room);
		return told.columns.map(({ before, after }) => [before, after])[0];
	};

	test('a text that reads as a number or as no value is in quotes', () => {
		expect(sides('"null"', 'null')).toEqual(['"null"', 'null']);
		expect(sides('"12.50"', '12.50')).toEqual(['"12.50"', '12.50']);
		expect(sides('"true"', '"0123"')).toEqual(['"true"', '0123']);
	});

	test('long ones are shown from shortly before where they differ, escapes and characters whole', () => {
		const long = 'x'.repeat(4960);
		expect(sides(`"${long}old"`, `"${long}new!"`)).toEqual(['…xxxxxxxxold', '…xxxxxxxxnew!']);
		for (let lead = 0; lead < 14; lead++)
			for (const odd of ['\\u00e9', '\\\\', '\\n', '😀']) {
				const text = `"${long}${odd}${'y'.repeat(lead)}`;
				const [before, after] = sides(`${text}1"`, `${text}2"`)!;
				expect(before).toMatch(/1$/);
				expect(after).toMatch(/2$/);
				expect(before!.slice(1).replace(/[xyé⏎\\]|😀/gu, '')).toBe('1');
			}
	});

	test('two times of one second are told with its fraction', () => {
		const [before, after] = sides('"2026-01-31T12:00:00.1+00:00"', '"2026-01-31T12:00:00.2+00:00"')!;
		expect(before).not.toBe(after);
	});

	test('none is cut in half', () => {
		for (const text of ['😀'.repeat(40), `a${'😀'.repeat(40)}`]) {
			expect(briefKey({ id: text })).toMatch(/^a?(😀)+…$/u);
			for (const most of [12, 13]) expect(brief(JSON.stringify(text), most)).toMatch(/^a?(😀)+…$/u);
		}
		expect(shortened('a😀b', 3)).toBe('a…');
		expect(shortened('a😀b', 4)).toBe('a😀b');
	});

	test('what cannot be seen has a sign, and the text in pieces is the text', () => {
		const signs = (text: string) => piecesOf(text)?.map(({ text, sign }) => sign ?? text);
		expect(signs('a b')).toBeUndefined();
		expect(signs('a ')).toEqual(['a', '␣']);
		expect(signs('a\u200b\tb\u00a0')).toEqual(['a', 'U+200B', '⇥', 'b', '⍽']);
		expect(signs('Jane \u202eevil')).toEqual(['Jane ', 'U+202E', 'evil']);
		expect(signs('می‌خواهم 👩‍👧')).toBeUndefined();
		const text = ' \u0000a\n\u2066b\r\n';
		expect(
			piecesOf(text)!
				.map(({ text }) => text)
				.join('')
		).toBe(text);
	});

	test('of two long texts, the part that differs is found', () => {
		expect(differing('The old title of it', 'The new title of it')).toEqual({ from: 4, to: 7 });
		expect(differing('9.50', '10.00')).toBeNull();
		expect(differing('something else here', 'of which nothing is')).toBeNull();
	});
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMPARISONS, type ColumnRef, type Leaf, type Term } from '../../src/lib/filter.ts';
import { format } from '../../src/lib/filter/format.ts';
import { parse } from '../../src/lib/filter/parse.ts';
import { complete } from '../../src/lib/filter/complete.ts';
import {
	negated,
	rowTerm,
	toggleTerm,
	valueTerm,
	withOps,
	withTables,
	withTerm,
	withoutTerm
} from '../../src/lib/filter/edit.ts';
import { split } from '../../src/lib/filter/scope.ts';
import { OPS, type TableInfo } from '../../src/lib/protocol.ts';
import { change } from './support/changes.ts';

const table = (schema: string, table: string, columns: Record<string, string>): TableInfo => ({
	schema,
	table,
	watched: true,
	columns: Object.entries(columns).map(([name, type]) => ({ name, type, redacted: false })),
	primaryKey: [],
	references: []
});
const tables = [
	table('public', 'Book', { id: 'integer', title: 'text', price: 'numeric', discontinued: 'boolean' }),
	table('public', 'stock', { book: 'integer', left: 'integer' }),
	table('archive', 'stock', { book: 'integer' }),
	table('odd schema', 'a.b "c"', { 'first name': 'text', table: 'text' })
];

function parsed(text: string): Term {
	const result = parse(text);
	if (!result.ok) throw new Error(`${text}: ${result.message}`);
	return result.filter;
}

/** A filter without where its parts stand. */
function bare(term: Term): unknown {
	return JSON.parse(
		JSON.stringify(term, (key, value) => (key === 'at' || key === 'end' ? undefined : value))
	);
}

describe('parse', () => {
	test('reads the example', () => {
		const text =
			'table:Book op:update price>10 title~"go*" before.price!=after.price (genre:fiction or genre:poetry) -discontinued:true';
		const filter = parsed(text);
		expect(filter.kind === 'and' && filter.terms.map(({ kind }) => kind)).toEqual([
			'table',
			'op',
			'compare',
			'compare',
			'compare',
			'or',
			'not'
		]);
		expect(format(filter)).toBe(text.replace('"go*"', 'go*'));
	});

	test.each([
		['a:1 b:2 or c:3', '(a:1 b:2) or c:3'],
		['a : 1 and b >= 2', 'a:1 b>=2'],
		['-(a:1 or b:2) c=x', '-(a:1 or b:2) c:x'],
		['--a:1', '--a:1'],
		['or:1 or and:2 and not:3', '"or":1 or ("and":2 "not":3)'],
		['"table":x table:"my table"', '"table":x table:"my table"'],
		['table:public.Book op:INSERT TX:007', 'table:public.Book op:insert tx:7'],
		[
			'a:"5" b:5 c:null d:"null" e:"" f:"say \\"hi\\" \\\\"',
			'a:"5" b:5 c:null d:"null" e:"" f:"say \\"hi\\" \\\\"'
		],
		[
			'größe>1 "first name":x after."first name">before.größe',
			'größe>1 "first name":x after."first name">before.größe'
		],
		['file:"after.txt" mail:bob@x.org url:http://x/y?z', 'file:"after.txt" mail:bob@x.org url:http://x/y?z'],
		['   ', '']
	])('%s is %s', (text, written) => {
		expect(format(parsed(text))).toBe(written);
	});

	test.each([
		['price>', 6, /Write a value after price>/],
		['>10', 0, /Write a column before >/],
		['gorilla', 0, /gorilla:value/],
		['(a:1', 0, /Close this parenthesis/],
		['a:1)', 3, /Take this parenthesis out/],
		['()', 0, /between the parentheses/],
		['a:"x', 2, /Close these quotes/],
		['a:5"x"', 3, /Put a blank here/],
		['op:upsert', 3, /insert, update, delete/],
		['op>insert', 2, /-op:/],
		['tx:abc', 3, /number of a transaction/],
		['a:1 or', 4, /after "or"/],
		['or a:1', 0, /before "or"/],
		['a>null', 2, /Compare null/],
		['- a:1', 0, /right before/],
		['a.b:1', 0, /Only before and after take a point/],
		['a==1', 2, /Take this out/],
		['table:a.b.c', 6, /schema\.name/],
		['a:\0', 2, /Take this character out/]
	])('%j is refused at %i', (text, at, message) => {
		expect(parse(text)).toMatchObject({ ok: false, at, message: expect.stringMatching(message) });
	});

	test('has limits', () => {
		expect(parse(`${'('.repeat(60)}a:1${')'.repeat(60)}`)).toMatchObject({
			at: 41,
			message: expect.stringMatching(/less nesting/)
		});
		expect(parse('a:1 '.repeat(101))).toMatchObject({
			at: 400,
			message: expect.stringMatching(/fewer terms/)
		});
		expect(parse('a:1 '.repeat(1001))).toMatchObject({
			at: 4000,
			message: expect.stringMatching(/Shorten this/)
		});
	});

	test('says of any text either what it means or where it is wrong', () => {
		const piece = fc.constantFrom(
			...'()":-.*~<>=! \\'.split(''),
			' or ',
			'and',
			'table',
			'op:',
			'before.',
			'null',
			'1',
			'x'
		);
		fc.assert(
			fc.property(
				fc.oneof(
					fc.string(),
					fc.array(piece).map((pieces) => pieces.join(''))
				),
				(text) => {
					const result = parse(text);
					if (result.ok) expect(bare(parsed(format(result.filter)))).toEqual(bare(result.filter));
					else {
						expect(result.message).not.toBe('');
						expect(result.at).toBeGreaterThanOrEqual(0);
						expect(result.at + result.length).toBeLessThanOrEqual(text.length);
					}
				}
			),
			{ numRuns: 2000 }
		);
	});
});

const name = fc
	.oneof(fc.constantFrom('price', 'table', 'or', 'größe', 'a b', '1st'), fc.string({ minLength: 1 }))
	.filter((text) => !text.includes('\0'));
const text = fc
	.oneof(fc.constantFrom('null', 'before.x', '', ':x', '5', '1e3', 'go*'), fc.string())
	.filter((text) => !text.includes('\0'));
const column: fc.Arbitrary<ColumnRef> = fc.record({
	kind: fc.constant('column'),
	row: fc.constantFrom(null, 'before', 'after'),
	name
});
const pair: fc.Arbitrary<Leaf> = fc.oneof(
	fc.record({ kind: fc.constant('table'), schema: fc.option(name), table: name }),
	fc.record({ kind: fc.constant('op'), op: fc.constantFrom(...OPS) }),
	fc.record({ kind: fc.constant('tx'), tx: fc.bigInt(0n, 2n ** 64n - 1n).map(String) }),
	fc.record({ kind: fc.constant('changed'), column: name }),
	fc.record({
		kind: fc.constant('compare'),
		column,
		comparison: fc.constantFrom(...COMPARISONS),
		value: fc.record({ kind: fc.constant('text'), text })
	}),
	fc.record({
		kind: fc.constant('compare'),
		column,
		comparison: fc.constantFrom('<', '='),
		value: fc.record({ kind: fc.constant('number'), text: fc.constantFrom('5', '-0.10', '1e3') })
	}),
	fc.record({
		kind: fc.constant('compare'),
		column,
		comparison: fc.constantFrom('=', '!='),
		value: fc.constant({ kind: 'null' })
	}),
	fc.record({
		kind: fc.constant('compare'),
		column,
		comparison: fc.constantFrom('=', '>='),
		value: column.filter(({ row }) => row !== null)
	})
) as fc.Arbitrary<Leaf>;
const { term } = fc.letrec<{ term: Term }>((tie) => ({
	term: fc.oneof(
		{ maxDepth: 4, withCrossShrink: true },
		pair as fc.Arbitrary<Term>,
		fc.record({
			kind: fc.constantFrom('and', 'or'),
			terms: fc.array(tie('term'), { minLength: 2, maxLength: 4 })
		}) as fc.Arbitrary<Term>,
		fc.record({ kind: fc.constant('not'), term: tie('term') }) as fc.Arbitrary<Term>
	)
}));

test('what format writes, parse reads as the same', () => {
	fc.assert(
		fc.property(term, (filter) => {
			const written = format(filter);
			const result = parse(written);
			if (!result.ok) return expect(result.message).toMatch(/are the most/);
			expect(bare(result.filter)).toEqual(filter);
		}),
		{ numRuns: 3000 }
	);
});

describe('split', () => {
	test.each([
		['', {}],
		['table:Book', { tables: [['public', 'Book']] }],
		[
			'table:stock price>1',
			{
				tables: [
					['public', 'stock'],
					['archive', 'stock']
				],
				where: 'price>1'
			}
		],
		[
			'(table:Book or table:archive.stock) op:insert',
			{
				tables: [
					['public', 'Book'],
					['archive', 'stock']
				],
				ops: ['INSERT']
			}
		],
		[
			'-op:insert -table:stock',
			{
				tables: [
					['public', 'Book'],
					['odd schema', 'a.b "c"']
				],
				ops: ['UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCE']
			}
		],
		['table:Book table:archive.stock', { tables: [] }],
		['table:Book or op:insert', { where: '(table:Book or op:insert)' }],
		['op:insert (id:1 or id:2)', { ops: ['INSERT'], where: '(id:1 or id:2)' }]
	])('%s', (text, expected) => {
		const wanted = expected as { tables?: string[][]; ops?: string[]; where?: string };
		const filter = {
			...wanted,
			...(wanted.tables && { tables: wanted.tables.map(([schema, table]) => ({ schema, table })) })
		};
		expect(split(text, tables)).toMatchObject({ ok: true, filter });
		expect(Object.keys((split(text, tables) as { filter: object }).filter).sort()).toEqual(
			Object.keys(filter).sort()
		);
	});

	test('names the table that was probably meant', () => {
		expect(split('op:insert table:bok', tables)).toEqual({
			ok: false,
			at: 10,
			length: 9,
			message: 'There is no table bok; did you mean Book?'
		});
		expect(split('-(table:nothing or op:insert)', tables)).toMatchObject({ ok: false, at: 2 });
	});

	test('hints at a column that no table has', () => {
		expect(split('table:Book prize>10', tables)).toMatchObject({
			ok: true,
			hints: [{ at: 11, length: 8, message: 'No table here has a column prize; did you mean price?' }]
		});
	});
});

describe('edit', () => {
	test.each([
		['price', '9.50', 'price:9.50'],
		['zip', '"0042"', 'zip:"0042"'],
		['title', '"say \\"hi\\""', 'title:"say \\"hi\\""'],
		['note', 'null', 'note:null'],
		['done', 'true', 'done:true'],
		['table', '"x"', '"table":x'],
		['doc', '{"a": 1}', 'doc:"{\\"a\\": 1}"']
	])('a click on %s with %s narrows to %s', (column, json, term) => {
		expect(valueTerm(column, json)).toBe(term);
		expect(parse(term).ok).toBe(true);
	});

	test('adds, contradicts and takes out', () => {
		expect(withTerm('', 'op:insert')).toBe('op:insert');
		expect(withTerm('price > 10', 'op:insert')).toBe('price > 10 op:insert');
		expect(withTerm('a:1 or b:2', 'op:insert')).toBe('(a:1 or b:2) op:insert');
		expect(withTerm('(a:1 or b:2)', 'op:insert')).toBe('(a:1 or b:2) op:insert');
		expect(withTerm('(a:1) or b:2', 'op:insert')).toBe('((a:1) or b:2) op:insert');
		expect(withTerm('op:insert x:1', '-op:insert')).toBe('x:1 -op:insert');
		expect(withTerm('x:1  op:insert', 'op:insert')).toBe('x:1  op:insert');
		expect(withoutTerm('x:1 and op:insert y:2', 'op:insert')).toBe('x:1 y:2');
		expect(withoutTerm('op:insert and y:2', 'op:insert')).toBe('y:2');
		expect(toggleTerm(toggleTerm('x:1', 'op:insert'), 'op:insert')).toBe('x:1');
	});

	test('adds several terms side by side, each once, or leaves out what has them all', () => {
		expect(withTerm('x:1 id:2', 'table:Book id:2')).toBe('x:1 id:2 table:Book');
		expect(withTerm('-id:2', 'table:Book id:2')).toBe('table:Book id:2');
		expect(withTerm('x:1', negated('table:Book id:2'))).toBe('x:1 -(table:Book id:2)');
		expect(withTerm('x:1 price:9', negated('price:9'))).toBe('x:1 -price:9');
	});

	test('a click on a key narrows to its row; one that the log has not whole to nothing', () => {
		const key = { id: '7', lang: 'en' };
		const row = { key, after: '{"lang":"en","id":7,"n":1}' };
		expect(rowTerm(change(row), tables)).toBe('table:Book lang:en id:7');
		expect(rowTerm(change({ ...row, cut: ['lang'] }), tables)).toBeUndefined();
		expect(rowTerm(change({ ...row, key: null }), tables)).toBeUndefined();
		expect(rowTerm(change({ ...row, after: '{"lang":"[redacted]","id":7}' }), tables)).toBeUndefined();
	});

	test('chooses tables and ops', () => {
		const [book, stock, archived] = tables as [TableInfo, TableInfo, TableInfo];
		expect(withTables('price>1', [book], tables)).toBe('price>1 table:Book');
		expect(withTables('table:Book price>1', [stock, archived], tables)).toBe(
			'price>1 (table:public.stock or table:archive.stock)'
		);
		expect(withTables('price>1 (table:public.stock or table:Book)', [], tables)).toBe('price>1');
		expect(withOps('-op:insert x:1', ['UPDATE', 'DELETE'])).toBe('x:1 (op:update or op:delete)');
	});
});

describe('complete', () => {
	/** `|` is the cursor; what the text would be with each suggestion. */
	function results(marked: string): string[] {
		const cursor = marked.indexOf('|');
		const text = marked.replace('|', '');
		return complete(text, cursor, tables).map(
			({ from, to, text: insert }) => text.slice(0, from) + insert + text.slice(to)
		);
	}

	test.each([
		['tab|', 'table:'],
		['table:|', 'table:Book'],
		['table:bo|', 'table:Book'],
		['table:sto|', 'table:archive.stock'],
		['table:a|', 'table:"a.b \\"c\\""'],
		['x:1 -op:u|', 'x:1 -op:update'],
		['table:Book pr|', 'table:Book price'],
		['table:Book pr|>5', 'table:Book price>5'],
		['(genre:x or disc|', '(genre:x or discontinued'],
		['discontinued:|', 'discontinued:true'],
		['before.pr|', 'before.price'],
		['before.price!=af|', 'before.price!=after.price'],
		['changed:ti|', 'changed:title'],
		['first|', '"first name"']
	])('%s offers %s', (marked, expected) => {
		expect(results(marked)).toContain(expected);
	});

	test('offers only columns of the tables that are named', () => {
		expect(results('table:Book |')).not.toContain('table:Book left');
		expect(results('op:x|')).toEqual([]);
	});

	test('tells a column named or from the word', () => {
		const odd = { ...tables[0]!, columns: [{ name: 'or', type: 'integer', redacted: false }] };
		const texts = complete('o', 1, [odd]).map(({ text }) => text);
		expect(texts.slice(0, 3)).toEqual(['op:', '"or"', 'or']);
	});

	test('offers the columns of every table of the name, where two schemas have it', () => {
		const twins = ['a', 'b'].map((schema) => ({
			...tables[0]!,
			schema,
			table: 'Twin',
			columns: [{ name: `in_${schema}`, type: 'text', redacted: false }]
		}));
		const texts = complete('table:Twin in', 13, [...tables, ...twins]).map(({ text }) => text);
		expect(texts).toEqual(['in_a', 'in_b']);
	});

	test('never fails, wherever the cursor is', () => {
		fc.assert(
			fc.property(fc.string(), fc.nat(30), (text, cursor) => {
				for (const { from, to } of complete(text, Math.min(cursor, text.length), tables))
					expect(from <= to && to <= text.length).toBe(true);
			})
		);
	});
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMPARISONS, type ColumnRef, type Leaf, type Term } from '../../src/lib/filter.ts';
import { format } from '../../src/lib/filter/format.ts';
import { parse } from '../../src/lib/filter/parse.ts';
import { OPS } from '../../src/lib/protocol.ts';

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
		['r:[1,5)', 6, /brackets in double quotes/],
		['not a:1', 0, /Write - right before/],
		['a:1 AND NOT b:2', 8, /Write - right before/],
		['and a:1', 0, /blank means and/],
		['a:1 and', 4, /after "and".*blank means and/],
		['(a:1 and )', 5, /after "and"/],
		['a:1 and or b:2', 4, /after "and"/],
		['a:1 and and b:2', 4, /after "and"/],
		['not name:x', 0, /like -name:x\./],
		['id:1 not day:"1-2 3"', 5, /like -day:"1-2 3"\./],
		['not (a:1 or b:2)', 0, /like -op:delete\./],
		['a is null', 0, /Write a:null\./],
		['a:1 "my name" IS NOT NULL', 4, /Write "my name"!=null\./],
		['name is:1', 0, /Say what name should be/],
		['a>1 && a<3', 4, /blank means and/],
		['a:1 || a:2', 4, /Write or/],
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

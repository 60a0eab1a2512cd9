import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kindOf, members, plain, pretty } from '../../src/lib/json.ts';

describe('rows are taken apart without touching their values', () => {
	test('numbers keep every digit', () => {
		expect(members('{"id":9007199254740993,"price":0.10,"huge":1e400}')).toEqual([
			{ name: 'id', text: '9007199254740993' },
			{ name: 'price', text: '0.10' },
			{ name: 'huge', text: '1e400' }
		]);
	});

	test('strings may hold anything that looks like structure', () => {
		expect(members(String.raw`{"a":"},{\"b\":1","c\"d":[1,{"e":"]"}]}`)).toEqual([
			{ name: 'a', text: String.raw`"},{\"b\":1"` },
			{ name: 'c"d', text: '[1,{"e":"]"}]' }
		]);
	});

	test('a column may have the name of a prototype', () => {
		expect(members('{"__proto__":1,"constructor":null}').map(({ name }) => name)).toEqual([
			'__proto__',
			'constructor'
		]);
	});

	test('a document of 6,000 levels costs no stack', () => {
		const deep = `{"a":${'['.repeat(6000)}${']'.repeat(6000)}}`;
		expect(members(deep)[0]!.text).toHaveLength(12_000);
		expect(pretty(deep)).toContain('[');
	});

	test('what is broken ends', () => {
		for (const text of ['', '{', '{"a', '{"a"', '{"a":', '[1,', '{,}', 'nonsense', '{"a":1]']) members(text);
	});

	test('any object comes back as JSON.parse reads it', () => {
		fc.assert(
			fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(2), (object, indent) => {
				const found = members(JSON.stringify(object, null, indent));
				const read = Object.fromEntries(found.map(({ name, text }) => [name, JSON.parse(text)]));
				expect(read).toEqual(JSON.parse(JSON.stringify(object)));
			})
		);
	});

	test('pretty text means the same', () => {
		fc.assert(
			fc.property(fc.jsonValue(), (value) => {
				const text = JSON.stringify(value);
				expect(JSON.parse(pretty(text))).toEqual(JSON.parse(text));
			})
		);
	});
});

test('kinds are told from the first character', () => {
	expect(['{}', '[]', '"a"', '-1', 'true', 'false', 'null'].map(kindOf)).toEqual([
		'object',
		'array',
		'string',
		'number',
		'boolean',
		'boolean',
		'null'
	]);
});

test('plain text has no quotes, everything else stays as it was written', () => {
	expect([String.raw`"a\nb"`, '0.10', 'null'].map(plain)).toEqual(['a\nb', '0.10', 'null']);
});

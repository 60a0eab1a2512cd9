import { expect, test } from 'vitest';
import { pathChanges } from '../../src/lib/paths.ts';

const told = (before: string | null, after: string | null) =>
	pathChanges(before, after).map(({ path, before, after, changed }) =>
		changed ? `${path} ${before} -> ${after}` : path
	);

test('a change deep in a document is told by its path, what stays the same once', () => {
	expect(told('{"tags":["a"],"dim":{"w":1,"h":2}}', '{"tags":["a"],"dim":{"w":1,"h":3}}')).toEqual([
		'tags',
		'dim.w',
		'dim.h 2 -> 3'
	]);
});

test('values that come, go or change their kind', () => {
	expect(told('{"a":1,"b":{"c":1}}', '{"b":[1],"d":null}')).toEqual([
		'b {"c":1} -> [1]',
		'd null -> null',
		'a 1 -> null'
	]);
});

test('an item put into a list does not change those behind it', () => {
	expect(told('["a","b","c"]', '["x","a","b","c"]')).toEqual(['0 null -> "x"', '1', '2', '3']);
	expect(told('["a","b","b"]', '["a","b"]')).toEqual(['0', '1', '2 "b" -> null']);
	expect(told('[{"n":1},{"n":2}]', '[{"n":1},{"n":3},{"n":4}]')).toEqual([
		'0',
		'1.n 2 -> 3',
		'2 null -> {"n":4}'
	]);
});

test('numbers keep every digit', () => {
	expect(told('{"n":9007199254740993,"p":0.10}', '{"n":9007199254740992,"p":0.1}')).toEqual([
		'n 9007199254740993 -> 9007199254740992',
		'p 0.10 -> 0.1'
	]);
});

test('nothing of what is no document, of two kinds, or only written otherwise', () => {
	for (const [before, after] of [
		['1', '2'],
		[null, '{"a":1}'],
		['{"0":1}', '[1]'],
		['{"a":1,"b":2}', '{"b":2, "a":1}'],
		['{"a":1,"a":2}', '{"a":3,"a":2}']
	] as const)
		expect(told(before, after)).toEqual([]);
	expect(told('{"a":{"b":1,"c":2},"d":1}', '{"a":{"c":2,"b":1},"d":2}')).toEqual([
		'a {"b":1,"c":2} -> {"c":2,"b":1}',
		'd 1 -> 2'
	]);
});

test('a document of 6,000 levels costs no stack', () => {
	const deep = (text: string) => `${'['.repeat(6000)}${text}${']'.repeat(6000)}`;
	expect(pathChanges(deep('1'), deep('2'))).toHaveLength(1);
});

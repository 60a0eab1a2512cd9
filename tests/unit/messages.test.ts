import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestError } from '../../src/lib/server/errors.ts';
import * as messages from '../../src/lib/server/messages.ts';

const { parse } = messages;
const schemas = {
	subscribe: messages.subscribe,
	unsubscribe: messages.unsubscribe,
	history: messages.history,
	rates: messages.rates,
	row: messages.row
};
const complaint = (schema: (typeof schemas)[keyof typeof schemas], message: unknown): string => {
	try {
		parse(schema, message);
	} catch (error) {
		expect(error).toBeInstanceOf(RequestError);
		expect((error as RequestError).code).toBe('BAD_REQUEST');
		return (error as Error).message;
	}
	return 'nothing';
};

test('what is left out has its default', () => {
	expect(parse(messages.subscribe, undefined)).toEqual({ filter: {}, mode: 'feed', limit: 200 });
	expect(parse(messages.history, {})).toEqual({ filter: {}, limit: 200 });
});

test('fields of later versions are ignored', () => {
	expect(parse(messages.subscribe, { filter: { later: 1 }, later: true })).toEqual({
		filter: {},
		mode: 'feed',
		limit: 200
	});
});

describe('a complaint names the part and what is wrong with it', () => {
	test.each([
		[messages.subscribe, 'x', 'The message must be an object.'],
		[messages.subscribe, [], 'The message must be an object.'],
		[messages.subscribe, { filter: [] }, '`filter` must be an object.'],
		[messages.subscribe, { after: [] }, '`after` must be an object.'],
		[messages.history, { filter: { tables: [[]] } }, '`filter.tables.0` must be an object.'],
		[messages.history, { before: [] }, '`before` must be an object.'],
		[messages.subscribe, { limit: 1001 }, '`limit` must be at most 1000.'],
		[messages.subscribe, { limit: 1.5 }, '`limit` must be a whole number.'],
		[messages.subscribe, { limit: NaN }, '`limit` must be a number.'],
		[messages.subscribe, { mode: 'push' }, '`mode` must be feed or stream.'],
		[messages.subscribe, { after: { epoch: 'x' } }, '`after.tick` is missing.'],
		[
			messages.subscribe,
			{ after: { epoch: 'x', tick: '1e3' } },
			'`after.tick` must be a whole number in decimal digits, as a string.'
		],
		[
			messages.subscribe,
			{ after: { epoch: 'x', tick: '9223372036854775808' } },
			'`after.tick` is too large.'
		],
		[messages.subscribe, { filter: { tables: [{ schema: 'a' }] } }, '`filter.tables.0.table` is missing.'],
		[
			messages.subscribe,
			{ filter: { ops: ['SELECT'] } },
			'`filter.ops.0` must be one of INSERT, UPDATE, DELETE, TRUNCATE, REFERENCE.'
		],
		[messages.history, { order: 'up' }, '`order` must be asc or desc.'],
		[
			messages.history,
			{ before: { tick: '1', seq: '-1' } },
			'`before.seq` must be a whole number in decimal digits, as a string.'
		],
		[messages.rates, { from: 'yesterday' }, '`from` must be a time like 2026-01-31T12:00:00.000000Z.'],
		[messages.rates, { from: '2026-13-01T00:00:00Z' }, '`from` is no time that exists.'],
		[messages.rates, { from: '2026-02-30T00:00:00Z' }, '`from` is no time that exists.'],
		[messages.rates, { from: '0000-01-01T00:00:00Z' }, '`from` is no time that exists.'],
		[messages.rates, { from: '2026-11-24T00:00:00+23:59' }, '`from` is no time that exists.'],
		[
			messages.rates,
			{ from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z', buckets: 5 },
			'`from` must lie before `to`.'
		],
		[messages.row, { schema: 'a', table: 'b' }, '`key` is missing.'],
		[messages.row, { schema: 'a', table: 'b', key: {} }, '`key` names no column.'],
		[
			messages.row,
			{ schema: 'a', table: 'b', key: { id: 1 } },
			'`key` must be an object of the primary key columns and their values as text.'
		],
		[
			messages.row,
			{ schema: 'a', table: 'b', key: { id: '1' }, junk: 'x'.repeat(70_000) },
			'The message is too large: at most 64000 characters.'
		]
	])('%#', (schema, message, expected) => expect(complaint(schema, message)).toBe(expected));
});

test('names of any kind pass', () => {
	const tables = ['__proto__', 'constructor', '💾'.repeat(15), 'a"b', ' '].map((table) => ({
		schema: 'toString',
		table
	}));
	expect(parse(messages.subscribe, JSON.parse(JSON.stringify({ filter: { tables } }))).filter.tables).toEqual(
		tables
	);
	const key = JSON.parse('{"__proto__": "1", "constructor": null}');
	expect(Object.keys(parse(messages.row, { schema: 'a', table: 'b', key }).key)).toEqual([
		'__proto__',
		'constructor'
	]);
});

test('whatever is sent is either understood or complained about, in one short line', () => {
	const parts = fc.constantFrom(
		'filter',
		'tables',
		'schema',
		'table',
		'ops',
		'where',
		'after',
		'before',
		'epoch',
		'tick',
		'seq',
		'mode',
		'limit',
		'order',
		'from',
		'to',
		'buckets',
		'key',
		'__proto__',
		'constructor',
		'length'
	);
	const { message } = fc.letrec((tie) => ({
		message: fc.oneof(
			{ depthSize: 'medium' },
			fc.constantFrom(null, undefined, 'feed', 'INSERT', '1', '', 1, -1, 1e21, true, NaN),
			fc.string(),
			fc.array(tie('message'), { maxLength: 3 }),
			fc.dictionary(parts, tie('message'), { maxKeys: 5 })
		)
	}));
	fc.assert(
		fc.property(message, fc.constantFrom(...Object.values(schemas)), (message, schema) => {
			const said = complaint(schema, message);
			expect(said.length).toBeLessThan(450);
			expect(said).not.toContain('\n');
		}),
		{ numRuns: 3000 }
	);
});

test('a message nested too deep is refused', () => {
	let message: unknown = {};
	for (let i = 0; i < 20_000; i++) message = { filter: message };
	expect(complaint(messages.subscribe, message)).toMatch(/too large/);
});

test('filters that mean the same have one key, others have not', () => {
	const t = (table: string) => ({ schema: 's', table });
	const key = messages.filterKey;
	expect(key({ tables: [t('a'), t('b')], ops: ['DELETE', 'INSERT'] })).toBe(
		key({ ops: ['INSERT', 'DELETE', 'INSERT'], tables: [t('b'), t('a'), t('a')] })
	);
	const different = [
		{},
		{ tables: [] },
		{ ops: [] },
		{ where: 'a' },
		{ tables: [t('a')] },
		{ tables: [{ schema: 's.a', table: '' }] }
	];
	expect(new Set(different.map(key)).size).toBe(different.length);
});

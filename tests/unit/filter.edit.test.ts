import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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
import { parse } from '../../src/lib/filter/parse.ts';
import { split } from '../../src/lib/filter/scope.ts';
import type { TableInfo } from '../../src/lib/protocol.ts';
import { change } from './support/changes.ts';

const table = (schema: string, table: string, columns: Record<string, string>): TableInfo => ({
	oid: 1,
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

import { expect, test } from 'vitest';
import type { TableInfo } from '../../src/lib/protocol.ts';
import { differences, renames } from '../../src/lib/schema.ts';

const table = (name: string, parts: Partial<TableInfo> = {}): TableInfo => ({
	oid: name.charCodeAt(0),
	schema: 'public',
	table: name,
	watched: true,
	columns: [{ name: 'id', type: 'integer', redacted: false }],
	primaryKey: ['id'],
	references: [],
	...parts
});

test('tables that come, go and change are told in a sentence each', () => {
	const columns = [
		{ name: 'id', type: 'bigint', redacted: false },
		{ name: 'note', type: 'text', redacted: false }
	];
	expect(
		differences(
			[table('a'), table('b'), table('c')],
			[table('a', { columns }), table('c', { watched: false }), table('d')]
		)
	).toEqual([
		'a: column id is bigint now, was integer',
		'a has a new column note (text)',
		'c is no longer watched',
		'd is a new table, watched from now on',
		'b is gone'
	]);
	expect(differences([table('a')], [table('a')])).toEqual([]);
});

test('a table keeps its number: under another name or in another schema it is the same', () => {
	const at = (oid: number, name: string, parts: Partial<TableInfo> = {}) => table(name, { oid, ...parts });
	const columns = [{ name: 'id', type: 'bigint', redacted: false }];
	expect(differences([at(1, 'Book')], [at(1, 'Tome', { columns })])).toEqual([
		'Book is called Tome now',
		'Tome: column id is bigint now, was integer'
	]);
	expect(differences([at(1, 'Book')], [at(1, 'Book', { schema: 'old' })])).toEqual([
		'Book is called old.Book now'
	]);
	expect(differences([at(1, 'a'), at(2, 'b')], [at(2, 'a'), at(1, 'b')])).toEqual([
		'b is called a now',
		'a is called b now'
	]);
	// Made anew beside the old one, and put in its place.
	expect(differences([at(1, 'a'), at(2, 'a_new')], [at(2, 'a')])).toEqual([
		'a_new is called a now',
		'a is gone'
	]);
	expect(differences([at(1, 'a')], [at(2, 'a')])).toEqual([]);
	expect(renames([at(1, 'a'), at(2, 'b')], [at(3, 'a'), at(2, 'c')])).toHaveLength(1);
});

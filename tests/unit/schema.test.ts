import { expect, test } from 'vitest';
import type { TableInfo } from '../../src/lib/protocol.ts';
import { differences } from '../../src/lib/schema.ts';

const table = (name: string, parts: Partial<TableInfo> = {}): TableInfo => ({
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

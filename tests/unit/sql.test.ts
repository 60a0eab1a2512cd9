import { expect, test } from 'vitest';
import { redoSql } from '../../src/lib/sql.ts';
import { change } from './support/changes.ts';

const row = `{"id":1,"Na""me":"O'Hara"}`.replace('""', '\\"');

test('an update sets what it changed', () => {
	const update = change({ op: 'UPDATE', before: '{"id":1,"price":9.50}', after: '{"id":1,"price":10.00}' });
	expect(redoSql(update)).toBe(`update "public"."Book"\nset "price" = '10.00'\nwhere "id" = '1';`);
});

test('names and texts are quoted', () => {
	expect(redoSql(change({ after: row }))).toBe(
		`insert into "public"."Book" ("id", "Na""me")\noverriding system value values ('1', 'O''Hara');`
	);
	expect(redoSql(change({ op: 'DELETE', before: row }))).toBe(
		`delete from "public"."Book"\nwhere "id" = '1';`
	);
});

test('an update finds the row by its key before the change', () => {
	const moved = change({ op: 'UPDATE', before: '{"id":1}', after: '{"id":2}', key: { id: '2' } });
	expect(redoSql(moved)).toContain(`where "id" = '1'`);
});

test('a backslash, an array and a missing key', () => {
	const keyless = change({ op: 'DELETE', key: null, after: null, before: '{"a":"\\\\","b":[1,2],"c":null}' });
	const sql = redoSql(keyless)!;
	expect(sql).toContain(`E'\\\\'`);
	expect(sql).toContain('json_populate_record(null::"public"."Book"');
	expect(sql).toContain('"c" is null');
	expect(sql).toContain('no primary key');
});

test('what the log does not hold is not invented', () => {
	expect(redoSql(change({ op: 'UPDATE', before: '{"a":1}', after: '{"a":2}', cut: ['a'] }))).toContain(
		'not whole'
	);
});

test('of a partition that was truncated, the others stay', () => {
	const truncated = change({
		op: 'TRUNCATE',
		before: null,
		after: null,
		partition: { schema: 's', table: 'p 1' }
	});
	expect(redoSql(truncated)).toBe('truncate "s"."p 1";');
});

test('a row without columns', () => {
	expect(redoSql(change({ key: null, after: '{}' }))).toBe('insert into "public"."Book" default values;');
	expect(redoSql(change({ op: 'DELETE', key: null, before: '{}', after: null }))).toContain('where true;');
});

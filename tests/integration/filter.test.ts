/**
 * The filter language in SQL against a second implementation of it in TypeScript: both must select the same changes.
 */
import fc from 'fast-check';
import type pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { isNumber, type ColumnRef, type Term } from '../../src/lib/filter.ts';
import { format } from '../../src/lib/filter/format.ts';
import { parse } from '../../src/lib/filter/parse.ts';
import { members } from '../../src/lib/json.ts';
import { OPS } from '../../src/lib/protocol.ts';
import { migrate } from '../../src/lib/server/migrate.ts';
import { compileWhere } from '../../src/lib/server/where.ts';
import { majors, useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';

interface Row {
	seq: string;
	xid: string;
	schema: string;
	name: string;
	op: string;
	before: string | null;
	after: string | null;
}

/** The text of a column, as src/lib/filter.ts tells it. */
function fieldOf(row: string | null, name: string): string | null {
	const text = members(row).findLast((member) => member.name === name)?.text;
	if (text === undefined || text === 'null') return null;
	if (!text.startsWith('"')) return text;
	const value = JSON.parse(text) as string;
	return value.includes('\0') || !value.isWellFormed() ? text.slice(1, -1) : value;
}

/** A decimal number as a whole number of units of 10 ^ -2000. */
function unitsOf(text: string): bigint {
	const [, sign, whole, fraction = '', exponent = '0'] = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(
		text
	)!;
	const shift = 2000 + Number(exponent) - fraction.length;
	const units = BigInt(`${whole}${fraction}`) * 10n ** BigInt(shift);
	return sign === '-' ? -units : units;
}

function order(a: string, b: string, asNumbers: boolean): number {
	if (asNumbers && isNumber(a) && isNumber(b)) {
		const [x, y] = [unitsOf(a), unitsOf(b)];
		return x < y ? -1 : x > y ? 1 : 0;
	}
	return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The set of places in the pattern that the text so far may have reached. */
function globbed(text: string, glob: string): boolean {
	const pattern = [...glob.matchAll(/\\([^])|[^]/gu)].map(([whole, escaped]) =>
		escaped === undefined && (whole === '*' || whole === '?')
			? { any: whole }
			: { char: (escaped ?? whole).toLowerCase() }
	);
	const overStars = (places: Set<number>) => {
		for (const place of places) if (pattern[place]?.any === '*') places.add(place + 1);
		return places;
	};
	let places = overStars(new Set([0]));
	for (const char of text.toLowerCase()) {
		const next = new Set<number>();
		for (const place of places) {
			const part = pattern[place];
			if (part?.any === '*') next.add(place);
			if (part?.any === '?' || part?.char === char) next.add(place + 1);
		}
		places = overStars(next);
	}
	return places.has(pattern.length);
}

function selects(term: Term, row: Row): boolean {
	const get = ({ row: side, name }: ColumnRef) => fieldOf(side ? row[side] : (row.after ?? row.before), name);
	switch (term.kind) {
		case 'and':
			return term.terms.every((each) => selects(each, row));
		case 'or':
			return term.terms.some((each) => selects(each, row));
		case 'not':
			return !selects(term.term, row);
		case 'table':
			return row.name === term.table && (term.schema ?? row.schema) === row.schema;
		case 'op':
			return row.op === term.op[0];
		case 'tx':
			return row.xid === term.tx;
		case 'changed':
			return (
				row.before !== null &&
				row.after !== null &&
				fieldOf(row.before, term.column) !== fieldOf(row.after, term.column)
			);
		case 'compare': {
			const left = get(term.column);
			const { value, comparison } = term;
			if (value.kind === 'null') return (left === null) === (comparison === '=');
			const right = value.kind === 'column' ? get(value) : value.text;
			if (left === null || right === null) return false;
			if (comparison === '~') return globbed(left, right);
			const by = order(left, right, value.kind !== 'text');
			switch (comparison) {
				case '=':
					return by === 0;
				case '!=':
					return by !== 0;
				case '<':
					return by < 0;
				case '<=':
					return by <= 0;
				case '>':
					return by > 0;
				case '>=':
					return by >= 0;
			}
		}
	}
}

/** Values at the edges of types, as the SQL of a value. */
const VALUES: Record<string, string[]> = {
	n: [
		'null',
		'0',
		'-0.10',
		'0.1',
		'9007199254740993',
		'9007199254740992',
		'1e300',
		'123456789012345678901234567890.5',
		`'NaN'`,
		'10',
		'9'
	],
	f: ['null', `'-Infinity'`, `'Infinity'`, `'NaN'`, '1e-300', '-0', '0.1', '1e22'],
	i: ['null', '0', '-9223372036854775808', '9223372036854775807', '42'],
	t: [
		'null',
		`''`,
		`'go'`,
		`'Gorilla'`,
		`'GO*'`,
		`'100%'`,
		`'a_b'`,
		`'back\\slash'`,
		`'"quoted"'`,
		`E'two\\nlines'`,
		`'null'`,
		`'0042'`,
		`'10'`,
		`'größe'`,
		`'日本 😀'`,
		`'1e5'`,
		`'before.t'`,
		`repeat('x', 9000)`,
		`repeat('9', 16000)`
	],
	b: ['null', 'true', 'false'],
	d: ['null', `'2026-01-31 12:00:00+00'`, `'infinity'`, `'0044-03-15 BC'`],
	j: [
		'null',
		`'null'`,
		`'{"t": "inner", "n": 5}'`,
		`' [1, 2] '`,
		`'"a\\u0000b"'`,
		`'"\\ud800"'`,
		`'"\\ud83d\\ude00"'`,
		`'{"a": "\\u0000"}'`,
		`'"\\u0061"'`,
		`(repeat('[', 6000) || repeat(']', 6000))::json`,
		`(repeat('[', 4000) || repeat(']', 4000))::json`
	],
	a: ['null', `'{}'`, `'{a,"b,c",null}'`],
	y: ['null', `'\\x00ff'`]
};
const TYPES =
	'n numeric, f float8, i bigint, t text, b boolean, d timestamptz, j json, a text[], y bytea, "odd ""name"".x" text';

/** Large values, which take the slow way, are among the fixed rows only. */
const anyRow = fc.tuple(
	...Object.values(VALUES).map((values) =>
		fc.constantFrom(...values.filter((value) => !value.includes('repeat')))
	),
	fc.constantFrom('null', `'odd'`)
);

const column = fc.constantFrom(
	'n',
	'f',
	'i',
	't',
	'b',
	'd',
	'j',
	'a',
	'y',
	'k',
	'missing',
	'"odd \\"name\\".x"'
);
const source = fc.tuple(fc.constantFrom('', 'before.', 'after.'), column).map((parts) => parts.join(''));
const literal = fc.constantFrom(
	...[
		'0',
		'0.10',
		'.1',
		'-5',
		'9007199254740993',
		'1e300',
		'10',
		'42',
		'"10"',
		'"0042"',
		'0042',
		'1e5',
		'NaN',
		'Infinity'
	],
	...[
		'go',
		'Gorilla',
		'""',
		'"null"',
		'true',
		'2026-01-31',
		'"a\\\\u0000b"',
		'{}',
		'😀',
		'"back\\\\slash"',
		'"{\\"a\\": \\"\\\\u0000\\"}"'
	]
);
const glob = fc.constantFrom(
	'go*',
	'GO\\*',
	'*',
	'?',
	'"*"',
	'"*a*b*"',
	'100%',
	'a_b',
	'"back\\\\\\\\*"',
	'*😀',
	'"日本 ?"',
	'"*\\\\u0000*"',
	'[[*',
	'5'
);
const leaf = fc.oneof(
	{
		arbitrary: fc
			.tuple(source, fc.constantFrom(':', '!=', '<', '<=', '>', '>='), literal)
			.map((parts) => parts.join('')),
		weight: 6
	},
	{ arbitrary: fc.tuple(source, glob).map((parts) => parts.join('~')), weight: 3 },
	{
		arbitrary: fc
			.tuple(source, fc.constantFrom('=', '!=', '<', '>='), fc.constantFrom('before.', 'after.'), column)
			.map((parts) => parts.join('')),
		weight: 3
	},
	fc.tuple(source, fc.constantFrom(':null', '!=null')).map((parts) => parts.join('')),
	column.map((name) => `changed:${name}`),
	fc
		.constantFrom(
			'table:kinds',
			'table:other.kinds',
			'table:"odd ""',
			'table:nothing',
			'tx:3',
			...OPS.map((op) => `op:${op}`)
		)
		.filter((text) => parse(text).ok)
);
const { filter } = fc.letrec<{ filter: string }>((tie) => ({
	filter: fc.oneof(
		{ maxDepth: 3 },
		leaf,
		fc
			.tuple(tie('filter'), fc.constantFrom(' ', ' or '), tie('filter'))
			.map(([a, or, b]) => `(${a}${or}${b})`),
		tie('filter').map((text) => `-${text}`)
	)
}));

async function captured(client: pg.ClientBase): Promise<Row[]> {
	const { rows } = await client.query<Row>(
		`select rowcast.seq(c.lsn, c.xid) as seq, c.xid::text, r.schema, r.name, c.op, c.before, c.after
		from rowcast.change c join rowcast.relation r on r.id = c.relation`
	);
	return rows;
}

async function selected(client: pg.ClientBase, where: string): Promise<string[]> {
	const { rows: relations } = await client.query('select id, schema, name from rowcast.relation');
	const { sql, values } = compileWhere(where, 2, (named) =>
		relations
			.filter(({ schema, name }) => name === named.table && (named.schema ?? schema) === schema)
			.map(({ id }) => String(id))
	);
	const { rows } = await client.query({
		text: `select rowcast.seq(c.lsn, c.xid) from rowcast.change c where $1::int = 1 and ${sql}`,
		values: [1, ...values],
		rowMode: 'array'
	});
	return rows.flat().sort();
}

describe.each(majors())('PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	beforeAll(() =>
		withClient(database().url, async (client) => {
			await migrate(client);
			await client.query('create schema other');
			for (const table of ['kinds', 'other.kinds']) {
				await client.query(`create table ${table} (k int primary key, ${TYPES})`);
				await client.query(`select rowcast.watch('${table}')`);
			}
			// Every value once, and many rows of random ones that then change and go.
			const most = Math.max(...Object.values(VALUES).map((values) => values.length));
			const each = Array.from({ length: most }, (_, i) => [
				...Object.values(VALUES).map((values) => values[i % values.length]!),
				`'odd'`
			]);
			const random = fc.sample(anyRow, { numRuns: 60, seed: 1 });
			const rows = [...each, ...random] as string[][];
			for (const [k, row] of rows.entries()) {
				const table = k % 3 === 0 ? 'other.kinds' : 'kinds';
				await client.query(`insert into ${table} values (${[k, ...row].join(', ')})`);
				const next = rows[(k * 7 + 1) % rows.length]!;
				const names = ['n', 'f', 'i', 't', 'b', 'd', 'j', 'a', 'y'];
				const sets = names
					.filter((_, i) => (k + i) % 3 > 0)
					.map((name) => `${name} = ${next[names.indexOf(name)]}`);
				await client.query(`update ${table} set ${sets.join(', ')} where k = ${k}`);
				if (k % 2 === 0) await client.query(`delete from ${table} where k = ${k}`);
			}
			await client.query('truncate other.kinds');
		})
	);

	test('selects in SQL what the language means', async () => {
		await withClient(database().url, async (client) => {
			const rows = await captured(client);
			expect(rows.length).toBeGreaterThan(150);
			await fc.assert(
				fc.asyncProperty(filter, async (text) => {
					const parsed = parse(text);
					if (!parsed.ok) return expect(parsed.message).toMatch(/are the most/);
					const expected = rows
						.filter((row) => selects(parsed.filter, row))
						.map(({ seq }) => seq)
						.sort();
					expect(await selected(client, text)).toEqual(expected);
					expect(await selected(client, format(parsed.filter))).toEqual(expected);
				}),
				{ numRuns: 150 }
			);
		});
	});

	test('no filter raises an error other than that it cannot be read', async () => {
		const hostile = fc.constantFrom(
			...[
				`' or 1=1 --`,
				`"; drop table kinds; --`,
				`1) union select null,null--`,
				`$1`,
				`$2::int`,
				`\\`,
				`'||(select 1)||'`,
				`%27`,
				`sleep(5)`,
				`pg_sleep(9)`
			],
			...[
				't:',
				't~',
				'"t":',
				'before.',
				'-',
				'(',
				')',
				'"',
				'\\',
				' or ',
				'*',
				'%',
				'_',
				'\u0001',
				'\ud800',
				'é',
				'9'.repeat(400),
				'1e999',
				'1e-999',
				'0x10'
			]
		);
		await withClient(database().url, async (client) => {
			await client.query(`set statement_timeout = '5s'`);
			const text = fc.oneof(
				fc.string(),
				fc.array(hostile, { maxLength: 6 }).map((parts) => parts.join('')),
				fc
					.tuple(source, fc.constantFrom(':', '~', '<', '!='), fc.oneof(hostile, fc.string()))
					.map(([name, op, value]) => `${name}${op}${JSON.stringify(value).replace(/\\u0000/g, '')}`)
			);
			await fc.assert(
				fc.asyncProperty(text, async (where) => {
					const parsed = parse(where);
					if (parsed.ok) await selected(client, where);
					else expect(() => compileWhere(where, 1, () => [])).toThrow(/cannot be read at character \d+/);
				}),
				{ numRuns: 300 }
			);
			expect((await client.query('select count(*)::int as n from kinds')).rows[0].n).toBeGreaterThan(0);
		});
	});
});

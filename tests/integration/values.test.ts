import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { majors, useDatabase } from '../support/database.ts';
import { follow, openLog, watchAll, withClients } from '../support/follow.ts';
import { useRecording } from '../support/recording.ts';

describe.each(majors())('a value never fails a write on PostgreSQL %i', (major) => {
	const { database, log, query, record } = useRecording(major);

	const lengths = ({ before, after }: Change) => [before?.length ?? 0, after?.length ?? 0];

	test('100 MB of text is recorded as its beginning', async () => {
		const changes = await record(
			'create table letter (id int primary key, body text, note text)',
			`insert into letter values (1, repeat('0123456789', 10000000), 'short')`,
			`update letter set note = 'changed'`,
			'delete from letter'
		);
		expect(changes.map(({ op, cut, key }) => [op, cut, key])).toEqual([
			['INSERT', ['body'], { id: '1' }],
			['UPDATE', ['body'], { id: '1' }],
			['DELETE', ['body'], { id: '1' }]
		]);
		for (const change of changes) expect(Math.max(...lengths(change))).toBeLessThan(3000);
		const after = JSON.parse(changes[1]!.after!);
		expect(after.note).toBe('changed');
		expect(after.body).toMatch(/^(0123456789){100}.*… \(\d+ bytes stored\)$/);
	});

	test('a table of 1,600 columns', async () => {
		const columns = Array.from({ length: 1600 }, (_, i) => `c${i}`);
		const changes = await record(
			`create table wide (${columns.map((name) => `${name} ${['int', 'text', 'bool', 'numeric'][Number(name.slice(1)) % 4]}`).join(', ')})`,
			`insert into wide (c0, c1, c1599) values (1, 'x', 2)`,
			`update wide set c1 = 'y', c5 = repeat('z', 20000)`
		);
		expect(Object.keys(JSON.parse(changes[0]!.after!))).toEqual(columns);
		expect(changes[1]!.cut).toEqual(['c5']);
		expect(Object.keys(JSON.parse(changes[1]!.after!))).toEqual(columns);
	});

	test('JSON that nests 6,000 deep, json that jsonb refuses, and what makes them readable', async () => {
		const deep = (n: number) => `${'[{"a":'.repeat(n / 2)}1${'}]'.repeat(n / 2)}`;
		const changes = await record(
			'create table doc (id text primary key, j json, b jsonb, l json[])',
			`insert into doc (id, j) values ('json', '${'['.repeat(5990)}${']'.repeat(5990)}')`,
			`insert into doc (id, b) values ('jsonb', '${deep(5000)}')`,
			String.raw`insert into doc (id, j) values ('nul', '{"a": "\u0000", "a": "\ud800"}')`,
			`insert into doc (id, j) values ('large', ('"' || repeat('x', 100000) || '"')::json)`,
			`insert into doc (id, l) values ('many', array(select to_json(repeat('y', 100)) from generate_series(1, 1000)))`,
			`update doc set id = id || '!'`
		);
		expect(changes).toHaveLength(10);
		expect(changes.map(({ key }) => key!.id).slice(0, 5)).toEqual(['json', 'jsonb', 'nul', 'large', 'many']);
		expect(Object.fromEntries(changes.slice(0, 5).map(({ key, cut }) => [key!.id, cut]))).toEqual({
			json: undefined,
			jsonb: ['b'],
			nul: undefined,
			large: ['j'],
			many: ['l']
		});
	});

	test('values whose text is far larger than what is stored', async () => {
		const changes = await record(
			'create table dense (id int primary key, n numeric, a int[], b bit varying, t text)',
			'insert into dense (id, n) values (1, 1e131071)',
			'insert into dense (id, a) values (2, array_fill(null::int, array[1000000]))',
			`insert into dense (id, t) values (3, repeat(E'\\x01', 400000))`,
			`insert into dense (id, b) values (4, repeat('0', 10000000)::bit varying)`
		);
		expect(changes.map(({ key, cut }) => [key!.id, cut])).toEqual([
			['1', ['n']],
			['2', ['a']],
			['3', ['t']],
			['4', ['b']]
		]);
		for (const change of changes) expect(Math.max(...lengths(change))).toBeLessThan(10_000);
	});

	test.skipIf(major < 18)(
		'virtual columns that are large, or cannot be computed, or are redacted',
		async () => {
			await query('create schema secret');
			const changes = await record(
				`create table secret.sheet (id int primary key, n int, part int generated always as (100 / n) virtual,
				long text generated always as (repeat('x', n)) virtual, code text generated always as ('code ' || n) virtual);
			set search_path = public`,
				'insert into secret.sheet values (1, 4), (2, 0)',
				'update secret.sheet set n = 1000000 where id = 2',
				`select rowcast.redact('secret.sheet', 'code', 'n')`,
				'update secret.sheet set n = 4 where id = 2',
				`alter table secret.sheet drop column part, drop column long, drop column code; select rowcast.watch_all()`,
				'delete from secret.sheet where id = 2'
			);
			expect(changes.map(({ before, after, cut }) => [before, after, cut])).toEqual([
				[null, '{"id":1,"n":4,"part":25,"long":"xxxx","code":"code 4"}', undefined],
				[null, '{"id":2,"n":0,"part":"…","long":"","code":"code 0"}', ['part']],
				[
					'{"id":2,"n":0,"part":"…","long":"","code":"code 0"}',
					'{"id":2,"n":1000000,"part":0,"long":"…","code":"code 1000000"}',
					['long', 'part']
				],
				[
					'{"id":2,"n":"[redacted]","part":0,"long":"…","code":"[redacted]"}',
					'{"id":2,"n":"[redacted]","part":25,"long":"xxxx","code":"[redacted]"}',
					['long']
				],
				['{"id":2,"n":"[redacted]"}', null, undefined]
			]);
		}
	);

	test.runIf(major === 18)(
		'300 MB of bytea, and a row of more than 1 GB',
		async () => {
			await query('create table file (id int primary key, a bytea, b bytea, c bytea, d bytea, n int)');
			for (const column of 'abcd') await query(`alter table file alter ${column} set storage external`);
			await query('select rowcast.watch_all()');
			await log().changes();
			await query(`insert into file (id, a) values (1, convert_to(repeat('x', 300000000), 'UTF8'))`);
			await query('update file set n = 1');
			const changes = await log().changes();
			expect(changes.map(({ op, cut, key }) => [op, cut, key!.id])).toEqual([
				['INSERT', ['a'], '1'],
				['UPDATE', ['a'], '1']
			]);
			expect(JSON.parse(changes[1]!.after!)).toMatchObject({ id: 1, n: 1, b: null });
			for (const column of 'bcd') await query(`update file set ${column} = a`);
			await log().changes();
			await query('update file set n = 2');
			const [last] = await log().changes();
			expect(last!.cut!.sort()).toEqual(['a', 'b', 'c', 'd', 'id', 'n']);
			await query('drop table file');
		},
		180_000
	);

	test('readers and followers survive all of it', async () => {
		const { head, oldest } = await log().reader.bounds();
		const { changes } = await log().reader.changes({
			filter: {},
			after: oldest,
			until: head,
			order: 'desc',
			limit: 1000
		});
		expect(changes.length).toBeGreaterThan(15);
		const following = await follow(database().url);
		await query(`update doc set id = id || '?'`);
		await following.until('the changes', ({ ticks }) => ticks.flatMap((tick) => tick.changes).length === 5);
		await following.close();
	});
});

/** SQL literals of a type, with its odd corners. */
const literals: Record<string, fc.Arbitrary<string>> = {
	int: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String),
	bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
	numeric: fc.oneof(
		fc.tuple(fc.bigInt(), fc.integer({ min: 0, max: 40 })).map(([n, scale]) => `${n}e-${scale}`),
		fc.constantFrom('NaN', '0.00000', '-0', '1e300', '1e-300', '123456789012345678901234567890.1234567890')
	),
	'double precision': fc.oneof(
		fc.double({ noNaN: true }).map(special),
		fc.constantFrom('NaN', '5e-324', '-0', '1e22', '0.1')
	),
	real: fc.oneof(fc.float({ noNaN: true }).map(special), fc.constantFrom('NaN', '1e-45', '-0', '16777217')),
	text: fc.string({ unit: 'binary', maxLength: 50 }).map((text) => text.replaceAll('\0', '')),
	'char(5)': fc.string({ unit: fc.constantFrom('a', ' ', 'é', '"'), maxLength: 5 }),
	bytea: fc.uint8Array({ maxLength: 50 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
	date: fc.oneof(days(), fc.constantFrom('infinity', '-infinity', '0044-03-15 BC', '4713-01-01 BC')),
	timestamp: fc.oneof(instants(), fc.constantFrom('infinity', '-infinity', '0001-01-01 00:00:00.000001 BC')),
	timestamptz: fc.oneof(instants(), fc.constantFrom('infinity', '-infinity', '1883-11-18 12:03:58-04:56:02')),
	timetz: fc
		.integer({ min: 0, max: 86_399 })
		.map((s) => `${Math.floor(s / 3600)}:${Math.floor(s / 60) % 60}:${s % 60}.5+05:30`),
	interval: fc
		.tuple(
			fc.integer({ min: -1000, max: 1000 }),
			fc.integer({ min: -1000, max: 1000 }),
			fc.integer({ min: -1e9, max: 1e9 })
		)
		.map(([months, days, ms]) => `${months} months ${days} days ${ms} milliseconds`),
	boolean: fc.boolean().map(String),
	uuid: fc.uuid(),
	'int[]': fc
		.array(fc.option(fc.integer({ min: -9, max: 9 })))
		.map((items) => `{${items.map((item) => item ?? 'null').join(',')}}`),
	'timestamptz[]': fc.array(instants()).map((items) => `{${items.map((item) => `"${item}"`).join(',')}}`),
	tstzrange: fc.tuple(instants(), instants()).map((pair) => `[${pair.sort().join(',')}]`),
	daterange: fc.tuple(days(), days()).map((pair) => `[${pair.sort().join(',')}]`),
	int4range: fc
		.tuple(fc.integer({ min: -99, max: 99 }), fc.nat(99))
		.map(([from, size]) => `[${from},${from + size}]`),
	json: fc.json(),
	jsonb: fc.json().map((text) => text.replaceAll(/\\u[0-9a-f]{4}/g, '')),
	point: fc
		.tuple(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), fc.integer())
		.map(([x, y]) => `(${x},${y})`),
	inet: fc.ipV4(),
	money: fc.integer().map((n) => `${n}.25`),
	regclass: fc.constantFrom('pg_class', 'pg_type'),
	pair: fc.tuple(instants(), fc.integer({ min: 0, max: 9 })).map(([at, n]) => `("${at}",${n})`),
	mood: fc.constantFrom('sad', 'so "happy"'),
	positive: fc.integer({ min: 1, max: 2 ** 31 - 1 }).map(String),
	tsvector: fc.constantFrom('', `'a':1A,2 'b'`)
};
function special(n: number): string {
	return Object.is(n, -0) ? '-0' : String(n);
}
function instants() {
	return fc
		.date({ min: new Date('0100-01-01'), max: new Date('9000-01-01'), noInvalidDate: true })
		.map((date) => date.toISOString().replace('Z', '123+00'));
}
function days() {
	return instants().map((text) => text.slice(0, 10));
}

const settings = fc.record({
	extra_float_digits: fc.constantFrom(-15, 0, 1, 3),
	datestyle: fc.constantFrom('ISO, MDY', 'SQL, DMY', 'German', 'Postgres, MDY'),
	intervalstyle: fc.constantFrom('postgres', 'sql_standard', 'iso_8601', 'postgres_verbose'),
	bytea_output: fc.constantFrom('hex', 'escape'),
	quote_all_identifiers: fc.constantFrom('on', 'off'),
	timezone: fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/St_Johns', 'Etc/GMT+12')
});

describe.each(majors())('on PostgreSQL %i', (major) => {
	const database = useDatabase({ major });

	test('before and after are what PostgreSQL stores, to the last digit, whatever the settings of those who write', async () => {
		const { url } = database();
		const names = Object.keys(literals);
		const columns = names.map((type, i) => `c${i} ${type}`);
		await withClients(url, 2, async ([reader, writer]) => {
			await reader!
				.query(`create type pair as (at timestamptz, n int); create type mood as enum ('sad', 'so "happy"');
				create domain positive as int check (value > 0); create table typed (id int primary key, ${columns.join(', ')})`);
			await watchAll(url);
			const log = await openLog(url);
			await reader!.query(`set timezone = 'UTC'; set extra_float_digits = 1; set datestyle = 'ISO'`);
			const stored = async () =>
				(await reader!.query('select row_to_json(t)::text as row from typed t order by id')).rows.map(
					({ row }) => row
				);
			const rows = fc.array(fc.tuple(...names.map((name) => fc.option(literals[name]!, { freq: 9 }))), {
				minLength: 1,
				maxLength: 4
			});
			await fc.assert(
				fc.asyncProperty(settings, settings, rows, rows, async (one, other, first, second) => {
					await reader!.query('truncate typed');
					await configure(writer!, one);
					for (const [id, row] of first.entries())
						await writer!.query(
							`insert into typed values ($1, ${names.map((name, i) => `$${i + 2}::text::${name}`).join(', ')})`,
							[id, ...row]
						);
					const inserted = await stored();
					await configure(writer!, other);
					for (const [id, row] of second.slice(0, first.length).entries())
						await writer!.query(
							`update typed set ${names.map((name, i) => `c${i} = $${i + 2}::text::${name}`).join(', ')} where id = $1`,
							[id, ...row]
						);
					const updated = await stored();
					await writer!.query('delete from typed');
					const changes = (await log.changes()).filter(({ op }) => op !== 'TRUNCATE');
					const of = (op: string, side: 'before' | 'after') =>
						changes.filter((change) => change.op === op).map((change) => change[side]);
					expect(of('INSERT', 'after')).toEqual(inserted);
					expect(of('UPDATE', 'before')).toEqual(inserted.slice(0, second.length));
					expect(of('UPDATE', 'after')).toEqual(updated.slice(0, second.length));
					expect(of('DELETE', 'before').sort()).toEqual([...updated].sort());
				}),
				{ numRuns: 40 }
			);
			await log.close();
		});
	});
});

async function configure(db: pg.Client, values: Record<string, string | number>): Promise<void> {
	await db.query(
		Object.entries(values)
			.map(([name, value]) => `set ${name} = '${value}'`)
			.join('; ')
	);
}

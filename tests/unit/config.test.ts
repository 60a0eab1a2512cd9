import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/lib/server/config.ts';
import { ConfigError } from '../../src/lib/server/errors.ts';

const read = (env: Record<string, string> = {}) => readConfig(env, '1.2.3');

test('nothing set: the embedded demo on loopback, with the documented defaults', () => {
	expect(read()).toEqual({
		database: 'embedded',
		host: '127.0.0.1',
		port: 3000,
		watch: null,
		token: null,
		origins: [],
		redact: [],
		retentionMs: 24 * 3600 * 1000,
		maxLogBytes: 2 ** 30,
		version: '1.2.3'
	});
});

test('an empty variable counts as unset', () => {
	expect(read({ DATABASE_URL: ' ', PORT: '', ROWCAST_WATCH: '' })).toEqual(read());
});

describe('the database', () => {
	test('is DATABASE_URL before the PG* variables', () => {
		const url = 'postgres://me:secret@db.example:5433/shop';
		expect(read({ DATABASE_URL: url, PGHOST: 'other' }).database).toEqual({ connectionString: url });
	});
	test.each(['PGHOST', 'PGDATABASE', 'PGUSER', 'PGPASSWORD'])('is left to pg where %s is set', (name) => {
		expect(read({ [name]: 'x' }).database).toEqual({});
	});
	test('is not chosen by PG* variables that name none', () => {
		expect(read({ PGDATA: '/var/lib/postgresql', PGTZ: 'UTC' }).database).toBe('embedded');
	});
	test('may be behind a Unix socket', () => {
		const url = 'postgres://me@/shop?host=/run/postgresql';
		expect(read({ DATABASE_URL: url }).database).toEqual({ connectionString: url });
	});
	test.each(['require', 'prefer', 'verify-ca'])('by sslmode=%s means what pg takes it for', (mode) => {
		const url = (mode: string) => `postgres://me@db/shop?sslmode=${mode}&application_name=x`;
		expect(read({ DATABASE_URL: url(mode) }).database).toEqual({ connectionString: url('verify-full') });
		const libpq = `postgres://me@db/shop?uselibpqcompat=true&sslmode=${mode}`;
		expect(read({ DATABASE_URL: libpq }).database).toEqual({ connectionString: libpq });
	});
	test('is refused without repeating a password', () => {
		expect(() => read({ DATABASE_URL: 'mysql://me:secret@db/shop' })).toThrow(
			/^DATABASE_URL must be like [^\n]*$/
		);
		expect(() => read({ DATABASE_URL: 'mysql://me:secret@db/shop' })).not.toThrow(/me:secret/);
	});
});

describe('listening', () => {
	test.each([
		['0', 0],
		['65535', 65535]
	])('PORT %s', (text, port) => expect(read({ PORT: text }).port).toBe(port));
	test.each(['x', '-1', '65536', '3000.5', '0x10'])('PORT %s is refused', (PORT) => {
		expect(() => read({ PORT })).toThrow(/^PORT must be a port from 0 to 65535/);
	});
	test.each(['127.0.0.1', '127.8.9.1', '::1', '[::1]', 'localhost'])('HOST %s needs no token', (HOST) => {
		expect(read({ HOST }).token).toBeNull();
	});
	test.each(['0.0.0.0', '::', '192.168.1.4', 'db.example', '127.0.0.1.example.org'])(
		'HOST %s refuses to start without a token',
		(HOST) => {
			expect(() => read({ HOST })).toThrow(/^HOST .* ROWCAST_TOKEN/);
			expect(read({ HOST, ROWCAST_TOKEN: 's3cret' }).token).toBe('s3cret');
		}
	);
	test('HOST must be one', () => expect(() => read({ HOST: 'a b' })).toThrow(/^HOST must/));
	test('a token that no header can carry is refused', () => {
		expect(() => read({ ROWCAST_TOKEN: 'two words' })).toThrow(/^ROWCAST_TOKEN must/);
	});
	test('origins are normalised', () => {
		expect(read({ ROWCAST_ORIGINS: 'https://a.example:443, http://b:81/' }).origins).toEqual([
			'https://a.example',
			'http://b:81'
		]);
	});
	test.each(['*', 'a.example', 'https://a/path', 'file:///x', 'https://me@a'])(
		'origin %s is refused',
		(item) => {
			expect(() => read({ ROWCAST_ORIGINS: item })).toThrow(/^ROWCAST_ORIGINS must list origins/);
		}
	);
});

describe('lists of names', () => {
	test('all', () => expect(read({ ROWCAST_WATCH: 'all' }).watch).toBe('all'));
	test('names are taken as written, in quotes where they hold a dot, comma or quote', () => {
		expect(read({ ROWCAST_WATCH: 'public.User , "a,b.c"."T""x",__proto__.été' }).watch).toEqual([
			{ schema: 'public', table: 'User' },
			{ schema: 'a,b.c', table: 'T"x' },
			{ schema: '__proto__', table: 'été' }
		]);
	});
	test.each(['users', 'a.b.c', 'a.b,', 'a.b,,c.d', '"a.b', '.b', 'a.', 'a."b"c', ','])(
		'ROWCAST_WATCH=%s',
		(list) => {
			expect(() => read({ ROWCAST_WATCH: list })).toThrow(/^ROWCAST_WATCH must be "all" or list tables/);
		}
	);
	test('columns to redact, * for any', () => {
		expect(read({ ROWCAST_REDACT: '*.*.password, public.User."e.mail"' }).redact).toEqual([
			{ schema: '*', table: '*', column: 'password' },
			{ schema: 'public', table: 'User', column: 'e.mail' }
		]);
		expect(() => read({ ROWCAST_REDACT: 'User.email' })).toThrow(/^ROWCAST_REDACT must list columns/);
	});
});

describe('bounds of the log', () => {
	test.each([
		['90s', 90_000, null],
		['90 min', 5_400_000, null],
		['7d', 604_800_000, null],
		['1.5h', 5_400_000, null]
	])('ROWCAST_RETENTION=%s', (text, ms) => expect(read({ ROWCAST_RETENTION: text }).retentionMs).toBe(ms));
	test.each([
		['512MB', 2 ** 29],
		['1.5GB', 1.5 * 2 ** 30],
		['2048kB', 2 ** 21]
	])('ROWCAST_MAX_LOG=%s', (text, bytes) => expect(read({ ROWCAST_MAX_LOG: text }).maxLogBytes).toBe(bytes));
	test.each(['24', 'h', '1 fortnight', '1toString', '-1h', '1e9h', '0h', '99999d'])(
		'ROWCAST_RETENTION=%s is refused',
		(text) => expect(() => read({ ROWCAST_RETENTION: text })).toThrow(/^ROWCAST_RETENTION /)
	);
	test.each(['1024', '1XB', '1kB', '0GB', '1__proto__'])('ROWCAST_MAX_LOG=%s is refused', (text) =>
		expect(() => read({ ROWCAST_MAX_LOG: text })).toThrow(/^ROWCAST_MAX_LOG /)
	);
});

test('every refusal is a ConfigError of one line', () => {
	const bad: Record<string, string>[] = [
		{ PORT: 'a\nb' },
		{ ROWCAST_WATCH: 'a\nb' },
		{ ROWCAST_RETENTION: 'x'.repeat(1000) }
	];
	for (const env of bad) {
		try {
			read(env);
			expect.unreachable();
		} catch (error) {
			expect(error).toBeInstanceOf(ConfigError);
			expect((error as Error).message).not.toContain('\n');
			expect((error as Error).message.length).toBeLessThan(250);
		}
	}
});

import { describe, expect, test } from 'vitest';
import { makeAuth } from '../../src/lib/server/auth.ts';

const open = makeAuth({ token: null, host: '127.0.0.1', origins: ['https://board.example'] });
const closed = makeAuth({ token: 's3cret', host: '0.0.0.0', origins: [] });

test('without a token everybody is admitted', () => {
	expect(open.needed).toBe(false);
	expect(open.admits({})).toBe(true);
	expect(open.accepts(undefined)).toBe(true);
});

describe('with a token', () => {
	test.each([undefined, null, '', 's3cre', 's3cret ', 5, {}, ['s3cret']])('%j is not it', (given) => {
		expect(closed.accepts(given)).toBe(false);
	});
	test('it is accepted', () => expect(closed.accepts('s3cret')).toBe(true));
	test('requests show it by header or cookie', () => {
		const { name, value } = closed.cookie;
		expect(closed.admits({})).toBe(false);
		expect(closed.admits({ authorization: 'Bearer s3cret' })).toBe(true);
		expect(closed.admits({ authorization: 'Bearer wrong' })).toBe(false);
		expect(closed.admits({ cookie: `a=b; ${name}=${value}` })).toBe(true);
		expect(closed.admits({ cookie: `${name}=s3cret` })).toBe(false);
		expect(closed.admits({ cookie: `${name}` })).toBe(false);
		expect(value).not.toContain('s3cret');
	});
});

describe('origins', () => {
	test.each([
		['none, as programs send', undefined, '127.0.0.1:3000', true],
		['its own', 'http://127.0.0.1:3000', '127.0.0.1:3000', true],
		['its own by name', 'http://localhost:3000', 'localhost:3000', true],
		['its own in IPv6', 'http://[::1]:3000', '[::1]:3000', true],
		['one that is allowed', 'https://board.example', '127.0.0.1:3000', true],
		['another site', 'http://evil.example', '127.0.0.1:3000', false],
		['another port', 'http://127.0.0.1:3001', '127.0.0.1:3000', false],
		['a name that was made to point here', 'http://evil.example:3000', 'evil.example:3000', false],
		['a file or a sandboxed frame', 'null', '127.0.0.1:3000', false],
		['nonsense', 'http://', '127.0.0.1:3000', false],
		['an extension', 'chrome-extension://127.0.0.1:3000', '127.0.0.1:3000', false]
	])('%s', (_, origin, host, allowed) => expect(open.allowsOrigin({ origin, host })).toBe(allowed));

	test('behind a proxy with a token, the own host is whatever it was asked as', () => {
		expect(closed.allowsOrigin({ origin: 'https://rowcast.example', host: 'rowcast.example' })).toBe(true);
		expect(closed.allowsOrigin({ origin: 'https://evil.example', host: 'rowcast.example' })).toBe(false);
	});
});

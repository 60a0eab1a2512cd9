/**
 * Who may look: pages and sockets must show the token where one is set, and a page of another site may never connect.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isLoopback } from './config.ts';
import type { Config } from './types.ts';

export interface Auth {
	/** Whether a token is needed at all. */
	readonly needed: boolean;
	/** What a browser keeps instead of the token, once it has shown it. */
	readonly cookie: { name: string; value: string };
	/** Is this the token? Takes as long for any wrong one. */
	accepts(token: unknown): boolean;
	/** Did the request show the token, by the cookie or as `Authorization: Bearer`? */
	admits(headers: Pick<IncomingHttpHeaders, 'cookie' | 'authorization'>): boolean;
	/** Programs send no Origin; a page's must be the server's own or one that is allowed. */
	allowsOrigin(headers: Pick<IncomingHttpHeaders, 'origin' | 'host'>): boolean;
}

export function makeAuth({ token, host, origins }: Pick<Config, 'token' | 'host' | 'origins'>): Auth {
	const digest = (text: string) => createHash('sha256').update(text).digest();
	const expected = digest(token ?? '');
	const equal = (given: string, wanted: Buffer) => timingSafeEqual(digest(given), wanted);
	const value = digest(`rowcast session ${token}`).toString('hex');
	// Cookies do not know ports: servers beside each other on one host must not overwrite each other's.
	const cookie = { name: `rowcast_${value.slice(0, 8)}`, value };
	const session = digest(value);

	return {
		needed: token !== null,
		cookie,
		accepts: (given) => token === null || (typeof given === 'string' && equal(given, expected)),
		admits({ cookie: cookies = '', authorization = '' }) {
			if (token === null) return true;
			const bearer = /^Bearer (\S+)$/i.exec(authorization)?.[1];
			if (bearer !== undefined && equal(bearer, expected)) return true;
			return cookies.split(';').some((item) => {
				const [name, given = ''] = item.trim().split('=');
				return name === cookie.name && equal(given, session);
			});
		},
		allowsOrigin({ origin, host: asked }) {
			if (origin === undefined) return true;
			if (origins.includes(origin)) return true;
			if (!URL.canParse(origin)) return false;
			const { protocol, host: own, hostname } = new URL(origin);
			if (!/^https?:$/.test(protocol) || own !== asked?.toLowerCase()) return false;
			// Without a token, a foreign name that was made to point here (DNS rebinding) is not the server's own.
			return token !== null || isLoopback(hostname.replace(/^\[(.*)\]$/, '$1')) || hostname === host;
		}
	};
}

/** What every request passes, and the door through which `server.js`, Vite and the command line find the server. */
import { building } from '$app/environment';
import type { Handle, RequestEvent } from '@sveltejs/kit';
import { version } from '../package.json';
import { cli } from '$lib/server/cli.ts';
import { readConfig } from '$lib/server/config.ts';
import { explainStart } from '$lib/server/errors.ts';
import { startLive, type Live } from '$lib/server/live.ts';
import { loginPage } from '$lib/server/login.ts';

/** Under `Symbol.for('rowcast')` on globalThis, since the built bundle exports nothing. */
export interface Door {
	readConfig: (env: NodeJS.ProcessEnv) => ReturnType<typeof readConfig>;
	startLive: typeof startLive;
	/** One line for people on why it did not start. */
	explainStart: typeof explainStart;
	/** The commands besides `serve`. */
	cli: typeof cli;
	/** Whoever started Rowcast puts it here. */
	live?: Live;
}

const DOOR = Symbol.for('rowcast');
const globals = globalThis as unknown as Record<symbol, Door | undefined>;

if (!building) {
	globals[DOOR] = {
		// Vite evaluates this module anew when it changes; what runs goes on.
		live: globals[DOOR]?.live,
		readConfig: (env) => readConfig(env, version),
		startLive,
		explainStart,
		cli
	};
}

const HEADERS = {
	'x-content-type-options': 'nosniff',
	'x-frame-options': 'DENY',
	// An address may hold a filter or, for a moment, the token. (With `no-referrer`, forms would have no origin.)
	'referrer-policy': 'same-origin',
	'cross-origin-opener-policy': 'same-origin'
};

/** For programs that look after processes; they tell nothing about the data. */
const OPEN = ['/healthz', '/readyz'];

export const handle: Handle = async ({ event, resolve }) => {
	event.locals.live = globals[DOOR]?.live;
	const response = (await refuse(event)) ?? (await resolve(event));
	for (const [name, value] of Object.entries(HEADERS)) response.headers.set(name, value);
	return response;
};

/** Asks who has not shown the token for it, and takes it from whoever shows it now. */
async function refuse(event: RequestEvent): Promise<Response | undefined> {
	const { url, request, locals } = event;
	const auth = locals.live?.auth;
	if (!auth?.needed || OPEN.includes(url.pathname)) return undefined;
	const headers = {
		cookie: request.headers.get('cookie') ?? undefined,
		authorization: request.headers.get('authorization') ?? undefined
	};
	const given = url.searchParams.get('token') ?? (await postedToken(request));
	if (given === null) return auth.admits(headers) ? undefined : loginPage(false);
	if (!auth.accepts(given)) return loginPage(true);
	const target = new URL(url);
	target.searchParams.delete('token');
	const secure = url.protocol === 'https:' ? '; Secure' : '';
	return new Response(null, {
		status: 303,
		headers: {
			location: target.pathname + target.search,
			'set-cookie': `${auth.cookie.name}=${auth.cookie.value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000${secure}`
		}
	});
}

async function postedToken(request: Request): Promise<string | null> {
	if (request.method !== 'POST') return null;
	const form = await request.formData().catch(() => null);
	const token = form?.get('token');
	return typeof token === 'string' ? token : null;
}

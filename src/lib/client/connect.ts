/**
 * Rowcast's client, for browsers and Node, without a framework.
 *
 *     const live = connect('http://127.0.0.1:3000');
 *     live.subscribe({ filter: {} }, {
 *       tick: (message) => console.log(message.changes),
 *       gap: (gap) => console.warn('cannot be shown', gap)
 *     });
 *
 * A connection that is lost comes back by itself, and a subscription goes on where it left off: its cursor is the last
 * tick it was given. A hole in what arrives is noticed by `from` and asked for again; what the server no longer has is
 * told as a gap. So between two calls of `tick` nothing is missing that was not told.
 */

import { io, type Socket } from 'socket.io-client';
import type {
	ClientEvents,
	Cursor,
	Failure,
	Hello,
	History,
	HistoryRequest,
	Rates,
	RatesRequest,
	RowLife,
	RowRequest,
	ServerEvents,
	State,
	SubscribeRequest,
	TableInfo
} from '../protocol.ts';
import { Following, Refused, type SubscriptionHandlers } from './following.ts';

/** The connection between this client and the server. */
export interface Link {
	up: boolean;
	/** When `up` got its value, milliseconds since 1970. */
	since: number;
	/** Why it is down: `UNAUTHORIZED`, or what the transport says. */
	reason?: string;
}

export interface Handlers {
	/** First on every connection. */
	hello?(hello: Hello): void;
	tables?(tables: TableInfo[]): void;
	state?(state: State): void;
	link?(link: Link): void;
}

export interface Subscription {
	/** Where it would resume; null until the server accepted it. */
	readonly cursor: Cursor | null;
	close(): void;
}

export interface Options extends Handlers {
	/** Where the server asks for one; a page of the server's own needs none, its cookie speaks for it. */
	token?: string;
	/** How long a request may take, in milliseconds. */
	timeout?: number;
}

export interface Client {
	/** Follows the changes that match. A connection has one subscription: a new one replaces it. */
	subscribe(request: SubscribeRequest, handlers: SubscriptionHandlers): Subscription;
	history(request: HistoryRequest): Promise<History>;
	rates(request: RatesRequest): Promise<Rates>;
	row(request: RowRequest): Promise<RowLife>;
	close(): void;
}

const TIMEOUT = 15_000;
/** The server says its state every 2 s: a connection on which nothing comes for so long is dead. It would never tell. */
const SILENCE_MS = 4_500;
/** A line that takes longer for a large message gets up to so long, */
const MAX_SILENCE_MS = 20_000;
/** until it was well for so long. */
const WELL_MS = 60_000;
const LISTEN_MS = 500;
/** Waits before a request that came too soon after others is sent again. */
const RETRIES = [300, 1000, 3000];

/** Connects to the server at `url` (in a browser: the page's own, when empty). */
export function connect(url = '', options: Options = {}): Client {
	const { token, timeout = TIMEOUT, ...handlers } = options;
	const socket: Socket<ServerEvents, ClientEvents> = io(url, {
		transports: ['websocket', 'polling'],
		tryAllTransports: true,
		reconnectionDelay: 300,
		reconnectionDelayMax: 3000,
		timeout: 5000,
		...(token ? { auth: { token } } : {})
	});
	let epoch = '';
	let current: Following | null = null;

	socket.on('hello', (hello) => {
		epoch = hello.epoch;
		handlers.hello?.(hello);
		current?.start(epoch);
	});
	socket.on('tables', (tables) => handlers.tables?.(tables));
	socket.on('state', (state) => handlers.state?.(state));
	socket.on('tick', (message, ack) => void current?.receive(message, ack));
	socket.on('gap', (gap) => current?.missed(gap));
	socket.on('connect', () => handlers.link?.({ up: true, since: Date.now() }));
	socket.on('disconnect', (reason) => {
		current?.pause();
		handlers.link?.({ up: false, since: Date.now(), reason });
		// The server closed this one on purpose (it stops, or it drops a slow reader): come back all the same.
		if (reason === 'io server disconnect') setTimeout(() => socket.connect(), 1000);
	});
	socket.on('connect_error', (error) => {
		handlers.link?.({ up: false, since: Date.now(), reason: error.message });
		// A refusal is final for Socket.IO; a token may be set, or the server made ready, while we wait.
		if (!socket.active) setTimeout(() => socket.connect(), 3000);
	});

	let upSince = 0;
	let heardAt = 0;
	let listenedAt = 0;
	let patience = SILENCE_MS;
	socket.on('connect', () => (upSince = heardAt = Date.now()));
	socket.onAny(() => (heardAt = Date.now()));
	const listening = setInterval(() => {
		const now = Date.now();
		// A page that slept has not yet been given what arrived meanwhile.
		if (now - listenedAt > 4 * LISTEN_MS) heardAt = now;
		listenedAt = now;
		if (!socket.connected) return;
		if (now - upSince > WELL_MS) patience = SILENCE_MS;
		if (now - heardAt <= patience) return;
		patience = Math.min(2 * patience, MAX_SILENCE_MS);
		socket.io.engine.close();
	}, LISTEN_MS);

	/** Answers in the turn in which the answer arrives: a tick that comes right behind it belongs to what it accepted. */
	function ask<T extends { ok: true }>(
		event: keyof ClientEvents,
		request: object,
		done: (answer: T) => void,
		failed: (error: Error) => void,
		attempt = 0
	): void {
		const answered = (late: Error | null, answer: T | Failure) => {
			if (late) return failed(new Refused('UNAVAILABLE', 'The server did not answer in time.'));
			if (answer.ok) return done(answer);
			const { code, message } = answer.error;
			const wait = RETRIES[attempt];
			if (code !== 'RATE_LIMITED' || wait === undefined) return failed(new Refused(code, message));
			setTimeout(() => ask(event, request, done, failed, attempt + 1), wait);
		};
		// What each event takes and answers is told by the functions that use this.
		(socket.timeout(timeout) as unknown as Socket).emit(event, request, answered);
	}

	const promise = <T extends { ok: true }>(event: keyof ClientEvents, request: object) =>
		new Promise<T>((resolve, reject) => ask<T>(event, request, resolve, reject));

	return {
		subscribe(request, subscriber) {
			const following = new Following(request, subscriber, (...wanted) => ask('subscribe', ...wanted));
			current?.stop();
			current = following;
			if (socket.connected && epoch) following.start(epoch);
			return {
				get cursor() {
					return following.cursor;
				},
				close() {
					following.stop();
					if (current !== following) return;
					current = null;
					if (socket.connected) socket.emit('unsubscribe', {}, () => {});
				}
			};
		},
		history: (request) => promise<History>('history', request),
		rates: (request) => promise<Rates>('rates', request),
		row: (request) => promise<RowLife>('row', request),
		close() {
			current?.stop();
			clearInterval(listening);
			socket.close();
		}
	};
}

/**
 * The composition root: hooks Rowcast into an http server, which may be the one of Vite or of the product.
 */
import type { Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import type { Installing } from '../install.ts';
import {
	PROTOCOL_VERSION,
	STOPPED,
	type ClientEvents,
	type Hello,
	type ServerEvents,
	type State,
	type TableName
} from '../protocol.ts';
import { makeAuth, type Auth } from './auth.ts';
import type { Clock, Peer, Transport } from './delivery.ts';
import type { Past } from './export.ts';
import { makeFollower } from './follower.ts';
import { handle, type ClientSocket } from './handlers.ts';
import { makeHub, type Hub } from './hub.ts';
import { describeInstall } from './install.ts';
import { makeTurnstile } from './limits.ts';
import { makeLog, type Log } from './log.ts';
import { makeMetrics } from './metrics.ts';
import { parser } from './parser.ts';
import { describeDatabase, makePool, stoppable } from './pool.ts';
import { makeReader } from './reader.ts';
import { isoMicroseconds } from './spans.ts';
import type { Config } from './types.ts';

/** Also while nothing changes, so that a client can tell quiet from cut: ours gives up after 4.5 s of silence. */
const STATE_EVERY_MS = 2_000;
/** Far more than any message needs: what is refused for its size still gets an answer. Beyond, the connection ends. */
const MAX_FRAME = 16 * 2 ** 20;
/** How long clients have to say goodbye. */
const CLOSE_MS = 1_000;
/** Messages that may wait for a slow connection before it is counted as slow. */
const MAX_UNSENT = 2;

/** A running Rowcast. */
export interface Live {
	readonly auth: Auth;
	/** For what is not asked over a socket; whoever asks may leave. */
	past(signal: AbortSignal): Past;
	/** What watching these tables would run. */
	describeInstall(tables: 'all' | TableName[]): Promise<Installing>;
	/** Follows the database at the moment; where not, why. */
	health(): { ready: boolean; state: State };
	/** Prometheus's text format. */
	metrics(): Promise<{ contentType: string; body: string }>;
	/** Tells the clients and lets go of everything; the http server stops listening too. */
	close(): Promise<void>;
}

export interface LiveOptions {
	log?: Log;
	/** Progress for the person who started it. */
	tell?: (line: string) => void;
}

/** Starts on an http server that may not listen yet. Rejects with one clear sentence where the database cannot be used. */
export async function startLive(
	http: HttpServer,
	config: Config,
	{ log = makeLog(), tell = console.log }: LiveOptions = {}
): Promise<Live> {
	const closers: (() => Promise<unknown>)[] = [];
	const closeAll = async () => {
		for (let close = closers.pop(); close; close = closers.pop())
			await close().catch((err: unknown) => log.warn({ err }, 'stopping was not clean'));
	};
	try {
		return await compose();
	} catch (error) {
		await closeAll();
		throw error;
	}

	async function compose(): Promise<Live> {
		const demo = config.database === 'embedded' ? await import('./demo/index.ts') : null;
		const embedded = await demo?.startEmbedded(tell);
		if (embedded) closers.push(embedded.stop);
		const database = config.database === 'embedded' ? embedded! : config.database;
		const pool = makePool(database, log);
		closers.push(() => pool.end());

		let hub: Hub | undefined;
		const follower = makeFollower({
			database,
			pool,
			config: { ...config, watch: config.watch ?? (embedded ? 'all' : null) },
			log,
			viewers: () => hub?.viewers ?? 0,
			wanted: () => hub?.wanted ?? 0,
			events: {
				ticks(ticks) {
					metrics.ticks.inc(ticks.length);
					for (const { counts } of ticks) for (const { rows } of counts) metrics.changes.inc(rows);
					const done = metrics.delivery.startTimer();
					hub?.ticks(ticks);
					done();
				},
				tables: (tables) => void io.emit('tables', tables),
				state: (state) => void io.emit('state', state),
				gap: (gap) => hub?.gap(gap),
				epoch() {
					if (!hub) return;
					io.emit('hello', hello());
					hub.reset();
				}
			}
		});
		closers.push(() => follower.close());

		const metrics = makeMetrics({
			sockets: () => io.of('/').sockets.size,
			viewers: () => hub?.viewers ?? 0,
			rooms: () => hub?.rooms ?? 0,
			lagMs: () => follower.state().lagMs,
			live: () => follower.state().database === 'live',
			head: () => hub?.head ?? 0n
		});
		const auth = makeAuth(config);
		const io = makeServer(auth, config.origins);

		await follower.start();
		hub = makeHub({
			bounds: follower,
			reader: follower.reader,
			transport: makeTransport(io, metrics),
			clock,
			log,
			viewersChanged: () => follower.poke()
		});
		if (embedded) {
			const worker = demo!.startDemo(embedded.connectionString);
			closers.push(worker.stop);
		}

		const where = describeDatabase(database);
		const hello = (): Hello => ({
			protocol: PROTOCOL_VERSION,
			version: config.version,
			epoch: follower.epoch,
			database: where,
			tables: follower.catalog.tables(),
			head: String(hub!.head),
			oldest: String(follower.oldest)
		});
		const services = {
			hub,
			follower,
			readerUntil: (gone: AbortSignal) => makeReader(stoppable(pool, gone), follower.catalog),
			turnstile: makeTurnstile(),
			clock,
			log,
			answered: (event: string, outcome: string) => metrics.requests.inc({ event, outcome })
		};
		io.on('connection', (socket: ClientSocket) => {
			const peer: Peer = { id: socket.id, idle: () => socket.conn['writeBuffer'].length < MAX_UNSENT };
			socket.emit('hello', hello());
			socket.emit('state', follower.state());
			handle(socket, peer, services);
			socket.on('disconnect', () => services.hub.leave(peer));
		});
		// Last of all, for nobody may connect before there is somebody to answer.
		io.attach(http);
		const heartbeat = setInterval(() => io.volatile.emit('state', follower.state()), STATE_EVERY_MS);
		closers.push(async () => {
			clearInterval(heartbeat);
			services.hub.close();
			io.emit('state', {
				...follower.state(),
				database: 'disconnected',
				since: isoMicroseconds(Date.now()),
				message: STOPPED
			});
			// A client that no longer answers must not hold up the rest.
			await Promise.race([io.close(), new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
		});

		return {
			auth,
			past: (signal) => ({
				reader: services.readerUntil(signal),
				tables: () => follower.catalog.tables(),
				turn: services.turnstile
			}),
			describeInstall: (tables) => services.turnstile(() => describeInstall(pool, config.redact, tables)),
			health() {
				const state = follower.state();
				return { ready: state.database !== 'disconnected', state };
			},
			async metrics() {
				return { contentType: metrics.registry.contentType, body: await metrics.registry.metrics() };
			},
			close: closeAll
		};
	}
}

type IO = Server<ClientEvents, ServerEvents>;

/** Not attached to anything yet. Compression is off: it would be done anew for each socket and costs each 300 kB. */
function makeServer(auth: Auth, origins: string[]): IO {
	const io: IO = new Server({
		parser,
		serveClient: false,
		perMessageDeflate: false,
		httpCompression: false,
		maxHttpBufferSize: MAX_FRAME,
		// For what is asked by HTTP before there is a WebSocket, or instead; with the cookie, as a WebSocket has it.
		...(origins.length > 0 && { cors: { origin: origins, credentials: true } }),
		pingInterval: 10_000,
		pingTimeout: 10_000,
		allowRequest: (request, decide) => decide(null, auth.allowsOrigin(request.headers))
	});
	io.use((socket, next) => {
		const admitted = auth.admits(socket.handshake.headers) || auth.accepts(socket.handshake.auth.token);
		next(admitted ? undefined : new Error('UNAUTHORIZED'));
	});
	return io;
}

/** Broadcasts are encoded and framed once for all their sockets. */
function makeTransport(io: IO, metrics: ReturnType<typeof makeMetrics>): Transport {
	// Every socket is in a room of its own id.
	const ids = (peers: Peer[]) => peers.map(({ id }) => id);
	return {
		tick(peers, message) {
			metrics.messages.inc(peers.length);
			io.to(ids(peers)).emit('tick', message);
		},
		gap(peers, message) {
			metrics.gaps.inc({ reason: message.reason }, peers.length);
			io.to(ids(peers)).emit('gap', message);
		},
		tickAcknowledged(peer, message) {
			const socket = io.of('/').sockets.get(peer.id);
			if (!socket) return Promise.resolve(false);
			metrics.messages.inc();
			// The callback, which the socket keeps for as long as nobody calls it, does not hold the message.
			let acknowledge = () => {};
			const acknowledged = new Promise<boolean>((resolve) => (acknowledge = () => resolve(true)));
			socket.emit('tick', message, acknowledge);
			return acknowledged;
		}
	};
}

const clock: Clock = {
	now: () => performance.now(),
	after(ms, call) {
		const timer = setTimeout(call, ms);
		return () => clearTimeout(timer);
	}
};

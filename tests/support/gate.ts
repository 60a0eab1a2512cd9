/**
 * A proxy between one server and PostgreSQL that reads the protocol, so that a test can stop the world at any message:
 * before it is passed on, in either direction.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Message {
	/** Who sends it. */
	from: 'server' | 'database';
	/** Its letter in the protocol: B binds a statement, S ends a request, D is a row, Z the end of an answer … */
	type: string;
	/** The statement that it belongs to. */
	sql: string;
	/** Numbers of connections, in the order in which they were made. */
	connection: number;
}

export type Fits = (message: Message) => boolean;

export interface Gate {
	/** The address with this gate's port in place of its own. */
	through(url: string): string;
	/** Holds the first message that fits, and from then on everything that comes; resolves with it. */
	hold(fits: Fits): Promise<Message>;
	/** Resets the connection of the message that is held, which never arrives, and lets the others go on. */
	cut(): void;
	/** Watches out for nothing any more. */
	disarm(): void;
	close(): Promise<void>;
}

interface Pair {
	number: number;
	sockets: { server: Socket; database: Socket };
	/** Whole messages that wait, in the order in which they came. */
	waiting: { from: Message['from']; bytes: Buffer }[];
	/** Of a message that is not whole yet. */
	rest: Record<Message['from'], Buffer>;
	/** The first message of a server has no letter. */
	started: boolean;
	prepared: Map<string, string>;
	sql: string;
}

/** Listens on a free port of this machine and leads to `target`, the port of a cluster. */
export async function startGate(target: number): Promise<Gate> {
	const pairs = new Set<Pair>();
	let made = 0;
	let armed: { fits: Fits; resolve: (message: Message) => void } | undefined;
	let held: Pair | undefined;

	const listener = createServer({ noDelay: true }, (server) => {
		const database = connect({ port: target, host: '127.0.0.1', noDelay: true });
		const pair: Pair = {
			number: ++made,
			sockets: { server, database },
			waiting: [],
			rest: { server: Buffer.alloc(0), database: Buffer.alloc(0) },
			started: false,
			prepared: new Map(),
			sql: ''
		};
		pairs.add(pair);
		for (const from of ['server', 'database'] as const) {
			const socket = pair.sockets[from];
			socket.on('data', (chunk) => {
				const bytes = Buffer.concat([pair.rest[from], chunk]);
				pair.rest[from] = split(pair, from, bytes);
				pass(pair);
			});
			socket.on('error', () => {});
			socket.on('close', () => {
				pairs.delete(pair);
				server.destroy();
				database.destroy();
			});
		}
	});

	/** Puts whole messages among those that wait; returns what is left. */
	function split(pair: Pair, from: Message['from'], bytes: Buffer): Buffer {
		for (;;) {
			const letter = from === 'database' || pair.started ? 1 : 0;
			if (bytes.length < letter + 4) return bytes;
			const length = letter + bytes.readUInt32BE(letter);
			if (bytes.length < length) return bytes;
			pair.waiting.push({ from, bytes: bytes.subarray(0, length) });
			if (from === 'server') pair.started = true;
			bytes = bytes.subarray(length);
		}
	}

	function pass(pair: Pair): void {
		while (!held && pair.waiting.length > 0) {
			const { from, bytes } = pair.waiting[0]!;
			const message = describe(pair, from, bytes);
			if (armed?.fits(message)) {
				held = pair;
				armed.resolve(message);
				armed = undefined;
				return;
			}
			pair.waiting.shift();
			pair.sockets[from === 'server' ? 'database' : 'server'].write(bytes);
		}
	}

	function describe(pair: Pair, from: Message['from'], bytes: Buffer): Message {
		const type =
			from === 'server' && pair.sql === '' && bytes[0] === 0 ? 'start' : String.fromCharCode(bytes[0]!);
		const [first = '', second = ''] =
			from === 'server' && 'QPB'.includes(type) ? bytes.toString('utf8', 5).split('\0', 2) : [];
		if (from === 'server' && type === 'Q') pair.sql = first;
		if (from === 'server' && type === 'P') pair.prepared.set(first, (pair.sql = second));
		// A bound statement comes behind the name of its portal.
		if (from === 'server' && type === 'B') pair.sql = pair.prepared.get(second) ?? '';
		return { from, type, sql: pair.sql, connection: pair.number };
	}

	const reset = (pair: Pair) => {
		pairs.delete(pair);
		pair.waiting.length = 0;
		for (const socket of Object.values(pair.sockets)) socket.resetAndDestroy();
	};
	const gate: Gate = {
		through(url) {
			const result = new URL(url);
			result.port = String((listener.address() as AddressInfo).port);
			return result.href;
		},
		hold: (fits) => new Promise((resolve) => (armed = { fits, resolve })),
		cut() {
			if (held) reset(held);
			held = undefined;
			for (const pair of pairs) pass(pair);
		},
		disarm: () => void (armed = undefined),
		async close() {
			for (const pair of pairs) reset(pair);
			listener.close();
			await once(listener, 'close');
		}
	};
	listener.listen(0, '127.0.0.1');
	await once(listener, 'listening');
	return gate;
}

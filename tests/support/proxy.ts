/** A TCP proxy whose network can be made bad: for tests between server and database, and between browser and server. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Proxy {
	/** The address with this proxy's port in place of its own. */
	through(url: string): string;
	/** Where connections from now on lead: the port of another server on this machine. */
	target: number;
	/** Each chunk arrives so many milliseconds later. */
	delay: number;
	/** So many bytes more pass one by one: without an end, a busy machine never gets done with what is written meanwhile. */
	trickle: number;
	/** From now on nothing arrives on either side and nobody is told; new connections are accepted and stay silent. */
	silence(): void;
	/** New connections work again. Those that lost bytes stay silent, as a half-open connection does. */
	heal(): void;
	/** Ends all connections with a reset. */
	cut(): void;
	/** New connections are reset at once until `admit()`. */
	refuse(): void;
	admit(): void;
	/** Open connections from clients. */
	readonly connections: number;
	close(): Promise<void>;
}

/** Listens on a free port of this machine and leads to `target`, a port of this machine. */
export async function startProxy(target: number): Promise<Proxy> {
	const pairs = new Set<{ sockets: Socket[]; silent: boolean }>();
	let silent = false;
	let refusing = false;

	const server = createServer({ noDelay: true }, (client) => {
		client.on('error', () => {});
		if (refusing) return void client.resetAndDestroy();
		const upstream = connect({ port: proxy.target, host: '127.0.0.1', noDelay: true });
		const pair = { sockets: [client, upstream], silent };
		pairs.add(pair);
		const end = () => {
			if (pair.silent) return;
			pairs.delete(pair);
			client.destroy();
			upstream.destroy();
		};
		upstream.on('error', end);
		client.on('close', end);
		upstream.on('close', end);
		for (const [from, to] of [
			[client, upstream],
			[upstream, client]
		] as const) {
			let before = Promise.resolve();
			from.on('data', (chunk) => {
				if (pair.silent) return;
				before = before.then(() => pass(chunk, to, pair)).catch(() => {});
			});
		}
	});

	async function pass(chunk: Buffer, to: Socket, pair: { silent: boolean }): Promise<void> {
		if (proxy.delay > 0) await new Promise((resolve) => setTimeout(resolve, proxy.delay));
		for (let at = 0; at < chunk.length && !to.destroyed && !pair.silent;) {
			// Single bytes in single packets, a few hundred in a turn of the event loop.
			const length = proxy.trickle > 0 ? 1 : chunk.length - at;
			if (proxy.trickle > 0) proxy.trickle--;
			if (!to.write(chunk.subarray(at, at + length))) await once(to, 'drain');
			at += length;
			if (proxy.trickle > 0 && at % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
		}
	}

	const drop = () => {
		for (const { sockets } of pairs) for (const socket of sockets) socket.resetAndDestroy();
		pairs.clear();
	};
	const proxy: Proxy = {
		target,
		delay: 0,
		trickle: 0,
		through(url) {
			const result = new URL(url);
			result.port = String((server.address() as AddressInfo).port);
			return result.href;
		},
		silence() {
			silent = true;
			for (const pair of pairs) pair.silent = true;
		},
		heal: () => void (silent = false),
		cut: drop,
		refuse() {
			refusing = true;
			drop();
		},
		admit: () => void (refusing = false),
		get connections() {
			return pairs.size;
		},
		async close() {
			drop();
			server.close();
			await once(server, 'close');
		}
	};
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	return proxy;
}

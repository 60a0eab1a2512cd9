/** The client library against a server that does the worst that the protocol allows. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, type Socket } from 'socket.io';
import { afterEach, expect, test } from 'vitest';
import {
	connect,
	type Change,
	type Client,
	type SubscribeRequest,
	type TickMessage
} from '../../src/lib/client/index.ts';

let closers: (() => void)[] = [];
afterEach(() => {
	for (const close of closers) close();
	closers = [];
});

/** A server of one tick source; `subscribed` acts on each subscription. */
async function serve(
	subscribed: (socket: Socket, request: SubscribeRequest, answer: (a: object) => void) => void
) {
	const http = createServer().listen(0, '127.0.0.1');
	const io = new Server(http);
	closers.push(() => void io.close());
	await new Promise((resolve) => http.once('listening', resolve));
	io.on('connection', (socket) => {
		socket.emit('hello', { epoch: 'e', tables: [] });
		socket.on('subscribe', (request, answer) => subscribed(socket, request, answer));
	});
	return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

function follow(url: string, options: Parameters<typeof connect>[1] = {}) {
	const seqs: string[] = [];
	const live: Client = connect(url, options);
	closers.push(() => live.close());
	const subscription = live.subscribe(
		{ mode: 'stream' },
		{ tick: ({ changes }) => void seqs.push(...changes.map(({ seq }) => seq)) }
	);
	return { live, seqs, subscription };
}

const until = async (condition: () => boolean) => {
	for (const end = Date.now() + 12_000; !condition() && Date.now() < end;)
		await new Promise((resolve) => setTimeout(resolve, 10));
	expect(condition()).toBe(true);
};
const message = (
	from: number,
	tick: number,
	seqs: number[],
	parted: Partial<TickMessage> = {}
): TickMessage => ({
	from: `${from}`,
	tick: `${tick}`,
	at: '',
	counts: [],
	omitted: 0,
	changes: seqs.map((seq) => ({ seq: `${seq}`, tick: `${tick}` }) as Change),
	...parted
});

test('a tick right behind the answer is not missed', async () => {
	const url = await serve((socket, _, answer) => {
		answer({ ok: true, tick: '5', gap: null });
		socket.emit('tick', message(5, 6, [1, 2]), () => {});
	});
	const { seqs, subscription } = follow(url);
	await until(() => seqs.length === 2);
	expect(subscription.cursor).toEqual({ epoch: 'e', tick: '6' });
});

test('a large tick that was cut in the middle goes on behind what was given, also when it is split otherwise', async () => {
	const asked: unknown[] = [];
	const url = await serve((socket, { after }, answer) => {
		asked.push(after?.tick);
		answer({ ok: true, tick: after?.tick ?? '5', gap: null });
		if (asked.length === 1) {
			socket.emit('tick', message(5, 6, [1, 2], { part: 0, more: true }), () =>
				socket.emit('tick', message(5, 6, [3], { part: 1, more: true }), () => socket.conn.close())
			);
		} else {
			socket.emit('tick', message(5, 6, [1], { part: 0, more: true }), () =>
				socket.emit('tick', message(5, 6, [2, 3, 4], { part: 1, more: true }), () =>
					socket.emit('tick', message(5, 6, [5], { part: 2, more: false }), () => {})
				)
			);
		}
	});
	const { seqs, subscription } = follow(url);
	await until(() => subscription.cursor?.tick === '6');
	expect(seqs).toEqual(['1', '2', '3', '4', '5']);
	expect(asked).toEqual([undefined, '5']);
});

test('a large tick that was cut and comes again among others is given once', async () => {
	const asked: unknown[] = [];
	const of = (tick: number, seqs: number[]) => message(0, tick, seqs).changes;
	const url = await serve((socket, { after }, answer) => {
		asked.push(after?.tick);
		answer({ ok: true, tick: after?.tick ?? '5', gap: null });
		const merged = (from: number, tick: number, changes: Change[], parted: Partial<TickMessage> = {}) => ({
			...message(from, tick, [], parted),
			changes
		});
		// Of tick 6 first; then within ticks 6 and 7, where 2 of tick 7 lies before what was given; then by itself.
		const cut = [
			merged(5, 6, of(6, [1, 3]), { part: 0, more: true }),
			merged(5, 7, [...of(6, [1]), ...of(7, [2])], { part: 0, more: true })
		][asked.length - 1];
		if (cut) socket.emit('tick', cut, () => socket.conn.close());
		else
			socket.emit('tick', message(5, 6, [1, 3, 4]), () =>
				socket.emit('tick', message(6, 7, [2, 5]), () => {})
			);
	});
	const { seqs, subscription } = follow(url);
	await until(() => subscription.cursor?.tick === '7');
	expect(seqs).toEqual(['1', '3', '2', '4', '5']);
	expect(asked).toEqual([undefined, '5', '5']);
});

test('the ticks of a capture gap are given, also those that come behind it and over a cut', async () => {
	const asked: unknown[] = [];
	const url = await serve((socket, { after }, answer) => {
		asked.push(after?.tick);
		answer({ ok: true, tick: after?.tick ?? '5', gap: null });
		socket.emit('gap', { after: '5', until: '8', reason: 'capture' });
		if (asked.length === 1)
			socket.emit('tick', message(5, 6, [1]), () => setTimeout(() => socket.conn.close(), 50));
		else socket.emit('tick', message(6, 9, [2, 3]), () => {});
	});
	const { seqs, subscription } = follow(url);
	await until(() => subscription.cursor?.tick === '9');
	expect(seqs).toEqual(['1', '2', '3']);
	expect(asked).toEqual([undefined, '6']);
});

test('a hole is asked for again from where it was', async () => {
	const asked: unknown[] = [];
	const url = await serve((socket, { after }, answer) => {
		asked.push(after?.tick);
		answer({ ok: true, tick: after?.tick ?? '5', gap: null });
		if (asked.length === 1) socket.emit('tick', message(7, 8, [9]), () => {});
		else socket.emit('tick', message(5, 8, [8, 9]), () => {});
	});
	const { seqs } = follow(url);
	await until(() => seqs.length > 0);
	expect(seqs).toEqual(['8', '9']);
	expect(asked).toEqual([undefined, '5']);
});

test(
	'a connection on which nothing comes is given up after 4.5 s, and comes back',
	{ timeout: 15_000 },
	async () => {
		const url = await serve((_, { after }, answer) =>
			answer({ ok: true, tick: after?.tick ?? '5', gap: null })
		);
		const down: number[] = [];
		let up = 0;
		const { live } = follow(url, {
			link: (link) => (link.up ? (up = Date.now()) : down.push(Date.now() - up))
		});
		await until(() => down.length > 0);
		live.close();
		expect(down[0]).toBeGreaterThan(4_000);
		expect(down[0]).toBeLessThan(6_000);
	}
);

test('a handler is not called again before it is done, also over a cut', async () => {
	const subscribed: Socket[] = [];
	const url = await serve((socket, { after }, answer) => {
		const from = Number(after?.tick ?? 0);
		answer({ ok: true, tick: `${from}`, gap: null });
		subscribed.push(socket);
		if (from < 2) socket.emit('tick', message(from, from + 1, [from + 1]), () => {});
	});
	const live = connect(url);
	closers.push(() => live.close());
	const seen: string[] = [];
	let finish = () => {};
	live.subscribe(
		{ mode: 'stream' },
		{
			async tick({ tick }) {
				seen.push(`begin ${tick}`);
				await new Promise<void>((resolve) => (finish = resolve));
				seen.push(`end ${tick}`);
			}
		}
	);
	await until(() => seen.length === 1);
	subscribed[0]!.conn.close();
	await until(() => subscribed.length === 2);
	expect(seen).toEqual(['begin 1']);
	finish();
	await until(() => seen.length === 3);
	finish();
	await until(() => seen.length === 4);
	expect(seen).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2']);
});

test('a handler that fails ends the subscription and is told to error', async () => {
	let acknowledged = 0;
	const url = await serve((socket, _, answer) => {
		answer({ ok: true, tick: '0', gap: null });
		socket.emit('tick', message(0, 1, [1]), () => acknowledged++);
		socket.emit('tick', message(1, 2, [2]), () => acknowledged++);
	});
	const live = connect(url);
	closers.push(() => live.close());
	const seen: string[] = [];
	live.subscribe(
		{ mode: 'stream' },
		{
			async tick({ tick }) {
				seen.push(tick);
				throw new Error('no room');
			},
			error: ({ message }) => void seen.push(message)
		}
	);
	await until(() => seen.length >= 2);
	expect(seen).toEqual(['1', 'no room']);
	expect(acknowledged).toBe(0);
});

/**
 * A program of a bench: many Socket.IO clients of Rowcast, or of forwarder.js, in one process. Rows tell in their column
 * "mark" when they were sent, in us of the machine's monotonic clock.
 */
import { io } from 'socket.io-client';

/**
 * `subscriptions`: how many different ones the sockets share. In mode stream they are stalled: none acknowledges.
 * @type {{ url: string, sockets: number, subscriptions?: number, event?: 'tick' | 'change', mode?: 'feed' | 'stream' }}
 */
const {
	url,
	sockets,
	subscriptions = 1,
	event = 'tick',
	mode = 'feed'
} = JSON.parse(process.argv[2] ?? '{}');
const AT_ONCE = 50;

let messages = 0;
let bytes = 0;
/** How long each row took to each socket, in ms. @type {number[]} */
let delays = [];
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** As text: to parse it for every socket would measure this process. @param {unknown} packet */
function received(packet) {
	if (typeof packet !== 'string' || !packet.startsWith(`2["${event}"`)) return false;
	const at = now();
	messages++;
	bytes += packet.length;
	for (const [, mark] of packet.matchAll(/\\"mark\\":\s?(\d+)/g)) delays.push(at - Number(mark) / 1000);
	return true;
}

/** @param {number} i */
async function connect(i) {
	const socket = io(url, { transports: ['websocket'], reconnection: false, forceNew: true });
	const { decoder } = /** @type {any} */ (socket.io);
	const add = decoder.add.bind(decoder);
	decoder.add = (/** @type {unknown} */ packet) => received(packet) || add(packet);
	await new Promise((resolve, reject) => {
		socket.once(event === 'tick' ? 'hello' : 'connect', resolve);
		socket.once('connect_error', reject);
	});
	if (event === 'tick') {
		const answer = await socket.emitWithAck('subscribe', {
			filter: {},
			mode,
			limit: 1000 - (i % subscriptions)
		});
		if (!answer.ok) throw new Error(answer.error.message);
	}
}

let next = 0;
await Promise.all(
	Array.from({ length: AT_ONCE }, async () => {
		while (next < sockets) await connect(next++);
	})
);

/** @param {number} q */
function quantile(q) {
	return delays[Math.min(delays.length - 1, Math.floor(q * delays.length))];
}

process.on('message', (/** @type {{ request: string }} */ { request }) => {
	if (request === 'report')
		process.send?.({ messages, bytes, changes: delays.length, counted: delays.length });
	else {
		delays.sort((a, b) => a - b);
		process.send?.({ p50: quantile(0.5), p99: quantile(0.99), bytes });
		delays = [];
		bytes = 0;
	}
});
process.send?.('ready');

/** A program of a bench: many Socket.IO clients that connect again by themselves, and resume where they were. */
import { io } from 'socket.io-client';

/** @type {{ url: string, clients: number, event: 'tick' | 'change' }} */
const { url, clients, event } = JSON.parse(process.argv[2] ?? '{}');

let connections = 0;
/** What each was told of, in changes. */
const counted = new Array(clients).fill(0);

/** @param {number} i */
function client(i) {
	const socket = io(url, {
		transports: ['websocket'],
		forceNew: true,
		reconnectionDelay: 50,
		reconnectionDelayMax: 500
	});
	/** @type {{ epoch: string, tick: string } | undefined} */
	let cursor;
	let epoch = '';
	socket.on('hello', (hello) => (epoch = hello.epoch));
	socket.on('tick', ({ tick, counts }) => {
		cursor = { epoch, tick };
		for (const { rows } of counts) counted[i] += rows;
	});
	socket.on('change', () => counted[i]++);
	return new Promise((resolve) => {
		socket.on(event === 'tick' ? 'hello' : 'connect', async () => {
			if (event === 'tick') {
				const answer = await socket.emitWithAck('subscribe', { filter: {}, after: cursor });
				if (!answer.ok) throw new Error(answer.error.message);
				cursor ??= { epoch, tick: answer.tick };
			}
			connections++;
			resolve(undefined);
		});
	});
}

// Fifty at a time at first; all at once when the server comes back.
for (let i = 0; i < clients; i += 50) {
	await Promise.all(Array.from({ length: Math.min(50, clients - i) }, (_, k) => client(i + k)));
}

process.on('message', () => process.send?.({ connections, counted: Math.min(...counted) }));
process.send?.('ready');

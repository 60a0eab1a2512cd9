/** A program of a bench: a Socket.IO client that counts what it is sent, of Rowcast or of forwarder.js. */
import { io } from 'socket.io-client';

/** @type {{ url: string, filter?: object, mode?: 'feed' | 'stream', event?: 'tick' | 'change' }} */
const { url, filter = {}, mode = 'feed', event = 'tick' } = JSON.parse(process.argv[2] ?? '{}');

let changes = 0;
let counted = 0;
let messages = 0;
let bytes = 0;
/** When each marked row arrived, in ms of the machine's monotonic clock. @type {[mark: string, at: number][]} */
let arrivals = [];
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** The benches mark rows by a number in the column "mark". @param {string | null} row @param {number} at */
function arrived(row, at) {
	const mark = row && /"mark":\s?(\d+)/.exec(row)?.[1];
	if (mark) arrivals.push([mark, at]);
}

const socket = io(url, { transports: ['websocket'], reconnection: false });
socket.on('connect_error', (error) => {
	throw error;
});
socket.on('tick', (tick, acknowledge) => {
	const at = now();
	messages++;
	changes += tick.changes.length;
	for (const { rows } of tick.counts) counted += rows;
	for (const change of tick.changes) arrived(change.after, at);
	acknowledge?.();
});
socket.on('change', (payload) => {
	const at = now();
	messages++;
	changes++;
	counted++;
	arrived(payload, at);
});
await new Promise((resolve) => socket.once(event === 'tick' ? 'hello' : 'connect', resolve));
socket.io.engine.on('packet', ({ data }) => (bytes += data?.length ?? 0));
if (event === 'tick') {
	const answer = await socket.emitWithAck('subscribe', { filter, mode });
	if (!answer.ok) throw new Error(answer.error.message);
}

process.on('message', (/** @type {{ request: string }} */ { request }) => {
	if (request === 'report') process.send?.({ changes, counted, messages, bytes });
	else if (request === 'arrivals') process.send?.(arrivals);
	if (request === 'arrivals') arrivals = [];
});
process.send?.('ready');

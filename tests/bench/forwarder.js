/** A program of a bench, the alternative: LISTEN, and each notification forwarded to every socket as it is. */
import { createServer } from 'node:http';
import pg from 'pg';
import { Server } from 'socket.io';

/** @type {{ database: string, channel?: string, port?: number }} */
const { database, channel = 'changes', port: wanted = 0 } = JSON.parse(process.argv[2] ?? '{}');

const http = createServer();
const io = new Server(http, { serveClient: false });
const client = new pg.Client({ connectionString: database });
let notifications = 0;
client.on('notification', ({ payload }) => {
	notifications++;
	io.emit('change', payload);
});
await client.connect();
await client.query(`listen ${pg.escapeIdentifier(channel)}`);
await new Promise((resolve) => http.listen(wanted, '127.0.0.1', () => resolve(undefined)));
const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());

process.on('message', () => process.send?.(notifications));
process.send?.(`http://127.0.0.1:${port}`);

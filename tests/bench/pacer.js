/**
 * A program of a bench: inserts single rows at a steady rate over a few connections, each marked by a number, and tells
 * when each was sent, in ms of the machine's monotonic clock. The marks count from `from`, or are that time, in us.
 */
import pg from 'pg';

/** @type {{ url: string, connections: number, table?: string }} */
const { url, connections, table = 'entry' } = JSON.parse(process.argv[2] ?? '{}');

const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: url }));
await Promise.all(clients.map((client) => client.connect()));
const text = `insert into ${pg.escapeIdentifier(table)} (mark) values ($1)`;
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** @param {number | undefined} mark @param {pg.Client} client */
async function insert(mark, client) {
	const at = now();
	await client.query({ name: 'insert', text, values: [mark ?? Math.round(at * 1000)] });
	return at;
}

process.on('message', async (/** @type {any} */ { request, payload }) => {
	if (request === 'one') {
		process.send?.(await insert(payload.mark, /** @type {pg.Client} */ (clients[0])));
	} else {
		const { rate, seconds, from } = payload;
		/** @type {[mark: number | undefined, at: number][]} */
		const sent = [];
		const started = now();
		const total = rate * seconds;
		let next = 0;
		await Promise.all(
			clients.map(async (client) => {
				while (next < total) {
					const i = next++;
					const due = started + (i / rate) * 1000;
					// Timers are a millisecond coarse: what is due by then is sent together, over the connections.
					if (due > now()) await new Promise((resolve) => setTimeout(resolve, due - now()));
					const mark = from === 'now' ? undefined : from + i;
					sent.push([mark, await insert(mark, client)]);
				}
			})
		);
		process.send?.(sent);
	}
});
process.send?.('ready');

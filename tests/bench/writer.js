/**
 * A program of a bench, where pgbench is not installed: connections that each run a prepared transaction over and over
 * for some seconds. `:id` in its text is a random number from 1 to `ids`.
 */
import pg from 'pg';

/** @type {{ url: string, statements: string[], connections: number, seconds: number, ids: number }} */
const { url, statements, connections, seconds, ids } = JSON.parse(process.argv[2] ?? '{}');

const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: url }));
await Promise.all(clients.map((client) => client.connect()));
const prepared = statements.map((text, i) => ({
	name: `statement ${i}`,
	text: text.replaceAll(':id', '$1'),
	takes: text.includes(':id')
}));
let transactions = 0;

const started = performance.now();
const until = started + seconds * 1000;
await Promise.all(
	clients.map(async (client) => {
		while (performance.now() < until) {
			const values = [1 + Math.floor(Math.random() * ids)];
			for (const { name, text, takes } of prepared)
				await client.query({ name, text, values: takes ? values : [] });
			transactions++;
		}
	})
);
const elapsed = performance.now() - started;
await Promise.all(clients.map((client) => client.end()));
process.send?.({ transactions, tps: (transactions / elapsed) * 1000 });
process.disconnect?.();

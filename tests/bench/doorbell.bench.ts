/**
 * What it costs writers to wake the server: a NOTIFY in every transaction, as usual, and Rowcast's doorbell, which asks
 * for one only while the server sleeps. Both with a server and a viewer at work.
 */
import {
	delay,
	execute,
	median,
	round,
	serve,
	startHelper,
	untilCounted,
	withLab,
	type Helper,
	type Lab
} from './lab.ts';
import type { Tell } from './lab.ts';
import { tool, write } from './load.ts';

export const title = `Inserts of single rows, with ${tool}; ratio: to the untouched database, in the same round;
median of the rounds; wakeups: notifications that 1,000 transactions caused`;

const ROUNDS = 3;
const SECONDS = 2;
const CONNECTIONS = [1, 16];
/** So few that the leader sleeps between them. */
const FEW = { rate: 20, seconds: 2 };

const TABLE = `create table entry (
	id bigint generated always as identity primary key, mark bigint not null, amount numeric(12, 2) default 42,
	at timestamptz default now(), note text default 'a line of ordinary length')`;

interface Way {
	name: string;
	url: string;
	/** Waits until as many more changes were delivered. */
	delivered(rows: number): Promise<void>;
	stop(): Promise<void>;
}

async function untouched(lab: Lab): Promise<Way> {
	const url = await lab.database('untouched', TABLE);
	return { name: 'untouched', url, delivered: async () => {}, stop: async () => {} };
}

async function rowcast(
	lab: Lab,
	database: string,
	name: string,
	change: (url: string) => Promise<void>
): Promise<Way> {
	const url = await lab.database(database, TABLE);
	const server = await serve(url);
	await change(url);
	const viewer = await startHelper('viewer.js', { url: server.url });
	let written = 0;
	return {
		name,
		url,
		delivered: async (rows) => void (await untilCounted(viewer, (written += rows))),
		async stop() {
			await viewer.stop();
			await server.stop();
		}
	};
}

/** Takes the test of the doorbell out of the capture function: what is left rings always. */
async function alwaysRing(url: string): Promise<void> {
	const [row] = await execute(url, `select pg_get_functiondef(rowcast.capture_of('entry')) as sql`);
	const changed = row!
		.sql!.replace(
			/\s+and pg_try_advisory_lock_shared\S+ \d\) and pg_advisory_unlock_shared\S+ \d\) then/,
			' then'
		)
		.replace(/insert into rowcast/, `perform pg_notify('rowcast', '');\n$&`);
	if (changed.split('pg_notify').length !== 2 || changed.includes('pg_try_advisory_lock_shared'))
		throw new Error('The capture function has changed; so must this bench.');
	await execute(url, changed);
}

const insert = (url: string, connections: number, seconds: number) =>
	write({ url, connections, seconds, statements: ['insert into entry (mark) values (:id)'], ids: 1_000_000 });

/** Notifications per 1,000 transactions while `load` runs, which returns how many transactions it made. */
async function wakeups({ url, delivered }: Way, load: () => Promise<number>): Promise<number> {
	const listener = await startHelper('forwarder.js', { database: url, channel: 'rowcast' });
	await delay(1_500); // the leader goes to sleep
	const transactions = await load();
	await delivered(transactions);
	const rung = await listener.ask<number>('notifications');
	await listener.stop();
	return round((rung / transactions) * 1000, 1);
}

async function few({ url }: Way): Promise<number> {
	const writer: Helper = await startHelper('pacer.js', { url, connections: 1 });
	const sent = await writer.ask<unknown[]>('steady', { ...FEW, from: 0 });
	await writer.stop();
	return sent.length;
}

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const ways: Way[] = [];
		try {
			ways.push(await untouched(lab));
			ways.push(await rowcast(lab, 'every', 'NOTIFY in every transaction', alwaysRing));
			ways.push(await rowcast(lab, 'doorbell', 'doorbell', async () => {}));
			const rows = [];
			for (const connections of CONNECTIONS) {
				tell(`${connections} connections`);
				const figures = ways.map((): number[] => []);
				for (let i = 0; i < ROUNDS; i++) {
					for (let k = 0; k < ways.length; k++) {
						const turn = (i + k) % ways.length;
						const { tps, transactions } = await insert(ways[turn]!.url, connections, SECONDS);
						await ways[turn]!.delivered(transactions);
						figures[turn]!.push(tps);
					}
				}
				for (const [turn, way] of ways.entries()) {
					const load = async () => (await insert(way.url, connections, 1)).transactions;
					rows.push({
						way: way.name,
						load: `as fast as ${connections} can`,
						tps: round(median(figures[turn]!), 0),
						ratio: round(median(figures[turn]!.map((tps, i) => tps / figures[0]![i]!)), 3),
						wakeups: turn === 0 ? null : await wakeups(way, load)
					});
				}
			}
			tell(`${FEW.rate} a second`);
			for (const way of ways.slice(1)) {
				rows.push({
					way: way.name,
					load: `${FEW.rate} a second`,
					tps: FEW.rate,
					ratio: 1,
					wakeups: await wakeups(way, () => few(way))
				});
			}
			return { tool, rows };
		} finally {
			for (const way of ways) await way.stop();
		}
	});
}

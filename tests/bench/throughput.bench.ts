/**
 * How many changes a second go all the way to a client: written as fast as the database takes them, counted as
 * delivered once the client was told of the last. How far behind is measured by rows that another connection inserts
 * at a steady rate into a table of its own. Beside it a trigger's bare pg_notify, forwarded by a minimal server.
 */
import { NOTIFY } from './captures.ts';
import { megabytes } from './cpu.ts';
import {
	delays,
	execute,
	median,
	quantile,
	round,
	serve,
	startHelper,
	untilCounted,
	withLab
} from './lab.ts';
import type { Helper, Lab, Sent, Tell } from './lab.ts';
import { tool, write } from './load.ts';

export const title = `Changes a second to a Socket.IO client, with ${tool}; p50, p99: ms behind; MB: of the server, before and after`;

const ROUNDS = 3;
const SECONDS = 4;
const BEATS = 50;
const BATCH = 50;

const TABLES = `
	create table entry (
		id bigint generated always as identity primary key, account int not null, amount numeric(12, 2) default 42,
		at timestamptz default now(), note text default 'a line of ordinary length');
	create table beat (mark bigint)`;

const LOADS = [
	{ load: 'single rows', connections: 16, rows: 1, statements: ['insert into entry (account) values (:id)'] },
	{
		load: `transactions of ${BATCH} rows`,
		connections: 4,
		rows: BATCH,
		statements: [`insert into entry (account) select :id + i from generate_series(1, ${BATCH}) i`]
	}
];

interface Way {
	name: string;
	url: string;
	pid: number;
	/** Those of `entry`, and those of `beat`. */
	viewers(): Promise<[Helper, Helper]>;
	stop(): Promise<unknown>;
}

async function rowcast(lab: Lab): Promise<Way[]> {
	const url = await lab.database('rowcast', TABLES);
	const server = await serve(url);
	const viewer = (table: string, mode: string) =>
		startHelper('viewer.js', { url: server.url, mode, filter: { tables: [{ schema: 'public', table }] } });
	return ['feed', 'stream'].map((mode) => ({
		name: `rowcast, ${mode}`,
		url,
		pid: server.process.pid!,
		viewers: () => Promise.all([viewer('entry', mode), viewer('beat', mode)]),
		stop: () => server.stop()
	}));
}

async function notify(lab: Lab): Promise<Way> {
	const url = await lab.database('notify', TABLES);
	const forwarder = await startHelper('forwarder.js', { database: url });
	await execute(url, NOTIFY(['entry', 'beat']));
	return {
		name: 'pg_notify',
		url,
		pid: forwarder.process.pid!,
		async viewers() {
			// It knows no filters: one client gets both.
			const viewer = await startHelper('viewer.js', { url: forwarder.ready, event: 'change' });
			return [viewer, viewer];
		},
		stop: () => forwarder.stop()
	};
}

interface Figure {
	changes: number;
	p50: number;
	p99: number;
	before: number;
	after: number;
}

let marks = 0;

async function measure(way: Way, { connections, rows, statements }: (typeof LOADS)[number]): Promise<Figure> {
	const [viewer, watcher] = await way.viewers();
	const pacer = await startHelper('pacer.js', { url: way.url, connections: 2, table: 'beat' });
	const before = megabytes(way.pid);
	const started = performance.now();
	const from = (marks += BEATS * SECONDS);
	const beating = pacer.ask<Sent[]>('steady', { rate: BEATS, seconds: SECONDS, from });
	const { transactions } = await write({
		url: way.url,
		connections,
		seconds: SECONDS,
		statements,
		ids: 1_000_000
	});
	const sent = await beating;
	const written = transactions * rows + (viewer === watcher ? sent.length : 0);
	await untilCounted(viewer, written, 60_000);
	const elapsed = (performance.now() - started) / 1000;
	const after = megabytes(way.pid);
	const behind = await delays(watcher, sent);
	for (const helper of new Set([pacer, viewer, watcher])) await helper.stop();
	return {
		changes: (transactions * rows) / elapsed,
		p50: quantile(behind, 0.5),
		p99: quantile(behind, 0.99),
		before,
		after
	};
}

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const ways = [...(await rowcast(lab)), await notify(lab)];
		try {
			const result = [];
			for (const load of LOADS) {
				tell(load.load);
				const figures = ways.map((): Figure[] => []);
				for (let i = 0; i < ROUNDS; i++) {
					for (let k = 0; k < ways.length; k++) {
						const turn = (i + k) % ways.length;
						figures[turn]!.push(await measure(ways[turn]!, load));
					}
				}
				for (const [turn, { name }] of ways.entries()) {
					const of = (column: keyof Figure) =>
						round(median(figures[turn]!.map((figure) => figure[column])), 0);
					result.push({
						path: name,
						load: load.load,
						changes: of('changes'),
						p50: of('p50'),
						p99: of('p99'),
						'MB before': of('before'),
						'MB after': of('after')
					});
				}
			}
			return { tool, rows: result };
		} finally {
			for (const way of ways) await way.stop();
		}
	});
}

/**
 * A server dies with all its clients, and comes back: how long until every client is connected again and was told of
 * all that was written meanwhile, and what that asks of the database. Beside it a trigger's bare pg_notify, which
 * has no memory.
 */
import { freePort } from '../../src/lib/server/embedded.ts';
import { databaseUrl, withClient } from '../support/postgres.ts';
import { NOTIFY } from './captures.ts';
import {
	delay,
	execute,
	median,
	round,
	serve,
	startHelper,
	withLab,
	type Helper,
	type Lab,
	type Tell
} from './lab.ts';

export const title = `Clients that come back all at once; seconds: from the server's start until all are current;
transactions: the server's own in the database meanwhile, those for following the writers included; lost: changes that a client was never told of`;

const ROUNDS = 3;
const LOAD = { rate: 200, seconds: 1 };
/** What is not there after so long is lost. */
const PATIENCE_S = 30;
const CLIENTS = [1, 1_000];

const TABLE = 'create table entry (id bigint generated always as identity primary key, mark bigint not null)';

interface Way {
	name: string;
	url: string;
	event: 'tick' | 'change';
	start(port: number): Promise<{ stop(signal?: NodeJS.Signals): Promise<unknown> }>;
}

async function rowcast(lab: Lab): Promise<Way> {
	const url = await lab.database('rowcast', TABLE);
	return { name: 'rowcast', url, event: 'tick', start: (port) => serve(url, { PORT: String(port) }) };
}

async function notify(lab: Lab): Promise<Way> {
	const url = await lab.database('notify', TABLE);
	await execute(url, NOTIFY(['entry']));
	const start = (port: number) => startHelper('forwarder.js', { database: url, port });
	return { name: 'pg_notify', url, event: 'change', start };
}

interface Figure {
	seconds: number;
	transactions: number;
	lost: number;
}

interface Report {
	connections: number;
	counted: number;
}

async function measure(way: Way, clients: number): Promise<Figure> {
	const port = await freePort();
	const { rate, seconds } = LOAD;
	async function write(): Promise<void> {
		const pacer = await startHelper('pacer.js', { url: way.url, connections: 2 });
		await pacer.ask('steady', { ...LOAD, from: 0 });
		await pacer.stop();
	}
	const first = await way.start(port);
	const herd = await startHelper('herd.js', { url: `http://127.0.0.1:${port}`, clients, event: way.event });
	await write();
	await until(herd, (report) => report.counted === rate * seconds);
	await first.stop('SIGKILL');
	await write();
	const before = await transactions(way.url);
	const second = await way.start(port);
	const started = performance.now();
	// On with the writing, as in life.
	const writing = write();
	await until(herd, ({ connections }) => connections === 2 * clients);
	const current = ({ counted }: Report) => counted === 3 * rate * seconds;
	const report = await until(herd, current, way.event === 'tick' ? PATIENCE_S : 2);
	const elapsed = (performance.now() - started) / 1000;
	await writing;
	await herd.stop();
	await second.stop();
	const own = (await transactions(way.url)) - before - rate * seconds;
	return { seconds: elapsed, transactions: own, lost: 3 * rate * seconds - report.counted };
}

async function until(
	herd: Helper,
	condition: (report: Report) => boolean,
	patience = PATIENCE_S
): Promise<Report> {
	for (const deadline = Date.now() + patience * 1000; ; await delay(20)) {
		const report = await herd.ask<Report>('report');
		if (condition(report) || Date.now() > deadline) return report;
	}
}

/** So far, in this database (a notification that is heard is one). A connection that has ended has told all of its own. */
async function transactions(url: string): Promise<number> {
	return withClient(databaseUrl(url, 'postgres'), async (client) => {
		const name = decodeURIComponent(new URL(url).pathname.slice(1));
		for (;;) {
			const { rows } = await client.query(
				`select xact_commit, (select count(*) from pg_stat_activity where datname = $1) as connections
				from pg_stat_database where datname = $1`,
				[name]
			);
			if (rows[0].connections === '0') return Number(rows[0].xact_commit);
			await delay(50);
		}
	});
}

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const ways = [await rowcast(lab), await notify(lab)];
		const figures = new Map<string, Figure[]>();
		for (let i = 1; i <= ROUNDS; i++) {
			tell(`round ${i} of ${ROUNDS}`);
			for (const way of ways) {
				for (const clients of CLIENTS) {
					const key = `${way.name}/${clients}`;
					figures.set(key, [...(figures.get(key) ?? []), await measure(way, clients)]);
				}
			}
		}
		return {
			rows: [...figures].map(([key, all]) => {
				const [path, clients] = key.split('/');
				const of = (column: keyof Figure) => round(median(all.map((figure) => figure[column])));
				return {
					path: path!,
					clients: Number(clients),
					// Never, where something is lost.
					seconds: of('lost') > 0 ? null : of('seconds'),
					transactions: of('transactions'),
					lost: of('lost')
				};
			})
		};
	});
}

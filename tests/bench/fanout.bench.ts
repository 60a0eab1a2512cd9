/**
 * Many clients: how much later than the first does the last get a change, and what does each cost. A steady load of
 * single-row transactions; all sockets in one process. Beside it a trigger's bare pg_notify, forwarded to all.
 */
import { NOTIFY } from './captures.ts';
import { cpuOf, megabytes } from './cpu.ts';
import {
	execute,
	median,
	round,
	serve,
	startHelper,
	untilCounted,
	withLab,
	type Helper,
	type Lab,
	type Tell
} from './lab.ts';

const ROUNDS = 3;
const RATE = 200;
const SECONDS = 2;

export const title = `Fan-out of ${RATE} changes a second; p50, p99: ms from the INSERT sent to each client; subscriptions: different ones;
kB, bytes/s: of memory and of traffic for each socket; cpu: of the server, in % of one processor`;

const TABLE = `create table entry (
	id bigint generated always as identity primary key, mark bigint not null, amount numeric(12, 2) default 42,
	at timestamptz default now(), note text default 'a line of ordinary length')`;

/** The forwarder sends a message for each change to each socket: 1,000 of them occupy it whole. */
const SIZES = [
	{ sockets: 1, subscriptions: 1, notify: true },
	{ sockets: 100, subscriptions: 1, notify: true },
	{ sockets: 100, subscriptions: 1, notify: false, stalled: 100 },
	{ sockets: 1_000, subscriptions: 1, notify: true },
	{ sockets: 1_000, subscriptions: 100, notify: false },
	{ sockets: 5_000, subscriptions: 1, notify: false }
];

interface Way {
	name: string;
	pid: number;
	/** What crowd.js is to connect to. */
	crowd: { url: unknown; event: 'tick' | 'change' };
	pacer: Helper;
	/** Readers in mode stream that never acknowledge. */
	stalled?: number;
	stop(): Promise<unknown>;
}

async function rowcast(lab: Lab): Promise<Way> {
	const url = await lab.database('rowcast', TABLE);
	const server = await serve(url);
	return {
		name: 'rowcast',
		pid: server.process.pid!,
		crowd: { url: server.url, event: 'tick' },
		pacer: await startHelper('pacer.js', { url, connections: 4 }),
		stop: () => server.stop()
	};
}

async function notify(lab: Lab): Promise<Way> {
	const url = await lab.database('notify', TABLE);
	await execute(url, NOTIFY(['entry']));
	const forwarder = await startHelper('forwarder.js', { database: url });
	return {
		name: 'pg_notify',
		pid: forwarder.process.pid!,
		crowd: { url: forwarder.ready, event: 'change' },
		pacer: await startHelper('pacer.js', { url, connections: 4 }),
		stop: () => forwarder.stop()
	};
}

interface Figure {
	p50: number;
	p99: number;
	bytes: number;
	cpu: number;
}

async function measure(
	{ pid, pacer, stalled, crowd: to }: Way,
	crowd: Helper,
	sockets: number
): Promise<Figure> {
	const beside = stalled && (await startHelper('crowd.js', { ...to, mode: 'stream', sockets: stalled }));
	const started = performance.now();
	const cpu = cpuOf(pid);
	await pacer.ask('steady', { rate: RATE, seconds: SECONDS, from: 'now' });
	await untilCounted(crowd, RATE * SECONDS * sockets, 60_000);
	const elapsed = (performance.now() - started) / 1000;
	const used = cpuOf(pid) - cpu;
	if (beside) await beside.stop();
	const { p50, p99, bytes } = await crowd.ask<Figure>('delays');
	return { p50, p99, bytes: bytes / sockets / elapsed, cpu: (used / elapsed) * 100 };
}

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const ways = [await rowcast(lab), await notify(lab)];
		try {
			const rows = [];
			for (const { sockets, subscriptions, notify, stalled } of SIZES) {
				tell(`${sockets} sockets, ${subscriptions} subscriptions`);
				const chosen = ways.slice(0, notify ? 2 : 1);
				if (stalled) chosen.push({ ...ways[0]!, name: `rowcast, ${stalled} stalled beside`, stalled });
				const crowds: Helper[] = [];
				const kB: number[] = [];
				for (const { pid, crowd } of chosen) {
					const before = megabytes(pid);
					crowds.push(await startHelper('crowd.js', { ...crowd, sockets, subscriptions }));
					kB.push(((megabytes(pid) - before) * 1024) / sockets);
				}
				const figures = chosen.map((): Figure[] => []);
				for (let i = 0; i < ROUNDS; i++) {
					for (const [k, way] of chosen.entries()) figures[k]!.push(await measure(way, crowds[k]!, sockets));
				}
				for (const [k, { name }] of chosen.entries()) {
					const of = (column: keyof Figure) => round(median(figures[k]!.map((figure) => figure[column])), 1);
					const [p50, p99, cpu] = [of('p50'), of('p99'), of('cpu')];
					rows.push({
						path: name,
						sockets,
						subscriptions,
						p50,
						p99,
						kB: round(kB[k]!, 1),
						'bytes/s': of('bytes'),
						cpu
					});
				}
				for (const crowd of crowds) await crowd.stop();
			}
			return { rows };
		} finally {
			for (const way of ways) {
				await way.pacer.stop();
				await way.stop();
			}
		}
	});
}

/**
 * How long a change takes to a Socket.IO client, from the moment its INSERT is sent to the database: while little
 * happens, and at 1,000 changes a second. Beside it a trigger's bare pg_notify, forwarded by a minimal server.
 */
import { NOTIFY } from './captures.ts';
import {
	delay,
	delays,
	execute,
	median,
	quantile,
	round,
	serve,
	startHelper,
	withLab,
	type Helper,
	type Lab,
	type Sent
} from './lab.ts';
import type { Tell } from './lab.ts';

export const title =
	'Latency in ms, from the INSERT sent to the row in a Socket.IO client; median of the rounds, percentiles within each';

const ROUNDS = 3;
const IDLE_SAMPLES = 35;
const RATE = 1_000;
const SECONDS = 3;

const TABLE = `create table entry (
	id bigint generated always as identity primary key, mark bigint not null, amount numeric(12, 2) default 42,
	at timestamptz default now(), note text default 'a line of ordinary length')`;

interface Path {
	name: string;
	viewer: Helper;
	writer: Helper;
	stop(): Promise<void>;
}

async function rowcast(lab: Lab): Promise<Path> {
	const url = await lab.database('rowcast', TABLE);
	const server = await serve(url);
	const viewer = await startHelper('viewer.js', { url: server.url });
	return path('rowcast', url, viewer, async () => void (await server.stop()));
}

async function notify(lab: Lab): Promise<Path> {
	const url = await lab.database('notify', TABLE);
	const forwarder = await startHelper('forwarder.js', { database: url });
	await execute(url, NOTIFY(['entry']));
	const viewer = await startHelper('viewer.js', { url: forwarder.ready, event: 'change' });
	return path('pg_notify', url, viewer, () => forwarder.stop());
}

async function path(name: string, url: string, viewer: Helper, stop: () => Promise<void>): Promise<Path> {
	const writer = await startHelper('pacer.js', { url, connections: 4 });
	return {
		name,
		viewer,
		writer,
		async stop() {
			await writer.stop();
			await viewer.stop();
			await stop();
		}
	};
}

let marks = 0;

/** Single inserts, now by one path and now by the other, 150 to 400 ms apart on each. */
async function idle(paths: Path[]): Promise<number[][]> {
	const sent = paths.map((): Sent[] => []);
	await delay(1_500); // Rowcast's leader goes to sleep
	for (let i = 0; i < IDLE_SAMPLES; i++) {
		for (const [k, { writer }] of paths.entries()) {
			await delay((150 + Math.random() * 250) / paths.length);
			const mark = marks++;
			sent[k]!.push([mark, await writer.ask<number>('one', { mark })]);
		}
	}
	return Promise.all(paths.map((path, k) => delays(path.viewer, sent[k]!)));
}

async function steady(path: Path): Promise<number[]> {
	const from = marks;
	marks += RATE * SECONDS;
	const sent = await path.writer.ask<Sent[]>('steady', { rate: RATE, seconds: SECONDS, from });
	return delays(path.viewer, sent);
}

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const paths = [await rowcast(lab), await notify(lab)];
		try {
			const figures: Record<string, number[][]> = {};
			const note = (path: Path, load: string, ms: number[]) =>
				(figures[`${path.name}/${load}`] ??= []).push(ms);
			for (let i = 1; i <= ROUNDS; i++) {
				tell(`round ${i} of ${ROUNDS}`);
				const quiet = await idle(paths);
				paths.forEach((path, k) => note(path, 'idle', quiet[k]!));
				for (const path of paths) note(path, `${RATE} a second`, await steady(path));
			}
			return {
				rows: Object.entries(figures).map(([key, rounds]) => {
					const [path, load] = key.split('/') as [string, string];
					const of = (q: number) => round(median(rounds.map((ms) => quantile(ms, q))));
					return { path, load, samples: rounds.flat().length, p50: of(0.5), p95: of(0.95), p99: of(0.99) };
				})
			};
		} finally {
			for (const path of paths) await path.stop();
		}
	});
}

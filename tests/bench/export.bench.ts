/** A log taken along as a file: how long it takes, what the server needs for it, and how soon a cancelled one ends. */
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { delay, execute, round, serve, withLab, type Tell } from './lab.ts';
import { writePast } from './past.ts';

export const title = 'Exports of a log of 1,000,000 changes, and the memory of the server meanwhile';

const PAST = { changes: 1_000_000, ticks: 200_000 };
const SAMPLE_MS = 50;
/** A slow reader takes so much at a time, and waits. */
const SIP = 65_536;
const SIP_MS = 100;
const SIPS_MS = 15_000;

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const url = await lab.database('past', 'select');
		tell('writing a day of changes');
		await writePast(url, PAST);
		const server = await serve(url, { ROWCAST_RETENTION: '10d' });
		const rss = () =>
			Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))![1]) / 1024;
		const rows: Record<string, string | number>[] = [];

		async function measure(what: string, use: () => Promise<Record<string, string | number>>) {
			tell(what);
			const before = rss();
			let peak = before;
			const sampling = setInterval(() => (peak = Math.max(peak, rss())), SAMPLE_MS);
			const started = performance.now();
			const found = await use();
			clearInterval(sampling);
			rows.push({
				what,
				seconds: round((performance.now() - started) / 1000, 1),
				...found,
				rssBefore: Math.round(before),
				rssPeak: Math.round(peak)
			});
		}

		const whole = (query: string) => async () => {
			const response = await open(`${server.url}/export?${query}`);
			let [bytes, lines] = [0, 0];
			for await (const chunk of response as AsyncIterable<Buffer>) {
				bytes += chunk.length;
				for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
			}
			return { lines, MB: round(bytes / 1e6, 1) };
		};
		await measure('NDJSON, everything', whole('format=ndjson'));
		await measure('CSV, everything', whole('format=csv'));
		await measure('CSV of the largest table', whole('format=csv&table=public.book'));
		await measure('NDJSON, price>99', whole(`q=${encodeURIComponent('price>99')}`));

		await measure('a reader of 640 kB/s, for a while', async () => {
			const response = await open(`${server.url}/export`);
			let bytes = 0;
			for (const end = performance.now() + SIPS_MS; performance.now() < end; await delay(SIP_MS)) {
				bytes += (response.read(SIP) as Buffer | null)?.length ?? 0;
			}
			response.destroy();
			return { MB: round(bytes / 1e6, 1) };
		});

		for (const [what, query] of [
			['cancelled in the middle', ''],
			['cancelled while nothing is found', `q=${encodeURIComponent('title:"no such title"')}`]
		] as const)
			await measure(what, async () => {
				const stop = new AbortController();
				const asked = open(`${server.url}/export?${query}`, stop.signal);
				asked.then((response) => response.on('error', () => {}).resume()).catch(() => {});
				await delay(1_500);
				stop.abort();
				const aborted = performance.now();
				// Quiet for as long as any page takes.
				let quiet = performance.now();
				while (performance.now() - quiet < 1_000 && performance.now() - aborted < 60_000) {
					const [busy] = await execute(
						lab.url('postgres'),
						`select count(*) from pg_stat_activity where datname = 'past' and state = 'active' and query ~ 'between|tick_count c'`
					);
					if (Number(busy!.count) > 0) quiet = performance.now();
				}
				return { endedAfterMs: Math.round(quiet - aborted) };
			});
		await server.stop();
		return { rows };
	});
}

async function open(url: string, signal?: AbortSignal): Promise<IncomingMessage> {
	const request = get(url, { signal });
	request.on('error', () => {});
	const [response] = await once(request, 'response');
	return response;
}

/**
 * What the page costs the person who leaves it open: frames, the longest task, memory, and how old a row is when it is
 * painted, at three paces of writing. Beside it the same browser with an empty page, which is what the machine can do.
 */
import { chromium, type Browser, type Page } from '@playwright/test';
import pg from 'pg';
import { findBrowser } from '../support/browser.ts';
import { delay, execute, quantile, round, serve, withLab, type Tell } from './lab.ts';

export const title =
	'The page in Chromium: frames a second, longest task (ms), heap (MB), commit to painted (ms)';

const PACES = [100, 1_000, 10_000];
const SECONDS = Number(process.env.BENCH_SECONDS ?? 60);

interface Seen {
	fps: number;
	longest: number;
	heap: [start: number, end: number];
	delays: number[];
}

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const url = await lab.database(
			'page',
			'create table entry (id int primary key, n int not null, note text)'
		);
		await execute(
			url,
			`insert into entry select n, 0, 'a line of ordinary length' from generate_series(1, 20000) n`
		);
		const server = await serve(url);
		const browser = await chromium.launch({
			executablePath: findBrowser(),
			args: ['--no-sandbox', '--enable-precise-memory-info', '--js-flags=--expose-gc']
		});
		try {
			const rows = [row('an empty page', 0, 0, await watch(browser, 'about:blank', async () => 0))];
			for (const pace of PACES) {
				let written = 0;
				const seen = await watch(browser, server.url, async () => (written = await write(url, pace)));
				if (seen.delays.length === 0) throw new Error('The page showed no change.');
				rows.push(row('rowcast', pace, written / SECONDS, seen));
				tell(`${pace}/s: ${JSON.stringify(rows.at(-1))}`);
			}
			return { rows, seconds: SECONDS };
		} finally {
			await browser.close();
			await server.stop();
		}
	});
}

function row(name: string, pace: number, written: number, { fps, longest, heap, delays }: Seen) {
	return {
		name,
		asked: pace,
		written: round(written),
		fps: round(fps),
		longest: round(longest),
		'heap start': round(heap[0]),
		'heap end': round(heap[1]),
		p50: delays.length > 0 ? round(quantile(delays, 0.5)) : null,
		p99: delays.length > 0 ? round(quantile(delays, 0.99)) : null
	};
}

/** Updates rows at this pace, in transactions of one row, or of as many as keep below 500 transactions a second. */
async function write(url: string, pace: number): Promise<number> {
	const batch = Math.ceil(pace / 500);
	const client = new pg.Client({ connectionString: url });
	await client.connect();
	const started = Date.now();
	let written = 0;
	while (Date.now() - started < SECONDS * 1000) {
		if (written + batch > ((Date.now() - started) / 1000) * pace) {
			await delay(2);
			continue;
		}
		const first = 1 + Math.floor(Math.random() * (20_000 - batch));
		await client.query('update entry set n = n + 1 where id >= $1 and id < $2', [first, first + batch]);
		written += batch;
	}
	await client.end();
	return written;
}

/** Watches the page from within while `work` goes on, once it has settled. */
async function watch(browser: Browser, url: string, work: () => Promise<number>): Promise<Seen> {
	const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
	try {
		await page.goto(url);
		await delay(2000);
		await page.evaluate(observe);
		if (url === 'about:blank') await delay(5000);
		await work();
		return await report(page);
	} finally {
		await page.close();
	}
}

interface Observed {
	frames: number;
	started: number;
	longest: number;
	heap: number;
	delays: number[];
}

/** Runs in the page. */
function observe() {
	const { gc, performance: clock } = window as unknown as {
		gc(): void;
		performance: Performance & { memory: { usedJSHeapSize: number } };
	};
	gc();
	const seen: Observed = {
		frames: 0,
		started: clock.now(),
		longest: 0,
		heap: clock.memory.usedJSHeapSize,
		delays: []
	};
	(window as unknown as { observed: Observed }).observed = seen;
	const frame = () => {
		seen.frames++;
		requestAnimationFrame(frame);
	};
	requestAnimationFrame(frame);
	new PerformanceObserver((list) => {
		for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
	}).observe({ type: 'longtask' });
	new MutationObserver((records) => {
		const times = records.flatMap(({ addedNodes }) =>
			[...addedNodes].flatMap((node) =>
				node instanceof Element ? (node.querySelector('time')?.getAttribute('datetime') ?? []) : []
			)
		);
		// What was added is painted by the end of the next frame.
		requestAnimationFrame(() =>
			setTimeout(() => {
				for (const time of times) seen.delays.push(Date.now() - Date.parse(time));
			})
		);
	}).observe(document.querySelector('.lines') ?? document.body, { childList: true });
}

async function report(page: Page): Promise<Seen> {
	return page.evaluate(() => {
		const { observed, gc } = window as unknown as { observed: Observed; gc(): void };
		const seconds = (performance.now() - observed.started) / 1000;
		gc();
		const { memory } = performance as unknown as { memory: { usedJSHeapSize: number } };
		return {
			fps: observed.frames / seconds,
			longest: observed.longest,
			heap: [observed.heap / 1e6, memory.usedJSHeapSize / 1e6] as [number, number],
			delays: observed.delays
		};
	});
}

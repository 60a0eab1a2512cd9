/** How long the past takes to answer, over a day of 2,000,000 changes in 400,000 ticks, with the plans behind it. */
import pg from 'pg';
import pino from 'pino';
import type { Filter } from '../../src/lib/protocol.ts';
import { piecesOf } from '../../src/lib/pieces.ts';
import { makeCatalog } from '../../src/lib/server/catalog.ts';
import { makePool } from '../../src/lib/server/pool.ts';
import { makeReader } from '../../src/lib/server/reader.ts';
import { quantile, round, withLab, type Tell } from './lab.ts';
import { writePast } from './past.ts';

export const title =
	'History over 2,000,000 changes, in ms as the server waits for it; the first run apart, then the median and the slowest of 9';

const PAST = { changes: 2_000_000, ticks: 400_000 };
const ROUNDS = 9;
const tables = (...names: string[]) => names.map((table) => ({ schema: 'public', table }));

export async function run(tell: Tell) {
	return withLab(async (lab) => {
		const url = await lab.database('past', 'select');
		tell('writing a day of changes');
		await writePast(url, PAST);
		const pool = makePool({ connectionString: url }, pino({ level: 'silent' }));
		const catalog = makeCatalog(pool);
		await catalog.refresh();
		tell('what the leader does by and by: sums over time, an index of rows for closed leaves');
		const work = await prepare(url);
		const queries = watch(pool);
		const reader = makeReader(pool, catalog);
		const { head, oldest } = await reader.bounds();
		const page =
			(filter: Filter, order: 'asc' | 'desc' = 'desc', after = oldest, limit = 200) =>
			() =>
				reader.changes({ filter, after, until: head, order, limit }).then(({ changes }) => changes.length);
		const to = new Date().toISOString();
		const from = new Date(Date.now() - 86_400_000).toISOString();
		const rates = (buckets: number, filter: Filter) => () =>
			reader.rates({ from, to, buckets, filter }).then(({ series }) => series.length);
		/** As the dashboard counts what matches a condition. */
		const matches = (where: string) => async () => {
			const time = { from: new Date(Date.now() - 3_600_000).toISOString(), to, buckets: 120 };
			const sums = await reader.rates({ ...time, filter: {} });
			let rows = 0;
			for (const piece of piecesOf(sums)) {
				const { series } = await reader.rates({ ...piece, filter: { where }, until: sums.tick });
				for (const { rows: counts } of series) rows += counts.reduce((a, b) => a + b);
			}
			return rows;
		};
		const life = (table: string, id: string) => () =>
			reader.row({ schema: 'public', table, key: { id }, limit: 200 }).then(({ changes }) => changes.length);

		const asked: [question: string, ask: () => Promise<number>][] = [
			['first page, all tables', page({})],
			['first page, a table with 1,200,000 changes', page({ tables: tables('book') })],
			['first page, a table with 400 changes', page({ tables: tables('voucher') })],
			['first page, table and price>50', page({ tables: tables('book'), where: 'price>50' })],
			['first page, table and price>99 (1 in 100)', page({ tables: tables('book'), where: 'price>99' })],
			['first page, table and title~"*99 gor*"', page({ tables: tables('book'), where: 'title~"*99 gor*"' })],
			['first page, rare table and id<1000', page({ tables: tables('voucher'), where: 'id<1000' })],
			['rates of a day in 60 buckets', rates(60, {})],
			['rates of a day in 300 buckets', rates(300, {})],
			['rates of a day in 1,000 buckets', rates(1000, {})],
			['rates of a day in 300 buckets, one table', rates(300, { tables: tables('voucher') })],
			['what of an hour, 83,000 changes, matches price>50', matches('price>50')],
			['what of an hour, 83,000 changes, matches price>99', matches('price>99')],
			["one row's life, of the largest table", life('book', '77')],
			["one row's life, of the rarest table", life('voucher', '77')],
			['replay starts at the beginning: 1,000 changes', page({}, 'asc', oldest, 1000)],
			['replay starts in the middle: 1,000 changes', page({}, 'asc', head / 2n, 1000)]
		];
		const rows = [];
		const plans: Record<string, string[]> = {};
		for (const [question, ask] of asked) {
			tell(question);
			queries.length = 0;
			const first = await timed(ask);
			plans[question] = await explain(pool, queries.splice(0));
			const times: number[] = [];
			for (let i = 0; i < ROUNDS; i++) times.push((await timed(ask)).ms);
			rows.push({
				question,
				answers: first.answer,
				first: round(first.ms, 1),
				median: round(quantile(times, 0.5), 1),
				slowest: round(Math.max(...times), 1)
			});
		}
		rows.push({ question: '60x replay reads a minute of the busiest', ...(await replay(reader, head)) });
		await pool.end();
		for (const [question, plan] of Object.entries(plans)) console.log(`\n${question}\n${plan.join('\n')}`);
		return { rows, work };
	});
}

async function timed(ask: () => Promise<number>): Promise<{ answer: number; ms: number }> {
	const started = performance.now();
	const answer = await ask();
	return { answer, ms: performance.now() - started };
}

/** At 60x a second of replay is a minute of the past: as pages of 1,000 changes, one after the other. */
async function replay(reader: ReturnType<typeof makeReader>, head: bigint) {
	const times: number[] = [];
	let answers = 0;
	for (let minute = 1n; minute <= 10n; minute++) {
		const [after, until] = [(head * minute) / 12n, (head * minute) / 12n + BigInt(PAST.ticks) / 1440n];
		const { ms } = await timed(async () => {
			for (let from; ;) {
				const page = await reader.changes({
					filter: {},
					after,
					until,
					order: 'asc',
					limit: 1000,
					...(from && { from })
				});
				answers += page.changes.length;
				if (!(from = page.next ?? undefined)) return 0;
			}
		});
		times.push(ms);
	}
	return {
		answers: Math.round(answers / times.length),
		first: round(times[0]!, 1),
		median: round(quantile(times, 0.5), 1),
		slowest: round(Math.max(...times), 1)
	};
}

/** What costs the leader a moment every second, or a few seconds a few times a day. */
async function prepare(url: string): Promise<Record<string, number>> {
	const client = new pg.Client({ connectionString: url });
	await client.connect();
	const loop = async (sql: string, done: () => Promise<boolean>) => {
		const started = performance.now();
		let calls = 0;
		do {
			await client.query(sql);
			calls++;
		} while (!(await done()));
		return { calls, ms: round(performance.now() - started, 0) };
	};
	const is = async (sql: string) =>
		(await client.query({ text: sql, rowMode: 'array' })).rows[0]![0] as boolean;
	let reached = '';
	const sums = await loop('select rowcast.roll_up()', async () => {
		const { rows } = await client.query('select rolled from rowcast.state');
		return reached === (reached = rows[0].rolled);
	});
	const index = await loop('select rowcast.index_leaf()', () =>
		is('select not exists (select from rowcast.leaf where closed_tick is not null and row_keys is null)')
	);
	await client.query('vacuum analyze rowcast.rate');
	await client.end();
	return { sumsCalls: sums.calls, sumsMs: sums.ms, indexedLeaves: index.calls, indexMs: index.ms };
}

type Asked = { text: string; values: unknown[] };

/** The queries that the reader sends from here on. */
function watch(pool: pg.Pool): Asked[] {
	const asked: Asked[] = [];
	const query = pool.query.bind(pool) as (config: Asked) => Promise<pg.QueryResult>;
	pool.query = ((config: Asked) => {
		asked.push(config);
		return query(config);
	}) as never;
	return asked;
}

/** The plan of the slowest of these queries: its nodes and what they took. */
async function explain(pool: pg.Pool, asked: Asked[]): Promise<string[]> {
	let slowest = { ms: -1, lines: [] as string[] };
	for (const { text, values } of asked) {
		const { rows } = await pool.query({
			text: `explain (analyze, timing off, costs off) ${text}`,
			values: values as string[],
			rowMode: 'array'
		});
		const lines = rows.flat().map((line: string) => line.slice(0, 160));
		const ms = Number(/Execution Time: ([\d.]+)/.exec(lines.at(-1)!)?.[1]);
		if (ms > slowest.ms) slowest = { ms, lines };
	}
	return slowest.lines.filter((line) => /^\S|->/.test(line) && !/never executed|actual rows=0.00/.test(line));
}

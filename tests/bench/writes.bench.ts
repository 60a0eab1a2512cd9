/**
 * What capture costs the application that writes: each workload on the same tables, untouched and with each way of
 * capturing, every way in a database of its own on one cluster.
 */
import type pg from 'pg';
import { availableMajors, withClient } from '../support/postgres.ts';
import { cpuSeconds } from './cpu.ts';
import { NOTIFY, TUTORIAL } from './captures.ts';
import {
	execute,
	median,
	round,
	serve,
	startHelper,
	untilCounted,
	untilQuiet,
	withLab,
	type Lab,
	type Tell
} from './lab.ts';
import { tool, write } from './load.ts';

export const title = `Writes, with ${tool}; ratio: to the untouched database, in the same round; median of the rounds;
cpu: microseconds of processor time for each, of all that ran for it`;

const ACCOUNTS = 100_000;
const PARENTS = 20;

// pgbench's own tables, so that anyone can compare; and one that others reference.
const TABLES = `
	create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
	insert into pgbench_accounts select i, 1, 0, '' from generate_series(1, ${ACCOUNTS}) i;
	create table pgbench_history (
		tid int, bid int, aid int, delta int, mtime timestamp default current_timestamp, filler char(22));
	create table parent (id int primary key, name text, visits int not null default 0);
	create table child (id int primary key, parent int references parent, note text);
	create index on child (parent);
	insert into parent select i, 'Name ' || i from generate_series(1, ${PARENTS}) i;
	insert into child select i, 1 + i % ${PARENTS}, repeat('x', 40) from generate_series(1, ${PARENTS * 1000}) i;
	analyze`;
const WATCHED = ['pgbench_accounts', 'pgbench_history', 'parent', 'child'];

const UPDATE = 'update pgbench_accounts set abalance = abalance + 1 where aid = :id';
const INSERT = 'insert into pgbench_history (tid, bid, aid, delta) values (1, 1, :id, 1)';

interface Workload {
	name: string;
	connections: number;
	unit: 'transactions/s' | 'rows/s';
	rounds: number;
	/** A transaction, over and over, or one statement over so many rows. */
	run:
		{ statements: string[]; ids: number; seconds: number } | { sql: (rows: number) => string; rows: number };
}

const single = (name: string, statement: string, connections: number): Workload => ({
	name,
	connections,
	unit: 'transactions/s',
	rounds: 3,
	run: { statements: [statement], ids: ACCOUNTS, seconds: 2 }
});

const WORKLOADS: Workload[] = [
	single('update', UPDATE, 1),
	single('update', UPDATE, 16),
	single('insert', INSERT, 1),
	single('insert', INSERT, 16),
	{
		name: 'update of 30,000 rows',
		connections: 1,
		unit: 'rows/s',
		rounds: 5,
		run: { sql: (rows) => UPDATE.replace('= :id', `<= ${rows}`), rows: 30_000 }
	},
	{
		name: '100 updates in a transaction',
		connections: 4,
		unit: 'transactions/s',
		rounds: 3,
		run: {
			statements: [
				'begin',
				// Upwards, so that no two wait for each other.
				...Array.from({ length: 100 }, (_, i) => UPDATE.replace(':id', `:id + ${i}`)),
				'commit'
			],
			ids: ACCOUNTS - 100,
			seconds: 1
		}
	},
	{
		name: 'copy of 100,000 rows',
		connections: 1,
		unit: 'rows/s',
		rounds: 3,
		run: { sql: (rows) => `copy pgbench_history (aid) from program 'seq 1 ${rows}'`, rows: 100_000 }
	},
	{
		name: 'update of a row that 1,000 reference',
		connections: 1,
		unit: 'transactions/s',
		rounds: 3,
		run: { statements: ['update parent set visits = visits + 1 where id = :id'], ids: PARENTS, seconds: 1 }
	}
];

/** What runs beside the writers while one way of capturing is measured. */
interface Beside {
	/** Waits until the viewer was told of these rows, so that none burdens a later turn; rejects where it is not. */
	delivered(rows: number): Promise<void>;
	stop(): Promise<void>;
}
const nothing: Beside = { delivered: async () => {}, stop: async () => {} };

async function rowcastWithViewer(url: string): Promise<Beside> {
	const server = await serve(url);
	const viewer = await startHelper('viewer.js', { url: server.url, filter: { ops: ['INSERT', 'UPDATE'] } });
	let written = 0;
	return {
		delivered: async (rows) => void (await untilCounted(viewer, (written += rows))),
		async stop() {
			await viewer.stop();
			await server.stop();
		}
	};
}

const logged = async (url: string) =>
	Number((await execute(url, `select count(*) from rowcast.change where op in ('I', 'U')`))[0]?.count);

async function forwarderWithViewer(url: string): Promise<Beside> {
	const forwarder = await startHelper('forwarder.js', { database: url });
	const viewer = await startHelper('viewer.js', { url: forwarder.ready, event: 'change' });
	return {
		delivered: () => untilQuiet(viewer),
		async stop() {
			await viewer.stop();
			await forwarder.stop();
		}
	};
}

interface Capture {
	name: string;
	install(url: string): Promise<unknown>;
	start(url: string): Promise<Beside>;
}

const install = async (url: string) => (await serve(url)).stop();

const CAPTURES: Capture[] = [
	{ name: 'untouched', install: async () => {}, start: async () => nothing },
	{ name: 'rowcast', install, start: async () => nothing },
	{ name: 'rowcast+viewer', install, start: rowcastWithViewer },
	{ name: 'notify', install: (url) => execute(url, NOTIFY(WATCHED)), start: forwarderWithViewer },
	{ name: 'tutorial', install: (url) => execute(url, TUTORIAL(WATCHED)), start: forwarderWithViewer }
];

export async function run(tell: Tell) {
	const [newest, ...others] = availableMajors() as [number, ...number[]];
	const rows = await measureOn(newest, CAPTURES, WORKLOADS, tell);
	const few = WORKLOADS.filter(({ name, connections }) => name === 'update' && connections === 16);
	for (const major of others) rows.push(...(await measureOn(major, CAPTURES.slice(0, 2), few, tell)));
	return { tool, rows };
}

/** The workloads, with each of the ways, on a cluster of a major. */
async function measureOn(
	major: number,
	captures: Capture[],
	workloads: Workload[],
	tell: Tell
): Promise<Row[]> {
	tell(`PostgreSQL ${major}`);
	return withLab(async (lab: Lab) => {
		const ways: Way[] = [];
		try {
			for (const capture of captures) ways.push(await prepare(lab, capture));
			const rows: Row[] = [];
			for (const workload of workloads) rows.push(...(await compare(workload, ways, tell)));
			return rows.map((row) => ({ postgres: major, ...row }));
		} finally {
			for (const { beside } of ways) await beside.stop();
		}
	}, major);
}

/** A way of capturing, in its database, with what runs beside the writers. */
interface Way {
	capture: Capture;
	url: string;
	beside: Beside;
}

async function prepare(lab: Lab, capture: Capture): Promise<Way> {
	const url = await lab.database(capture.name.replace('+', '_'), TABLES);
	await capture.install(url);
	return { capture, url, beside: await capture.start(url) };
}

interface Row {
	[column: string]: string | number;
	capture: string;
	workload: string;
	connections: number;
	unit: string;
	tps: number;
	ratio: number;
	/** Microseconds of processor time a unit, of all that ran: PostgreSQL, the writers, the server, the viewer. */
	cpu: number;
}

interface Figure {
	tps: number;
	cpu: number;
}

/** One workload with every way in turn, a second or two each, so that what else the machine does meets all of them. */
async function compare(workload: Workload, ways: Way[], tell: Tell): Promise<Row[]> {
	const { name, connections, unit, rounds } = workload;
	tell(`${name}, ${connections} connection${connections > 1 ? 's' : ''}, ${rounds} rounds`);
	for (const { url } of ways) {
		for (const statement of [
			'truncate pgbench_history',
			'vacuum pgbench_accounts, pgbench_history, parent',
			'checkpoint'
		])
			await execute(url, statement);
	}
	const figures = ways.map((): Figure[] => []);
	for (let i = 0; i < rounds; i++) {
		for (let k = 0; k < ways.length; k++) {
			const turn = (i + k) % ways.length;
			figures[turn]!.push(await measure(workload, ways[turn]!));
		}
	}
	return ways.map(({ capture }, turn) => ({
		capture: capture.name,
		workload: name,
		connections,
		unit,
		tps: round(median(figures[turn]!.map(({ tps }) => tps)), 0),
		ratio: round(median(figures[turn]!.map(({ tps }, i) => tps / figures[0]![i]!.tps)), 3),
		cpu: round(median(figures[turn]!.map(({ cpu }) => cpu)), 1)
	}));
}

/** One turn, which ends when all that was written is delivered. */
async function measure(workload: Workload, { capture, url, beside }: Way): Promise<Figure> {
	const counts = capture.install === install;
	const before = counts ? await logged(url) : 0;
	const cpu = cpuSeconds();
	const { tps, rows, units } = await perform(workload, url, capture.name === 'tutorial');
	await beside.delivered(rows);
	const used = cpu === undefined ? NaN : cpuSeconds()! - cpu;
	if (counts) {
		const captured = (await logged(url)) - before;
		if (captured !== rows)
			throw new Error(`${capture.name}: ${rows} rows were written, ${captured} captured.`);
	}
	return { tps, cpu: (used / units) * 1e6 };
}

async function perform(
	{ connections, run }: Workload,
	url: string,
	slow: boolean
): Promise<{ tps: number; rows: number; units: number }> {
	if ('statements' in run) {
		const { tps, transactions } = await write({ url, connections, ...run });
		return {
			tps,
			units: transactions,
			rows: transactions * run.statements.filter((text) => /^(update|insert)/.test(text)).length
		};
	}
	// The tutorial's trigger would take a minute for what the others do in a second.
	const rows = slow ? run.rows / 20 : run.rows;
	return withClient(url, async (client: pg.Client) => {
		const started = performance.now();
		await client.query(run.sql(rows));
		return { tps: (rows / (performance.now() - started)) * 1000, rows, units: rows };
	});
}

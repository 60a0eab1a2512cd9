/** Transactions over and over for some seconds: by pgbench where it is installed, else by writer.js. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startHelper } from './lab.ts';

export interface Load {
	url: string;
	/** `:id` stands for a random number from 1 to `ids`, one a transaction. */
	statements: string[];
	connections: number;
	seconds: number;
	ids: number;
	/** Transactions a second to hold, rather than as many as it can; pgbench only. */
	rate?: number;
}

export interface Done {
	transactions: number;
	tps: number;
}

const pgbench = [
	'pgbench',
	...[18, 17, 16, 15, 14].map((major) => `/usr/lib/postgresql/${major}/bin/pgbench`)
].find((program) =>
	path.isAbsolute(program) ? existsSync(program) : spawnSync(program, ['--version']).status === 0
);

export const tool = pgbench
	? 'pgbench -M prepared -j 1'
	: 'the pg driver in one Node process (pgbench is not installed)';

export async function write(load: Load): Promise<Done> {
	return pgbench ? byPgbench(pgbench, load) : byDriver(load);
}

async function byPgbench(program: string, { url, statements, connections, seconds, ids, rate }: Load) {
	const folder = await mkdtemp(path.join(tmpdir(), 'rowcast-bench-'));
	const script = path.join(folder, 'script.sql');
	await writeFile(script, [`\\set id random(1, ${ids})`, ...statements.map((text) => `${text};`)].join('\n'));
	const options = [
		'-n',
		'-M',
		'prepared',
		'-j',
		'1',
		'-c',
		String(connections),
		'-T',
		String(seconds),
		'-f',
		script
	];
	const child = spawn(program, [...options, ...(rate ? ['-R', String(rate)] : []), url], {
		stdio: ['ignore', 'pipe', 'pipe']
	});
	let output = '';
	for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
	await once(child, 'close');
	await rm(folder, { recursive: true });
	const transactions = Number(/actually processed: (\d+)/.exec(output)?.[1]);
	const tps = Number(/^tps = ([\d.]+)/m.exec(output)?.[1]);
	if (!transactions || !tps || /aborted|[1-9]\d* .*failed transactions/.test(output)) throw new Error(output);
	return { transactions, tps };
}

async function byDriver(load: Load): Promise<Done> {
	const writer = await startHelper('writer.js', load);
	return writer.ready as Done;
}

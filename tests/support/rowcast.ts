/**
 * The real server as its own process, and a viewer that speaks the wire protocol to it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from '../../bin/build.js';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import type {
	Change,
	ClientEvents,
	Count,
	Failure,
	Gap,
	Hello,
	Op,
	ServerEvents,
	State,
	SubscribeRequest,
	TableInfo,
	TickMessage
} from '../../src/lib/protocol.ts';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

export interface Rowcast {
	url: string;
	process: ChildProcess;
	/** What it wrote so far. */
	stdout(): string;
	stderr(): string;
	/** Sends the signal and waits; the exit code, null where a signal ended it. */
	stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface RowcastOptions {
	/** `DATABASE_URL`, `ROWCAST_WATCH` and the like; nothing of the kind is inherited from the test's own environment. */
	env?: Record<string, string>;
	/** The program and its arguments. */
	args?: string[];
	/** How long the start may take, in ms. */
	timeout?: number;
}

/** Started processes, so that none outlives the tests. */
const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Builds the product where needed and starts it on a free port; rejects with its own words when it does not start. */
export async function startRowcast({
	env = {},
	args = ['server.js'],
	timeout = 30_000
}: RowcastOptions = {}): Promise<Rowcast> {
	await buildIfStale(() => {});
	const inherited = Object.entries(process.env).filter(
		([name]) => !/^(PG|ROWCAST_|DATABASE_URL$|HOST$|PORT$|NODE_ENV$|VITEST)/.test(name)
	);
	const child = spawn(process.execPath, args, {
		cwd: root,
		env: { ...Object.fromEntries(inherited), PORT: '0', ...env },
		stdio: ['ignore', 'pipe', 'pipe']
	});
	running.add(child);
	const closed = once(child, 'close').then(() => running.delete(child));
	let stdout = '';
	let stderr = '';
	child.stderr.on('data', (chunk) => (stderr += chunk));
	const url = await new Promise<string>((resolve, reject) => {
		const timer = setTimeout(() => {
			child.kill('SIGKILL');
			reject(new Error(`Rowcast did not start within ${timeout} ms.\n${stdout}${stderr}`));
		}, timeout);
		child.stdout.on('data', (chunk) => {
			stdout += chunk;
			const url = /^Rowcast is at (http\S+)$/m.exec(stdout)?.[1];
			if (url) {
				clearTimeout(timer);
				resolve(url);
			}
		});
		void closed.then(() => {
			clearTimeout(timer);
			reject(new Error(`Rowcast ended with ${child.exitCode ?? child.signalCode}.\n${stderr || stdout}`));
		});
	});
	return {
		url,
		process: child,
		stdout: () => stdout,
		stderr: () => stderr,
		async stop(signal = 'SIGTERM') {
			child.kill(signal);
			await closed;
			return child.exitCode;
		}
	};
}

/** A connected client that keeps everything it is sent. */
export interface Viewer {
	socket: Socket<ServerEvents, ClientEvents>;
	hello: Hello;
	tables: TableInfo[];
	state: State | undefined;
	ticks: TickMessage[];
	/** Of all ticks, in the order of their arrival. */
	changes: Change[];
	gaps: Gap[];
	/** Rejects on a Failure. */
	subscribe(request?: SubscribeRequest): Promise<{ tick: string; gap: Gap | null }>;
	/** A request and its answer, whatever it is. */
	ask<E extends keyof ClientEvents>(event: E, payload: unknown): Promise<Answer<E> | Failure>;
	/** Waits until the condition holds, looked at after everything that arrives; says what it waited for. */
	until(what: string, condition: (viewer: Viewer) => boolean, timeout?: number): Promise<Viewer>;
	close(): void;
}

type Answer<E extends keyof ClientEvents> = Parameters<Parameters<ClientEvents[E]>[1]>[0] extends infer A
	? Exclude<A, Failure>
	: never;

export interface ViewerOptions extends Partial<ManagerOptions & SocketOptions> {
	token?: string;
	/** Called before a streamed tick is acknowledged; the acknowledgement waits for it. */
	onTick?: (tick: TickMessage) => void | Promise<void>;
}

/** Connects and waits for `hello`. Rejects with the server's reason when it is refused. */
export async function connect(
	url: string,
	{ token, onTick, ...options }: ViewerOptions = {}
): Promise<Viewer> {
	const socket: Viewer['socket'] = io(url, {
		forceNew: true,
		transports: ['websocket'],
		...(token === undefined ? {} : { auth: { token } }),
		...options
	});
	const waiting = new Set<() => void>();
	const look = () => waiting.forEach((check) => check());
	const viewer: Viewer = {
		socket,
		hello: undefined as unknown as Hello,
		tables: [],
		state: undefined,
		ticks: [],
		changes: [],
		gaps: [],
		async subscribe(request = {}) {
			const answer = await viewer.ask('subscribe', request);
			if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
			return answer;
		},
		ask: (event, payload) =>
			(socket.timeout(20_000) as Socket).emitWithAck(event, payload) as ReturnType<Viewer['ask']> as never,
		until: (what, condition, timeout = 15_000) =>
			new Promise((resolve, reject) => {
				const timer = setTimeout(() => {
					waiting.delete(check);
					reject(new Error(`Waited ${timeout} ms for ${what}; ${summary(viewer)}`));
				}, timeout);
				const check = () => {
					if (!condition(viewer)) return;
					clearTimeout(timer);
					waiting.delete(check);
					resolve(viewer);
				};
				waiting.add(check);
				check();
			}),
		close: () => void socket.close()
	};
	socket.on('hello', (hello) => {
		viewer.hello = hello;
		viewer.tables = hello.tables;
		look();
	});
	socket.on('tables', (tables) => {
		viewer.tables = tables;
		look();
	});
	socket.on('state', (state) => {
		viewer.state = state;
		look();
	});
	socket.on('gap', (gap) => {
		viewer.gaps.push(gap);
		look();
	});
	socket.on('tick', async (tick, acknowledge) => {
		viewer.ticks.push(tick);
		viewer.changes.push(...tick.changes);
		look();
		await onTick?.(tick);
		acknowledge?.();
	});
	socket.on('disconnect', look);
	const refused = new Promise<never>((_, reject) => {
		socket.once('connect_error', (error) => {
			if (!viewer.hello && !options.reconnection) socket.close();
			reject(error);
		});
	});
	refused.catch(() => {});
	return Promise.race([viewer.until('hello', () => viewer.hello !== undefined), refused]);
}

/** Exact counts of all ticks that arrived, by `schema.table` and op. */
export function totals(ticks: TickMessage[]): Record<string, Partial<Record<Op, number>>> {
	const result: Record<string, Partial<Record<Op, number>>> = {};
	for (const { counts } of ticks)
		for (const { schema, table, op, rows } of counts as Count[]) {
			const ops = (result[`${schema}.${table}`] ??= {});
			ops[op] = (ops[op] ?? 0) + rows;
		}
	return result;
}

function summary({ ticks, changes, gaps, state, socket }: Viewer): string {
	const last = changes.slice(-3).map((c) => `${c.op} ${c.schema}.${c.table} ${c.after ?? c.before}`);
	return [
		`connected ${socket.connected}, ${ticks.length} tick messages, ${changes.length} changes, ${gaps.length} gaps`,
		`database ${state?.database ?? 'unknown'}`,
		`last ${last.join(' | ').slice(0, 500) || 'none'}`
	].join(', ');
}

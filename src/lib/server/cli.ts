/** The command line's commands but `serve`: each connects to the database by itself, with or without a server. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import pg from 'pg';
import { install } from './cli/install.ts';
import { status } from './cli/status.ts';
import { tail } from './cli/tail.ts';
import { uninstall } from './cli/uninstall.ts';
import { readConfig } from './config.ts';
import { ConfigError, explainStart } from './errors.ts';
import { connectionOptions } from './pool.ts';
import type { Config } from './types.ts';

type Flags = Record<string, string | boolean | undefined>;

/** What a command works with. */
export interface Context {
	client: pg.Client;
	config: Config & { database: { connectionString?: string } };
	flags: Flags;
	/** One line to stdout: data. Waits where the reader is slow. */
	print(line: string): Promise<void>;
	/** One line to stderr: progress and problems. */
	tell(line: string): void;
	/** Aborted by Ctrl-C, and when nobody reads stdout any more. */
	signal: AbortSignal;
}

export interface Command {
	help: string;
	options: NonNullable<ParseArgsConfig['options']>;
	/** The exit code. */
	run(context: Context): Promise<number>;
}

const COMMANDS: Record<string, Command> = { install, uninstall, status, tail };

const DATABASE = `The database is DATABASE_URL, else what the PG* variables name.`;

/** Runs `argv` (a command and its options); resolves with the exit code. */
export async function cli(
	argv: string[],
	env: Record<string, string | undefined> = process.env
): Promise<number> {
	const [name = '', ...args] = argv;
	const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
	if (!command) {
		console.error(`There is no command "${name}"; there are ${Object.keys(COMMANDS).join(', ')}.`);
		return 1;
	}
	try {
		const flags = readFlags(name, command, args);
		if (flags.help) {
			console.log(`${command.help}\n\n${DATABASE}`);
			return 0;
		}
		return await connected(command, readSettings(flags, env), flags);
	} catch (err) {
		console.error(explainStart(err));
		return 1;
	}
}

function readFlags(name: string, { options }: Command, args: string[]): Flags {
	try {
		const { values } = parseArgs({ args, options: { ...options, help: { type: 'boolean', short: 'h' } } });
		return values as Flags;
	} catch (err) {
		// "Unknown option '--x'. To specify a positional argument …": the first sentence says it.
		throw new ConfigError(`${(err as Error).message.split('. ')[0]}. See "rowcast ${name} --help".`, {
			cause: err
		});
	}
}

/** The server's settings, with `--tables` in place of ROWCAST_WATCH. */
function readSettings({ tables }: Flags, env: Record<string, string | undefined>): Context['config'] {
	const given = typeof tables === 'string' ? { ...env, ROWCAST_WATCH: tables } : env;
	try {
		// Of no account here, and no reason to refuse.
		const config = readConfig({ ...given, HOST: undefined, PORT: undefined }, '');
		if (config.database === 'embedded')
			throw new ConfigError(
				'Which database? Set DATABASE_URL, like postgres://user:password@host:5432/database.'
			);
		return { ...config, database: config.database };
	} catch (err) {
		if (!(err instanceof ConfigError) || given === env) throw err;
		throw new ConfigError(err.message.replace('ROWCAST_WATCH', '--tables'), { cause: err });
	}
}

async function connected(command: Command, config: Context['config'], flags: Flags): Promise<number> {
	const stop = new AbortController();
	const abort = () => stop.abort();
	for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, abort);
	process.stdout.on('error', abort);
	const client = new pg.Client(connectionOptions(config.database));
	client.on('error', () => {}); // the query under way rejects and tells
	try {
		await client.connect();
		return await command.run({
			client,
			config,
			flags,
			print: (line) =>
				new Promise((resolve) => {
					if (process.stdout.write(`${line}\n`) || stop.signal.aborted) return resolve();
					process.stdout.once('drain', resolve);
					stop.signal.addEventListener('abort', () => resolve(), { once: true });
				}),
			tell: (line) => console.error(line),
			signal: stop.signal
		});
	} finally {
		for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, abort);
		process.stdout.off('error', abort);
		await client.end().catch(() => {});
	}
}

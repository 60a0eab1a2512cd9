#!/usr/bin/env node
/** The command line: `serve` is the server, the other commands are the product's own, built with it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, root } from './build.js';

const COMMANDS = {
	serve: 'run the server (the default)',
	install: 'create the schema rowcast and watch tables',
	uninstall: 'remove everything that Rowcast put into the database',
	status: 'what is watched, and how the log is doing',
	tail: 'print changes as they happen, one JSON object a line'
};

const HELP = `Rowcast: a live window into a PostgreSQL database.

Usage: rowcast [command] [options]

${Object.entries(COMMANDS)
	.map(([name, what]) => `  ${name.padEnd(10)} ${what}`)
	.join('\n')}

  rowcast COMMAND --help    what the command takes
  --version                 the version

The database is DATABASE_URL, else what the PG* variables name. Without either, serve runs a demo on a PostgreSQL of
its own. PORT, HOST, ROWCAST_WATCH and the other variables are described in the README.`;

const [first = 'serve', ...rest] = process.argv.slice(2);

try {
	if (first === '--help' || first === '-h' || first === 'help') console.log(HELP);
	else if (first === '--version' || first === '-v') console.log(await version());
	else if (!Object.hasOwn(COMMANDS, first))
		fail(`There is no command "${first}". "rowcast --help" lists them.`);
	else if (first === 'serve' && rest.includes('--help')) console.log(HELP);
	else if (first === 'serve' && rest.length)
		fail(
			`serve takes no options, but variables: "${rest.join(' ')}" means nothing to it. See "rowcast --help".`
		);
	else await run(first, rest);
} catch (error) {
	fail(error instanceof Error ? error.message : String(error));
}

/** @param {string} command @param {string[]} options */
async function run(command, options) {
	// Data goes to stdout; only the server tells its progress there.
	await buildIfStale(command === 'serve' ? console.log : console.error);
	if (command === 'serve') {
		stopWithNpm();
		return import(pathToFileURL(path.join(root, 'server.js')).href);
	}
	await import(pathToFileURL(path.join(root, 'build', 'handler.js')).href);
	/** @type {{ cli(argv: string[]): Promise<number> }} */
	const rowcast = /** @type {any} */ (globalThis)[Symbol.for('rowcast')];
	process.exitCode = await rowcast.cli([command, ...options]);
}

/** A signal that is sent to npm alone ends npm and its shell, which do not pass it on: notice that they are gone. */
function stopWithNpm() {
	const parent = process.ppid;
	if (!process.env.npm_lifecycle_event) return;
	const look = () => {
		if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
	};
	setInterval(look, 500).unref();
}

async function version() {
	return JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')).version;
}

/** @param {string} message */
function fail(message) {
	console.error(message);
	process.exitCode = 1;
}

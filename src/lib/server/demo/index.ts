/**
 * The demo: a PostgreSQL of its own with the database of a small shop, and someone who works there.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { cacheFolder, makeFolder, packagedBinaries, type Binaries } from '../binaries.ts';
import { ClusterInUse, startCluster, type Cluster } from '../embedded.ts';
import { StartError } from '../errors.ts';
import { makeRandom, type Random } from './random.ts';
import schema from './schema.sql?raw';
import { DEEDS, stockShop } from './shop.ts';

const DATABASE = 'shop';

/** Starts the demo's PostgreSQL, kept between runs, with the shop's tables in it. Nobody works there yet. */
export async function startEmbedded(
	tell: (line: string) => void = console.log
): Promise<{ connectionString: string; stop(): Promise<void> }> {
	tell('No DATABASE_URL: starting a PostgreSQL with a demo …');
	const cluster = await openCluster(await packagedBinaries(), tell);
	const connectionString = new URL(cluster.connectionString);
	connectionString.pathname = DATABASE;
	try {
		await makeShop(cluster.connectionString, connectionString.href);
	} catch (error) {
		await cluster.stop();
		throw error;
	}
	tell(`The demo's database: psql ${connectionString.href}`);
	return { connectionString: connectionString.href, stop: () => cluster.stop() };
}

/** The kept cluster; a temporary one beside another copy of Rowcast that has it. */
async function openCluster(binaries: Binaries, tell: (line: string) => void): Promise<Cluster> {
	const folder = path.join(await demoFolder(), `postgres-${binaries.major}`);
	try {
		return await startCluster({ binaries, folder });
	} catch (error) {
		if (error instanceof ClusterInUse) {
			tell('Another Rowcast runs the demo here; this one gets a temporary database.');
			return startCluster({ binaries });
		}
		if (!existsSync(folder)) throw error;
		tell(`The demo's data of an earlier run cannot be used; starting afresh. (${(error as Error).message})`);
		await rm(folder, { recursive: true, force: true });
		return startCluster({ binaries, folder });
	}
}

/** `.rowcast` in a checkout; in a cache, one for each place, where Rowcast is installed or its folder is closed. */
async function demoFolder(): Promise<string> {
	let root = path.dirname(fileURLToPath(import.meta.url));
	while (!isRowcast(root) && root !== path.dirname(root)) root = path.dirname(root);
	const own = path.join(root, '.rowcast');
	if (existsSync(path.join(root, 'src')) && (await makeFolder(own))) return own;
	const cached = path.join(
		await cacheFolder(),
		`demo-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`
	);
	if (await makeFolder(cached)) return cached;
	throw new StartError(`The demo's database cannot be kept in ${cached}: it is not writable.`);
}

function isRowcast(folder: string): boolean {
	const file = path.join(folder, 'package.json');
	return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).name === 'rowcast';
}

/** Leaves a shop that is there as it is, and makes one anew where its first table is missing. */
async function makeShop(clusterUrl: string, url: string): Promise<void> {
	const made = await withClient(clusterUrl, async (server) => {
		const { rowCount } = await server.query('select from pg_database where datname = $1', [DATABASE]);
		if (rowCount && (await hasShop(url))) return true;
		await server.query(`drop database if exists ${DATABASE} with (force)`);
		// The cluster has locale C, where only ASCII letters have a case: `~` would not find "émile" by "É*".
		await server.query(
			`create database ${DATABASE} template template0 locale_provider builtin builtin_locale 'C.UTF-8'`
		);
		return false;
	});
	if (!made) await withClient(url, (shop) => shop.query(schema));
}

async function hasShop(url: string): Promise<boolean> {
	const { rows } = await withClient(url, (shop) =>
		shop.query(`select to_regclass('"User"') is not null as made`)
	);
	return rows[0].made;
}

/**
 * Works in the shop until stopped: about 25 changes a second on average, by moods. What happens is decided by the
 * seed; a database that goes away is waited for.
 */
export function startDemo(connectionString: string, seed = 1): { stop(): Promise<void> } {
	const random = makeRandom(seed);
	const stopping = new AbortController();
	const done = (async () => {
		while (!stopping.signal.aborted) {
			await work(connectionString, random, stopping.signal).catch(() => {});
			await rest(1000, stopping.signal);
		}
	})();
	return {
		async stop() {
			stopping.abort();
			await done;
		}
	};
}

/** Deeds a second, and for how many seconds at a time. */
const MOODS = [
	{ weight: 5, perSecond: 8, shortest: 8, longest: 25 },
	{ weight: 2, perSecond: 0.7, shortest: 4, longest: 9 },
	{ weight: 2, perSecond: 14, shortest: 5, longest: 15 },
	{ weight: 1, perSecond: 45, shortest: 2, longest: 4 }
];

async function work(connectionString: string, random: Random, signal: AbortSignal): Promise<void> {
	await withClient(connectionString, async (db) => {
		await inTransaction(db, () => stockShop(db, random));
		while (!signal.aborted) {
			const mood = random.weighted(MOODS);
			const until = Date.now() + random.between(mood.shortest, mood.longest) * 1000;
			while (Date.now() < until && !signal.aborted) {
				await rest(Math.min(random.pause(mood.perSecond), 3000), signal);
				if (!signal.aborted) await inTransaction(db, () => random.weighted(DEEDS).run(db, random));
			}
		}
	});
}

async function inTransaction(db: pg.Client, deed: () => Promise<unknown>): Promise<void> {
	await db.query('begin');
	try {
		await deed();
		await db.query('commit');
	} catch (error) {
		// Rejects where the connection is gone, and so ends the work on it.
		await db.query('rollback');
		// A deed that a person's own changes made impossible is left out.
		if (!(error instanceof pg.DatabaseError)) throw error;
	}
}

/** A connection for one use. */
async function withClient<T>(connectionString: string, use: (db: pg.Client) => Promise<T>): Promise<T> {
	const db = new pg.Client({
		connectionString,
		application_name: 'rowcast demo',
		statement_timeout: 10_000,
		connectionTimeoutMillis: 5_000
	});
	// The query that fails tells; without a listener the process would end.
	db.on('error', () => {});
	await db.connect();
	try {
		return await use(db);
	} finally {
		await db.end().catch(() => {});
	}
}

/** Sleeps, less long when the signal comes. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
	await delay(ms, undefined, { signal }).catch(() => {});
}

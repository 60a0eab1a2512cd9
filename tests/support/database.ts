/** Databases for vitest's integration tests, on the clusters that its global setup started. */
import { afterAll, beforeAll, inject } from 'vitest';
import { createDatabase, type Database, type Template } from './postgres.ts';

/** The majors under test, newest first: `describe.each(majors())('PostgreSQL %i', (major) => …)`. */
export function majors(): number[] {
	return Object.keys(inject('clusters'))
		.map(Number)
		.sort((a, b) => b - a);
}

/** The superuser's address of a shared cluster: make databases there, but change none of its settings. */
export function clusterUrl(major = 18): string {
	const url = inject('clusters')[major];
	if (!url) throw new Error(`No PostgreSQL ${major} among those under test: ${majors().join(', ')}.`);
	return url;
}

/** A fresh database for the tests of a file or of a `describe`, dropped after them. */
export function useDatabase({
	major,
	template
}: { major?: number; template?: Template } = {}): () => Database {
	let database: Database | undefined;
	beforeAll(async () => {
		database = await createDatabase(clusterUrl(major), { template });
	});
	afterAll(() => database?.drop());
	return () => {
		if (!database) throw new Error('The database is there only while the tests run.');
		return database;
	};
}

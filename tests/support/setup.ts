/** Once before the integration tests: a PostgreSQL of each major under test runs, and pgbouncer is there. */
import type { TestProject } from 'vitest/node';
import { getPgbouncer } from './pgbouncer.ts';
import { availableMajors, startPostgres } from './postgres.ts';

declare module 'vitest' {
	interface ProvidedContext {
		/** Connection strings by major. */
		clusters: Record<number, string>;
	}
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
	getPgbouncer();
	const majors = availableMajors();
	const clusters = await Promise.all(majors.map((major) => startPostgres({ major })));
	project.provide(
		'clusters',
		Object.fromEntries(majors.map((major, i) => [major, clusters[i]!.connectionString]))
	);
	return async () => {
		await Promise.all(clusters.map((cluster) => cluster.stop()));
	};
}

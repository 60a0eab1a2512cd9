/** Once before the integration tests: a PostgreSQL of each major under test runs, and what else they need is there. */
import type { TestProject } from 'vitest/node';
import { hasFaketime } from './clock.ts';
import { getPackages } from './debian.ts';
import { hasPgbouncer } from './pgbouncer.ts';
import { availableMajors, startPostgres } from './postgres.ts';

declare module 'vitest' {
	interface ProvidedContext {
		/** Connection strings by major. */
		clusters: Record<number, string>;
	}
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
	// Before any cluster runs: the package makes a user "postgres".
	getPackages({ pgbouncer: hasPgbouncer(), libfaketime: hasFaketime() });
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

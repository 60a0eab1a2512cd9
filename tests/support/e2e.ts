/** Browser tests with the real server on a fresh database: `import { test, expect } from '../support/e2e.ts'`. */
import { test as base } from '@playwright/test';
import pg from 'pg';
import { createDatabase, startPostgres, type Cluster, type Database } from './postgres.ts';
import { startRowcast, type Rowcast } from './rowcast.ts';

interface Fixtures {
	/** Variables of the server besides its database; a test sets them with `test.use({ rowcastEnv: … })`. */
	rowcastEnv: Record<string, string>;
	/** Fresh and empty. */
	database: Database;
	/** A connection of the superuser to the database. */
	db: pg.Client;
	/** Watches all tables of the database. `page.goto('/')` leads there. */
	rowcast: Rowcast;
}

export const test = base.extend<Fixtures, { cluster: Cluster }>({
	cluster: [
		async ({}, use) => {
			const cluster = await startPostgres();
			await use(cluster);
			await cluster.stop();
		},
		{ scope: 'worker' }
	],
	rowcastEnv: [{}, { option: true }],
	database: async ({ cluster }, use) => {
		const database = await createDatabase(cluster.connectionString, { name: `shop_${Date.now()}` });
		await use(database);
		await database.drop();
	},
	db: async ({ database }, use) => {
		const db = new pg.Client({ connectionString: database.url });
		// A test may end the database under it.
		db.on('error', () => {});
		await db.connect();
		await use(db);
		await db.end().catch(() => {});
	},
	rowcast: async ({ database, rowcastEnv }, use) => {
		const rowcast = await startRowcast({
			env: { DATABASE_URL: database.url, ROWCAST_WATCH: 'all', ...rowcastEnv }
		});
		await use(rowcast);
		await rowcast.stop();
	},
	baseURL: async ({ rowcast }, use) => use(rowcast.url)
});

export { expect } from '@playwright/test';

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeRandom } from '../../src/lib/server/demo/random.ts';
import { DEEDS, stockShop } from '../../src/lib/server/demo/shop.ts';
import { useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';

const schema = readFileSync(new URL('../../src/lib/server/demo/schema.sql', import.meta.url), 'utf8');
const database = useDatabase();

/** Every ordinary and partitioned table with its number of rows. */
async function sizes(db: Parameters<typeof stockShop>[0]): Promise<Record<string, number>> {
	const { rows } = await db.query<{ name: string }>(
		`select relname as name from pg_class
		 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`
	);
	const result: Record<string, number> = {};
	for (const { name } of rows)
		result[name] = (await db.query(`select count(*)::int as n from "${name}"`)).rows[0].n;
	return result;
}

test('the shop works on and on, writes to every table, and its tables stay small', async () => {
	await withClient(database().url, async (db) => {
		await db.query(schema);
		const random = makeRandom(1);
		await stockShop(db, random);
		for (let i = 0; i < 4000; i++) {
			await db.query('begin');
			await random.weighted(DEEDS).run(db, random);
			await db.query('commit');
		}
		const now = await sizes(db);
		expect(Object.entries(now).filter(([, rows]) => rows === 0)).toEqual([]);
		expect(Math.max(...Object.values(now))).toBeLessThan(4500);
		await stockShop(db, random);
		expect(await sizes(db), 'a shop that has authors is left as it is').toEqual(now);
	});
});

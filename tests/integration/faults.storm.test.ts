/** A short storm in the suite; `npm run storm -- --seed N --minutes M` for as long as one likes. */
import { expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { clusterUrl, useDatabase } from '../support/database.ts';
import { CLEAN, createLedger, mark, reckon } from '../support/ledger.ts';
import { storm } from '../support/storm.ts';

const seed = Number(process.env.ROWCAST_STORM_SEED ?? 1);
const ms = Number(process.env.ROWCAST_STORM_MINUTES ?? 0.25) * 60_000;

test(`storm ${seed}`, { timeout: ms + 120_000 }, () =>
	storm({
		clusterUrl: clusterUrl(),
		seed,
		ms,
		tell: process.env.ROWCAST_STORM_SEED ? console.log : undefined
	})
);

const database = useDatabase();
test('the reckoning notices what is lost, doubled, misordered or never was', async () => {
	await createLedger(database().url);
	await mark(database().url, 'a');
	await mark(database().url, 'b');
	const inserted = (id: number): Change => ({
		...{ seq: `${id}`, tick: '1', tx: '1', at: '', schema: 'public', table: 'item', op: 'INSERT' },
		...{ before: null, after: '{"v":1}', key: { id: `${id}` } }
	});
	const updated: Change = { ...inserted(2), seq: '1', op: 'UPDATE', before: '{"v":1}', after: '{"v":2}' };
	const seen = (...changes: Change[]) => reckon(database().url, changes);
	expect(await seen(inserted(1), inserted(2))).toEqual(CLEAN);
	expect(await seen(inserted(1))).toEqual({ ...CLEAN, lost: ['item 2 1'] });
	expect(await seen(inserted(1), inserted(2), inserted(2))).toEqual({ ...CLEAN, doubled: ['item 2 1'] });
	expect(await seen(inserted(1), inserted(2), inserted(3))).toEqual({ ...CLEAN, phantom: ['item 3 1'] });
	expect(await seen(inserted(1), inserted(2), updated)).toEqual({
		...CLEAN,
		phantom: ['item 2 2'],
		misordered: ['item 2 2']
	});
});

/** The log is pruned under those who read it. */
import { expect, test } from 'vitest';
import { useServers } from '../support/servers.ts';

const READERS = 12;
const LEAVES = 5;

const { start, watch, sql } = useServers();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('the log is pruned while readers go through it from its beginning: each change comes once, or lies in a gap', async () => {
	const first = await start();
	const truth = await watch(first.url);
	const after = { epoch: truth.epochs[0]!, tick: String(truth.subscription.cursor!.tick) };
	for (let leaf = 0; leaf < LEAVES; leaf++) {
		for (let n = 0; n < 20; n++)
			await sql(`insert into item (owner, note) select $1, repeat('x', 500) from generate_series(1, 100)`, [
				leaf
			]);
		await sql('select rowcast.rotate()');
	}
	const all = LEAVES * 2_000;
	await truth.until('every row', ({ changes }) => changes.length === all, 60_000);
	const head = truth.end;
	// It has nothing of it in memory: they read the log.
	const second = await start();

	let prunes = 0;
	const prune = (async () => {
		for (const patience = Date.now() + 60_000; prunes < LEAVES - 1 && Date.now() < patience;) {
			await sleep(100);
			const [row] = await sql('select rowcast.prune() as done').catch(() => []);
			if (row?.done) prunes++;
		}
	})();
	const readers = await Promise.all(
		Array.from({ length: READERS }, async (_, i) => {
			await sleep(i * 40);
			return watch(second.url, { after });
		})
	);
	await Promise.all(readers.map((reader) => reader.reached(head, 60_000)));
	await prune;

	for (const { changes, gaps, holes, errors } of readers) {
		expect({ holes, errors }).toEqual({ holes: [], errors: [] });
		const seen = changes.map(({ seq }) => seq);
		expect(new Set(seen).size).toBe(seen.length);
		const found = new Set(seen);
		const lies = (tick: bigint) =>
			gaps.some((gap) => tick > BigInt(gap.after) && tick <= BigInt(gap.until) && gap.reason === 'pruned');
		const lost = truth.changes.filter(({ seq, tick }) => !found.has(seq) && !lies(BigInt(tick)));
		expect(lost).toEqual([]);
	}
	expect(prunes).toBe(LEAVES - 1);
});

test('what is pruned before a server has read it is a gap for those who watch, never missing in silence', async () => {
	const server = await start();
	const viewer = await watch(server.url);
	for (let round = 0; round < 15; round++) {
		// In one message to the database, so that the server hears of the rows as they are thrown away.
		const done = await sql(`insert into item (owner, note) values (1, 'pruned'); commit;
			select rowcast.rotate(); commit; select rowcast.prune()`).then(
			() => true,
			() => false
		);
		if (!done) while (!(await sql('select rowcast.prune() as done').catch(() => []))[0]?.done);
	}
	await sql(`insert into item (owner, note) values (1, 'after')`);
	await viewer.until(
		'the last row',
		({ changes }) => changes.at(-1)?.after?.includes('after') ?? false,
		20_000
	);
	const counted = Object.values(viewer.counts).reduce((sum, rows) => sum + rows, 0);
	expect(viewer.changes.length).toBe(counted);
	if (counted < 16) expect(viewer.gaps[0]).toMatchObject({ reason: 'pruned' });
	expect(viewer).toMatchObject({ holes: [], errors: [] });
});

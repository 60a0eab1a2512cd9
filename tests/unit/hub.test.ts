import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { remainderOf } from '../../src/lib/server/compose.ts';
import { makeWorld, problemsOf } from './support/world.ts';

const only = (table: string) => ({ tables: [{ schema: 'public', table }] });

describe('a feed', () => {
	test('starts at the head and is sent what comes, at once', async () => {
		const world = makeWorld({ head: 5 });
		const peer = world.peer();
		expect(await world.subscribe(peer)).toEqual({ ok: true, tick: '5', gap: null });
		world.write([['a', 'INSERT', 2]]);
		expect(peer.ticks).toMatchObject([
			{ from: '5', tick: '6', omitted: 0, counts: [{ table: 'a', op: 'INSERT', rows: 2 }], changes: [{}, {}] }
		]);
	});

	test('merges ticks that come thick into about 30 messages a second', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer);
		for (let i = 0; i < 200; i++) {
			world.write([['a', 'UPDATE', 3]]);
			await world.pass(5);
		}
		await world.pass(100);
		expect(peer.ticks.length).toBeGreaterThan(20);
		expect(peer.ticks.length).toBeLessThanOrEqual(32);
		expect(problemsOf(peer, world, {})).toEqual([]);
		expect(peer.ticks.at(-1)!.tick).toBe('200');
		expect(world.asked).toEqual({});
	});

	test('sends the newest up to the limit and tells how many it left out', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { limit: 3 });
		world.write([['a', 'INSERT', 5]]);
		expect(peer.ticks).toMatchObject([{ omitted: 2, changes: [{ seq: '3' }, { seq: '4' }, { seq: '5' }] }]);
	});

	test('tells how much of what it left out the first transaction made, over several ticks too', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { limit: 20 });
		world.write([['a', 'INSERT', 30]], [['a', 'INSERT', 15]], [['a', 'INSERT', 15]]);
		expect(peer.ticks).toMatchObject([{ omitted: 40, remainder: 10 }]);
		world.write([['a', 'INSERT', 20]], [['a', 'INSERT', 20]]);
		await world.pass(1_000);
		expect(peer.ticks.at(-1)).toMatchObject({ omitted: 20, remainder: 0 });
	});

	test('tells it of what is read from the log, too', async () => {
		const world = makeWorld();
		for (let i = 0; i < 1500; i++) world.write([['a', 'INSERT', 15]]);
		const peer = world.peer();
		await world.subscribe(peer, { limit: 20, after: { epoch: 'one', tick: '0' } });
		await world.pass(5_000);
		expect(world.asked).toMatchObject({ changes: 1, alone: 1 });
		expect(peer.ticks).toMatchObject([{ omitted: 22_480, remainder: 10 }]);
	});

	test('does not tell it where others may have made some', () => {
		const change = (seq: number, tx: string) => ({ seq: String(seq), tick: '1', tx, table: 'a' }) as Change;
		const changes = [change(1, '7'), change(2, '8'), change(3, '7'), change(4, '7')];
		const counts = [{ schema: 'public', table: 'a', op: 'INSERT' as const, rows: 4 }];
		const tick = { tick: 1n, at: '', counts, changes, complete: true, alone: false };
		const every = () => true;
		expect(remainderOf([tick], every, changes.slice(1))).toBe(undefined);
		expect(remainderOf([tick], every, changes.slice(2))).toBe(undefined);
		expect(remainderOf([{ ...tick, alone: true }], every, changes.slice(2))).toBe(2);
		expect(remainderOf([tick], every, changes)).toBe(0);
		const own = [change(1, '8'), change(2, '8'), change(3, '8'), change(4, '7')];
		expect(remainderOf([{ ...tick, changes: own }], every, own.slice(1))).toBe(1);
		const partial = { ...tick, changes: own.slice(2), complete: false };
		expect(remainderOf([partial], every, own.slice(2))).toBe(undefined);
	});

	test('of a tick too large for memory asks the log where the filter needs it', async () => {
		const world = makeWorld();
		const [all, few] = [world.peer(), world.peer()];
		await world.subscribe(all);
		await world.subscribe(few, { filter: only('rare') });
		world.write([
			['rare', 'INSERT', 4],
			['a', 'INSERT', 5000]
		]);
		expect(all.ticks).toMatchObject([{ omitted: 4804 }]);
		expect(few.ticks).toEqual([]);
		await world.pass(1);
		expect(few.ticks).toMatchObject([
			{ omitted: 0, changes: [{}, {}, {}, {}], counts: [{ table: 'rare', rows: 4 }] }
		]);
		expect(problemsOf(all, world, {})).toEqual([]);
	});

	test('has no more of a tick read than somebody can use', async () => {
		const world = makeWorld();
		const read = () => world.hub.wanted;
		expect(read()).toBe(0);
		const [feed, rare, stream] = [world.peer(), world.peer(), world.peer()];
		await world.subscribe(feed, { limit: 50 });
		expect(read()).toBe(50);
		await world.subscribe(rare, { filter: only('rare'), limit: 10 });
		world.write([
			['rare', 'INSERT', 4],
			['a', 'INSERT', 400]
		]);
		// The newest 50 had none of them: for a while more is read, so that the log is not asked each time.
		expect(read()).toBe(1000);
		await world.pass(20_000);
		expect(rare.ticks[0]).toMatchObject({ omitted: 0, changes: [{}, {}, {}, {}] });
		expect(read()).toBe(50);
		await world.subscribe(stream, { mode: 'stream' });
		expect(read()).toBe(1000);
	});

	test('is not sent what does not match, but moves on every 5 s', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { filter: { ...only('b'), ops: ['DELETE'] } });
		for (let i = 0; i < 120; i++) {
			world.write([
				['a', 'DELETE'],
				['b', 'INSERT']
			]);
			await world.pass(100);
		}
		expect(peer.ticks.length).toBe(2);
		expect(peer.ticks.every(({ changes, counts }) => changes.length + counts.length === 0)).toBe(true);
		expect(problemsOf(peer, world, peer.ticks[0] ? { ...only('b'), ops: ['DELETE'] } : {})).toEqual([]);
	});

	test('composes once for everybody who watches the same', async () => {
		const world = makeWorld();
		const peers = Array.from({ length: 50 }, () => world.peer());
		for (const peer of peers) await world.subscribe(peer, { filter: { ops: ['INSERT', 'DELETE'] } });
		await world.subscribe(world.peer(), { filter: { ops: ['DELETE', 'INSERT'] } });
		expect(world.hub.rooms).toBe(1);
		world.write([['a', 'INSERT']]);
		expect(world.sends).toBe(1);
		expect(peers.every(({ ticks }) => ticks.length === 1)).toBe(true);
	});

	test('a slow connection holds up nobody, and gets one merged message once it has drained', async () => {
		const world = makeWorld();
		const [slow, quick] = [world.peer(), world.peer()];
		await world.subscribe(slow);
		await world.subscribe(quick);
		world.write([['a', 'INSERT']]);
		slow.slow = true;
		for (let i = 0; i < 50; i++) {
			world.write([['a', 'INSERT']]);
			await world.pass(40);
		}
		expect(slow.ticks.length).toBe(1);
		expect(quick.ticks.at(-1)!.tick).toBe('51');
		slow.slow = false;
		await world.pass(40);
		expect(slow.ticks.length).toBe(2);
		expect(slow.ticks[1]).toMatchObject({ from: '1', tick: '51' });
		world.write([['a', 'INSERT']]);
		await world.pass(40);
		expect(slow.ticks[2]).toBe(quick.ticks.at(-1));
		expect(problemsOf(slow, world, {})).toEqual([]);
	});

	test('text of a message is bounded', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer);
		const ticks = world.writeUnseen([['a', 'INSERT', 5]]);
		for (const change of ticks[0]!.changes) change.after = 'x'.repeat(400_000);
		world.hub.ticks(ticks);
		expect(peer.ticks).toMatchObject([{ omitted: 3, changes: [{ seq: '4' }, { seq: '5' }] }]);
	});
});

describe('a viewer who comes back', () => {
	test('is caught up in pieces where the whole is too much for one look into the log', async () => {
		const world = makeWorld();
		world.write(...Array.from({ length: 1_500 }, (): [string, 'INSERT'][] => [['a', 'INSERT']]));
		world.mostTicks = 400;
		const peer = world.peer();
		await world.subscribe(peer, { after: { epoch: 'one', tick: '0' } });
		await world.pass(5_000);
		expect(peer.ticks.map(({ tick }) => tick)).toEqual(['375', '750', '1500']);
		expect(problemsOf(peer, world, {})).toEqual([]);
	});

	test('is caught up from memory in one message, then is live', async () => {
		const world = makeWorld();
		world.write([['a', 'INSERT']], [['a', 'INSERT']], [['a', 'INSERT']]);
		const peer = world.peer();
		expect(await world.subscribe(peer, { after: { epoch: 'one', tick: '1' } })).toMatchObject({
			tick: '1',
			gap: null
		});
		expect(peer.ticks).toMatchObject([{ from: '1', tick: '3' }]);
		expect(world.asked.changes).toBeUndefined();
		world.write([['a', 'INSERT']]);
		await world.pass(40);
		expect(problemsOf(peer, world, {})).toEqual([]);
		expect(peer.ticks.at(-1)!.tick).toBe('4');
	});

	test('a herd from the same place costs one read', async () => {
		const world = makeWorld({ head: 500 });
		const peers = Array.from({ length: 100 }, () => world.peer());
		await Promise.all(peers.map((peer) => world.subscribe(peer, { after: { epoch: 'one', tick: '20' } })));
		await world.pass(50);
		world.write([['a', 'INSERT']]);
		await world.pass(50);
		expect(world.asked.changes).toBe(1);
		for (const peer of peers) {
			expect(peer.ticks).toMatchObject([{ from: '20', tick: '500', omitted: 280 }, { tick: '501' }]);
			expect(problemsOf(peer, world, {})).toEqual([]);
		}
	});

	test('from another log starts at the head and is told', async () => {
		const world = makeWorld({ head: 9 });
		const peer = world.peer();
		const gap = { after: '3', until: '9', reason: 'epoch' };
		expect(await world.subscribe(peer, { after: { epoch: 'other', tick: '3' } })).toEqual({
			ok: true,
			tick: '9',
			gap
		});
	});

	test('from the future is taken for one of another log', async () => {
		const world = makeWorld({ head: 9 });
		const answer = await world.subscribe(world.peer(), { after: { epoch: 'one', tick: '12' } });
		expect(answer).toMatchObject({ tick: '9', gap: { reason: 'epoch' } });
	});

	test('from a server that is further ahead waits until this one is there', async () => {
		const world = makeWorld({ head: 9 });
		const unseen = world.writeUnseen([['a', 'INSERT']], [['a', 'INSERT']], [['a', 'INSERT']]);
		const [ahead, other] = [world.peer(), world.peer()];
		await world.subscribe(other);
		expect(await world.subscribe(ahead, { after: { epoch: 'one', tick: '11' } })).toEqual({
			ok: true,
			tick: '11',
			gap: null
		});
		world.hub.ticks(unseen.slice(0, 1));
		await world.pass(100);
		world.hub.ticks(unseen.slice(1));
		await world.pass(100);
		expect(ahead.ticks).toMatchObject([{ from: '11', tick: '12' }]);
		expect(problemsOf(other, world, {})).toEqual([]);
	});

	test('from before the oldest is told what was pruned', async () => {
		const world = makeWorld({ head: 9 });
		world.bounds.oldest = 5n;
		const peer = world.peer();
		const gap = { after: '3', until: '5', reason: 'pruned' };
		expect(await world.subscribe(peer, { after: { epoch: 'one', tick: '3' } })).toEqual({
			ok: true,
			tick: '5',
			gap
		});
		await world.pass(1);
		expect(peer.ticks).toMatchObject([{ from: '5', tick: '9' }]);
	});

	test('while the log is pruned, is told so rather than sent a part', async () => {
		const world = makeWorld({ head: 9 });
		const peer = world.peer();
		const answer = world.subscribe(peer, { after: { epoch: 'one', tick: '3' } });
		await answer;
		world.bounds.oldest = 6n;
		await world.pass(50);
		expect(peer.gaps).toEqual([{ after: '3', until: '6', reason: 'pruned' }]);
		expect(peer.ticks).toMatchObject([{ from: '6', tick: '9' }]);
	});

	test('is caught up when the database is back', async () => {
		const world = makeWorld({ head: 9 });
		const peer = world.peer();
		await world.subscribe(peer, { after: { epoch: 'one', tick: '3' } });
		world.failure = new Error('away');
		await world.pass(3000);
		expect(peer.ticks).toEqual([]);
		world.failure = null;
		await world.pass(1000);
		expect(peer.ticks).toMatchObject([{ from: '3', tick: '9' }]);
	});
});

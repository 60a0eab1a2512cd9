import { describe, expect, test } from 'vitest';
import { makeWorld, problemsOf } from './support/world.ts';

const only = (table: string) => ({ tables: [{ schema: 'public', table }] });

describe('a new subscription', () => {
	test('replaces the one before, from the acknowledgement on', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer);
		await world.subscribe(peer, { filter: only('b') });
		world.write([['a', 'INSERT']], [['b', 'INSERT']]);
		await world.pass(50);
		expect(peer.ticks).toMatchObject([{ changes: [{ table: 'b' }] }]);
		expect(world.hub.viewers).toBe(1);
		expect(world.hub.rooms).toBe(1);
	});

	test('to the same is not lost with the one that it replaces', async () => {
		const world = makeWorld();
		const peer = world.peer();
		for (let i = 0; i < 1000; i++) await world.subscribe(peer);
		world.write([['a', 'INSERT']]);
		expect(peer.ticks.length).toBe(1);
		world.hub.leave(peer);
		expect([world.hub.viewers, world.hub.rooms]).toEqual([0, 0]);
	});

	test('loses against a newer one that is resolved sooner', async () => {
		const world = makeWorld({ head: 9 });
		const peer = world.peer();
		const older = world.subscribe(peer, { filter: only('a'), after: { epoch: 'one', tick: '3' } });
		await world.subscribe(peer, { filter: only('b') });
		await older;
		world.write([['b', 'INSERT']]);
		await world.pass(50);
		expect(peer.ticks).toMatchObject([{ changes: [{ table: 'b' }] }]);
	});

	/** A socket's queue, in which something slow is before. */
	function held() {
		let open = () => {};
		const opened = new Promise<void>((resolve) => (open = resolve));
		return { open, turn: <T>(read: () => Promise<T>) => opened.then(read) };
	}

	test('that waits for its turn is overtaken by what came after it', async () => {
		const world = makeWorld({ head: 9 });
		const [peer, other] = [world.peer(), world.peer()];
		const { open, turn } = held();
		const after = { epoch: 'one', tick: '9' };
		const older = world.subscribe(peer, { filter: only('a'), after }, turn);
		await world.subscribe(peer, { filter: only('b') });
		const undone = world.subscribe(other, { after }, turn);
		world.hub.unsubscribe(other);
		open();
		expect([await older, await undone]).toEqual(Array(2).fill({ ok: true, tick: '9', gap: null }));
		world.write([['a', 'INSERT']], [['b', 'INSERT']]);
		await world.pass(50);
		expect(peer.ticks).toMatchObject([{ changes: [{ table: 'b' }] }]);
		expect([other.ticks, world.hub.viewers]).toEqual([[], 1]);
	});

	test.each(['feed', 'stream'] as const)('of someone who has left is not started: %s', async (mode) => {
		const world = makeWorld({ head: 9 });
		const peer = world.peer();
		const { open, turn } = held();
		const pending = world.subscribe(peer, { mode, after: { epoch: 'one', tick: '3' } }, turn);
		world.hub.leave(peer);
		open();
		await pending;
		expect(world.hub.viewers).toBe(0);
	});
});

describe('what cannot be shown', () => {
	test('a gap in capture is told to every viewer', async () => {
		const world = makeWorld({ head: 9 });
		const [feed, stream] = [world.peer(), world.peer()];
		await world.subscribe(feed);
		await world.subscribe(stream, { mode: 'stream' });
		const gap = { after: '8', until: '10', reason: 'capture' as const };
		world.hub.gap(gap);
		expect([feed.gaps, stream.gaps]).toEqual([[gap], [gap]]);
	});

	test('a gap in capture is told once, behind the ticks that it is of, and to nobody who began behind it', async () => {
		const world = makeWorld({ head: 9 });
		const [feed, stream, late] = [world.peer({ slow: true }), world.peer(), world.peer()];
		await world.subscribe(feed, { after: { epoch: 'one', tick: '7' } });
		await world.subscribe(stream, { mode: 'stream', after: { epoch: 'one', tick: '7' } });
		await world.pass(1);
		world.write([['a', 'INSERT']]);
		await world.subscribe(late);
		const gap = { after: '8', until: '10', reason: 'capture' as const };
		world.hub.gap(gap);
		expect([feed.gaps, stream.gaps, late.gaps]).toEqual([[], [], []]);
		feed.slow = false;
		for (let i = 0; i < 3; i++) {
			stream.acks.shift()?.();
			await world.pass(100);
		}
		const told = ({ log }: typeof feed) =>
			log.flatMap((item) => ('gap' in item ? ['gap'] : 'tick' in item ? [item.tick.tick] : []));
		expect([told(feed), told(stream), told(late)]).toEqual([['10', 'gap'], ['9', '10', 'gap'], []]);
	});

	test('ticks that were pruned before this server read them are a gap', async () => {
		const world = makeWorld({ head: 9 });
		const [feed, stream] = [world.peer(), world.peer()];
		await world.subscribe(feed);
		await world.subscribe(stream, { mode: 'stream' });
		const unseen = world.writeUnseen([['a', 'INSERT']], [['a', 'INSERT']], [['a', 'INSERT']]);
		world.bounds.oldest = 11n;
		world.hub.gap({ after: '9', until: '11', reason: 'pruned' });
		world.hub.ticks(unseen.slice(2));
		await world.pass(1000);
		for (const peer of [feed, stream]) {
			expect(peer.gaps).toEqual([{ after: '9', until: '11', reason: 'pruned' }]);
			expect(peer.ticks).toMatchObject([{ from: '11', tick: '12' }]);
		}
	});

	test('another log is a gap, and everybody starts at its head', async () => {
		const world = makeWorld({ head: 9 });
		const [feed, stream] = [world.peer(), world.peer()];
		await world.subscribe(feed);
		await world.subscribe(stream, { mode: 'stream' });
		Object.assign(world.bounds, { epoch: 'two', head: 2n });
		world.hub.reset();
		world.write([['a', 'INSERT']]);
		await world.pass(100);
		for (const peer of [feed, stream]) {
			expect(peer.gaps).toEqual([{ after: '9', until: '2', reason: 'epoch' }]);
			expect(peer.ticks).toMatchObject([{ from: '2', tick: '3' }]);
		}
	});
});

describe('a stream', () => {
	test('sends the next message only after the acknowledgement of the one before', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { mode: 'stream' });
		world.write([['a', 'INSERT']]);
		await world.pass(1);
		for (let i = 0; i < 20; i++) world.write([['a', 'INSERT']]);
		await world.pass(100);
		expect(peer.ticks.length).toBe(1);
		peer.acks[0]!();
		await world.pass(1);
		expect(peer.ticks[1]).toMatchObject({ from: '1', tick: '21', omitted: 0 });
		expect(peer.ticks[1]!.changes.length).toBe(20);
		expect(problemsOf(peer, world, {})).toEqual([]);
	});

	test('a large tick comes in parts, the counts with the last', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { mode: 'stream', filter: only('a') });
		world.write([['b', 'INSERT']]);
		world.write([
			['a', 'INSERT', 2500],
			['b', 'INSERT', 10]
		]);
		world.write([['a', 'DELETE']]);
		for (let i = 0; i < 4; i++) {
			await world.pass(1);
			peer.acks[i]?.();
		}
		await world.pass(1);
		const [one, two, three, four] = peer.ticks;
		expect(peer.ticks.map(({ part, more, changes }) => [part, more, changes.length])).toEqual([
			[0, true, 1000],
			[1, true, 1000],
			[2, false, 500],
			[undefined, undefined, 1]
		]);
		expect([one!.from, two!.from, three!.from, three!.tick, four!.from]).toEqual(['0', '0', '0', '2', '2']);
		expect([one!.counts, two!.counts]).toEqual([[], []]);
		expect(three!.counts).toMatchObject([{ rows: 2500 }]);
		const seqs = peer.ticks.flatMap(({ changes }) => changes.map(({ seq }) => seq));
		expect(new Set(seqs).size).toBe(2501);
		expect(problemsOf(peer, world, only('a'))).toEqual([]);
	});

	test('from far back reads the log page by page and loses nothing', async () => {
		const world = makeWorld();
		for (let i = 0; i < 3000; i++) world.writeUnseen([['a', 'INSERT', 1 + (i % 3)]]);
		world.hub.ticks(world.ticks.slice(-1));
		const peer = world.peer();
		await world.subscribe(peer, { mode: 'stream', after: { epoch: 'one', tick: '0' } });
		for (let i = 0; i < 20; i++) {
			await world.pass(1);
			peer.acks[i]?.();
		}
		expect(peer.ticks.at(-1)!.tick).toBe('3000');
		expect(peer.ticks.flatMap(({ changes }) => changes).length).toBe(6000);
		expect(peer.ticks.every(({ omitted, changes }) => omitted === 0 && changes.length <= 1000)).toBe(true);
		expect(problemsOf(peer, world, {})).toEqual([]);
	});

	test('goes on within a large tick where the log cannot be read for a while', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { mode: 'stream' });
		world.write([['a', 'INSERT', 3500]]);
		for (let i = 0; i < 6; i++) {
			await world.pass(1);
			world.failure = i === 1 ? new Error('away') : null;
			peer.acks[i]?.();
			await world.pass(1);
			world.failure = null;
			await world.pass(600);
		}
		expect(peer.ticks.map(({ part }) => part)).toEqual([0, 1, 2, 3]);
		expect(problemsOf(peer, world, {})).toEqual([]);
	});

	test('ends when its viewer turns out to be gone', async () => {
		const world = makeWorld();
		let sends = 0;
		const peer = world.peer({ gone: () => ++sends > 0 });
		await world.subscribe(peer, { mode: 'stream' });
		world.write([['a', 'INSERT']]);
		await world.pass(100);
		expect(sends).toBe(1);
	});

	test('a tick in parts is of the same ticks whatever follows it', async () => {
		const world = makeWorld();
		const ticks = world.writeUnseen([['a', 'INSERT', 90]], [['a', 'INSERT']]);
		for (const change of ticks[0]!.changes) change.after = 'x'.repeat(12_000);
		world.hub.ticks(ticks.slice(1));
		const peer = world.peer();
		await world.subscribe(peer, { mode: 'stream', after: { epoch: 'one', tick: '0' } });
		for (let i = 0; i < 3; i++) {
			await world.pass(1);
			peer.acks[i]?.();
		}
		expect(peer.ticks.map(({ from, tick, more }) => [from, tick, more])).toEqual([
			['0', '1', true],
			['0', '1', false],
			['1', '2', undefined]
		]);
	});

	test('begins once what was sent before it is read', async () => {
		const world = makeWorld({ head: 9 });
		const peer = world.peer({ slow: true });
		await world.subscribe(peer, { mode: 'stream', after: { epoch: 'one', tick: '3' } });
		await world.pass(1_000);
		expect(peer.ticks).toEqual([]);
		peer.slow = false;
		await world.pass(40);
		expect(peer.ticks).toMatchObject([{ from: '3', tick: '9' }]);
	});

	test('moves on every 5 s where nothing matches', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { mode: 'stream', filter: only('b') });
		for (let i = 0; i < 70; i++) {
			world.write([['a', 'INSERT']]);
			await world.pass(100);
		}
		expect(peer.ticks).toMatchObject([{ from: '0', changes: [], counts: [] }]);
	});

	test('ends when it is stopped', async () => {
		const world = makeWorld();
		const peer = world.peer();
		await world.subscribe(peer, { mode: 'stream' });
		world.hub.unsubscribe(peer);
		world.write([['a', 'INSERT']]);
		await world.pass(100);
		expect(peer.ticks).toEqual([]);
	});
});

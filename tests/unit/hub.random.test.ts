/** Whatever happens in whatever order, every viewer is sent every tick once, in order, exactly counted, or a gap. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Filter } from '../../src/lib/protocol.ts';
import { makeWorld, problemsOf, type FakePeer, type Recipe } from './support/world.ts';

const op = fc.constantFrom('INSERT' as const, 'UPDATE' as const, 'DELETE' as const);
const table = fc.constantFrom('a', 'b', '__proto__');
const recipe: fc.Arbitrary<Recipe> = fc.array(
	fc.tuple(
		table,
		op,
		fc.oneof(
			{ weight: 9, arbitrary: fc.integer({ min: 1, max: 4 }) },
			{ weight: 1, arbitrary: fc.constantFrom(999, 1000, 1001, 2345) }
		)
	),
	{ minLength: 1, maxLength: 3 }
);
const some: fc.Arbitrary<Filter> = fc.record(
	{
		tables: fc.array(
			table.map((table) => ({ schema: 'public', table })),
			{ maxLength: 2 }
		),
		ops: fc.array(op, { maxLength: 2 })
	},
	{ requiredKeys: [] }
);
const filter = fc.oneof(fc.constant<Filter>({}), some);
const who = fc.nat(2);
const action = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constant('write' as const),
			recipes: fc.array(recipe, { minLength: 1, maxLength: 5 })
		})
	},
	{
		weight: 6,
		arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 10, 40, 300, 6000) })
	},
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constant('subscribe' as const),
			who,
			filter,
			mode: fc.constantFrom('feed' as const, 'stream' as const),
			limit: fc.constantFrom(1, 3, 200, 1000),
			back: fc.option(fc.nat(30))
		})
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), who }) },
	{ weight: 3, arbitrary: fc.record({ do: fc.constant('slow' as const), who }) },
	{ weight: 6, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), who }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant('prune' as const), behind: fc.nat(10) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), ms: fc.constantFrom(10, 700) }) }
);

test('delivery is complete, exact and in order, or tells a gap', async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
			const world = makeWorld({ head: 3 });
			const peers: FakePeer[] = Array.from({ length: 3 }, () => world.peer());
			const filters = new Map<FakePeer, Filter>();
			const settled: Promise<unknown>[] = [];
			for (const act of actions) {
				if (act.do === 'write') world.write(...act.recipes);
				else if (act.do === 'pass') await world.pass(act.ms);
				else if (act.do === 'prune') {
					const to = world.bounds.head - BigInt(act.behind);
					if (to > world.bounds.oldest) world.bounds.oldest = to;
				} else if (act.do === 'fail') {
					world.failure = new Error('away');
					await world.pass(act.ms);
					world.failure = null;
				} else {
					const peer = peers[act.who]!;
					if (act.do === 'slow') peer.slow = !peer.slow;
					else if (act.do === 'acknowledge') peer.acks.shift()?.();
					else if (act.do === 'leave') {
						world.hub.leave(peer);
						filters.delete(peer);
					} else {
						// A new peer each time, so that its log begins with this subscription.
						world.hub.leave(peer);
						filters.delete(peer);
						const fresh = world.peer({ slow: peer.slow });
						peers[act.who] = fresh;
						const tick = world.hub.head - BigInt(act.back ?? 0);
						const after = act.back === null ? null : { epoch: 'one', tick: String(tick > 0n ? tick : 0n) };
						filters.set(fresh, act.filter);
						settled.push(
							world.subscribe(fresh, { filter: act.filter, mode: act.mode, limit: act.limit, after })
						);
						await world.pass(0);
					}
				}
			}
			await Promise.all(settled);
			const reached = (peer: FakePeer) => {
				const last = peer.log.at(-1)!;
				return 'ack' in last ? last.ack.tick : 'gap' in last ? last.gap.until : last.tick.tick;
			};
			const head = String(world.bounds.head);
			for (let i = 0; i < 200 && [...filters.keys()].some((peer) => reached(peer) !== head); i++) {
				for (const peer of peers) {
					peer.slow = false;
					while (peer.acks.length > 0) peer.acks.shift()!();
				}
				await world.pass(700);
			}
			for (const [peer, filter] of filters) {
				expect(problemsOf(peer, world, filter)).toEqual([]);
				expect(reached(peer)).toBe(head);
			}
		}),
		{ numRuns: 200, interruptAfterTimeLimit: 15_000 }
	);
}, 30_000);

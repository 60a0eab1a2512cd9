import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { Fold, headersOf } from '../../src/lib/travel.ts';

/** What a writer may do; ids come from a small range, so that they meet again. */
type Act =
	| { kind: 'write'; id: number; n: number }
	| { kind: 'delete'; id: number }
	| { kind: 'move'; id: number; to: number }
	| { kind: 'shift'; reversed: boolean }
	| { kind: 'truncate' };

const id = fc.integer({ min: 1, max: 8 });
const act: fc.Arbitrary<Act> = fc.oneof(
	{ weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), id, n: fc.nat(99) }) },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), id }) },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant('move' as const), id, to: id }) },
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant('shift' as const), reversed: fc.boolean() }) },
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const) }) }
);

const text = (key: number, n: number, born: number) => `{"id": ${key}, "n": ${n}, "born": ${born}}`;

/** Plays the acts on a table of the test's own; gives the log, and the rows after each of its transactions. */
function play(acts: Act[]) {
	let table = new Map<number, { n: number; born: number }>();
	const log: Change[] = [];
	const states: { length: number; rows: string[] }[] = [];
	const say = (tx: number, op: Change['op'], before: string | null, after: string | null) =>
		log.push({
			schema: 'public',
			table: 't',
			seq: String(log.length + 1),
			tick: String(Math.floor(tx / 3)),
			tx: String(tx),
			at: new Date(1_700_000_000_000 + log.length).toISOString(),
			op,
			before,
			after,
			key: op === 'TRUNCATE' ? null : { id: String(/\d+/.exec((after ?? before)!)![0]) }
		});
	const of = (key: number) => text(key, table.get(key)!.n, table.get(key)!.born);
	acts.forEach((act, tx) => {
		if (act.kind === 'truncate') {
			table.clear();
			say(tx, 'TRUNCATE', null, null);
		} else if (act.kind === 'shift') {
			const rows = [...table].sort(([a], [b]) => (act.reversed ? b - a : a - b));
			const shifted = new Map(rows.map(([key, row]) => [key + 1, row]));
			for (const [key, { n, born }] of rows) say(tx, 'UPDATE', text(key, n, born), text(key + 1, n, born));
			table = shifted;
		} else if (act.kind === 'write') {
			const before = table.has(act.id) ? of(act.id) : null;
			table.set(act.id, { n: act.n, born: table.get(act.id)?.born ?? tx });
			say(tx, before ? 'UPDATE' : 'INSERT', before, of(act.id));
		} else if (act.kind === 'delete' && table.has(act.id)) {
			say(tx, 'DELETE', of(act.id), null);
			table.delete(act.id);
		} else if (act.kind === 'move' && table.has(act.id) && !table.has(act.to)) {
			const before = of(act.id);
			table.set(act.to, table.get(act.id)!);
			table.delete(act.id);
			say(tx, 'UPDATE', before, of(act.to));
		}
		const rows = [...table.keys()].sort((a, b) => a - b).map(of);
		states.push({ length: log.length, rows });
	});
	return { log, states };
}

test('folding backwards gives what replaying forwards gives, at every moment and in pages of any size', () => {
	fc.assert(
		fc.property(fc.array(act, { maxLength: 40 }), fc.integer({ min: 1, max: 7 }), (acts, size) => {
			const { log, states } = play(acts);
			for (const { length, rows } of states) {
				const fold = new Fold(['id']);
				const newestFirst = log.slice(0, length).reverse();
				for (let i = 0; i < newestFirst.length; i += size) fold.add(newestFirst.slice(i, i + size));
				expect(fold.rows().map(({ row }) => row)).toEqual(rows);
			}
		})
	);
});

test('what is known after a part is true: reading on adds rows, and changes none', () => {
	fc.assert(
		fc.property(fc.array(act, { maxLength: 40 }), fc.nat(40), (acts, part) => {
			// A line of moves is cut in the middle only where a page ends: it is whole again with the next.
			const { log, states } = play(acts.filter(({ kind }) => kind !== 'shift'));
			const fold = new Fold(['id']);
			fold.add(log.toReversed().slice(0, part));
			const all = states.at(-1)?.rows ?? [];
			for (const { row } of fold.rows()) expect(all).toContain(row);
		})
	);
});

const change = (seq: string, op: Change['op'], after: string | null, rest: Partial<Change> = {}): Change => ({
	schema: 'public',
	table: 't',
	seq,
	tick: '1',
	tx: '1',
	at: `2026-01-01T00:00:0${seq}.000000Z`,
	op,
	before: null,
	after,
	key: null,
	...rest
});

test('values stay exact, keys sort as numbers, references tell nothing', () => {
	const fold = new Fold(['id']);
	fold.add([
		change('4', 'REFERENCE', '{"id": 3, "big": 1}'),
		change('3', 'INSERT', '{"id": 10, "big": 9007199254740993}'),
		change('2', 'INSERT', '{"id": 9, "price": 0.10}')
	]);
	expect(fold.rows().map(({ row }) => row)).toEqual([
		'{"id": 9, "price": 0.10}',
		'{"id": 10, "big": 9007199254740993}'
	]);
	expect(headersOf(['id', 'big'], fold.rows())).toEqual(['id', 'big', 'price']);
	expect([fold.read, fold.since]).toEqual([2, '2026-01-01T00:00:02.000000Z']);
});

test('a truncate ends the reading; that of a partition is told, and the reading goes on', () => {
	const fold = new Fold(['a', 'b']);
	const partition = { schema: 'public', table: 'part' };
	fold.add([
		change('4', 'INSERT', '{"a": 1, "b": "x"}'),
		change('3', 'TRUNCATE', null, { partition }),
		change('2', 'INSERT', '{"a": 1, "b": "y"}'),
		change('1', 'TRUNCATE', null),
		change('0', 'INSERT', '{"a": 2, "b": "z"}')
	]);
	expect(fold.rows().map(({ key }) => key)).toEqual([
		['1', '"x"'],
		['1', '"y"']
	]);
	expect([fold.truncated?.seq, fold.partly?.seq]).toEqual(['1', '3']);
});

test('of rows that had not the columns of the key, nothing is known', () => {
	const fold = new Fold(['book_id']);
	fold.add([
		change('3', 'INSERT', '{"book_id": 1}'),
		change('2', 'UPDATE', '{"id": 2}', { before: '{"id": 2}' }),
		change('1', 'INSERT', '{"book_id": 3}')
	]);
	expect(fold.rows().map(({ key }) => key)).toEqual([['1']]);
	expect([fold.ended, fold.rekeyed?.seq]).toEqual([true, '2']);
});

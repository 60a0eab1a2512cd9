import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addSeries, piecesOf } from '../../src/lib/pieces.ts';

const of = { schema: 'public', table: 'Book', op: 'INSERT' as const };
const from = '2026-01-31T12:00:00.000Z';
const at = (ms: number) => new Date(Date.parse(from) + ms).toISOString();
const steps = (rows: number[], stepMs = 1000) => ({ from, stepMs, series: [{ ...of, rows }] });

test('pieces gather steps from the newest on; silence is left out, and a busy step is cut', () => {
	expect(piecesOf(steps([0, 0]), 10)).toEqual([]);
	expect(piecesOf(steps([5, 0, 0, 4, 3, 0, 25, 0]), 10)).toEqual([
		{ from: at(6666), to: at(7000), buckets: 1 },
		{ from: at(6333), to: at(6666), buckets: 1 },
		{ from: at(6000), to: at(6333), buckets: 1 },
		{ from: at(3000), to: at(5000), buckets: 2 },
		{ from: at(0), to: at(1000), buckets: 1 }
	]);
});

test('however changes lie in time, pieces hold each of them once and add up to the steps', () => {
	const stepMs = fc.constantFrom(1, 250, 999, 600_000);
	const rows = fc.array(fc.oneof(fc.constant(0), fc.nat(50)), { minLength: 1, maxLength: 40 });
	fc.assert(
		fc.property(stepMs, rows, fc.integer({ min: 1, max: 60 }), (stepMs, rows, most) => {
			const whole = steps(rows, stepMs);
			// The changes of a step at equal distances, in whole milliseconds.
			const times = rows.flatMap((count, step) =>
				Array.from(
					{ length: count },
					(_, i) => Date.parse(from) + step * stepMs + Math.floor((i * stepMs) / count)
				)
			);
			const added: typeof whole.series = [];
			let before = Infinity;
			for (const { from, to, buckets } of piecesOf(whole, most)) {
				const [start, end] = [Date.parse(from), Date.parse(to)];
				expect(start).toBeLessThan(end);
				expect(end).toBeLessThanOrEqual(before);
				before = start;
				const step = Math.ceil((end - start) / buckets);
				const counts = new Array<number>(buckets).fill(0);
				const within = times.filter((time) => time >= start && time < end);
				for (const time of within) counts[Math.floor((time - start) / step)]!++;
				addSeries(added, whole, { from, stepMs: step, series: [{ ...of, rows: counts }] });
			}
			expect(rows.map((_, i) => added[0]?.rows[i] ?? 0)).toEqual(rows);
		})
	);
});

import { afterEach, expect, test } from 'vitest';
import { ceiling, heightLabel, marks } from '../../src/lib/components/chart.ts';

const { TZ } = process.env;
afterEach(() => {
	if (TZ === undefined) delete process.env.TZ;
	else process.env.TZ = TZ;
});

test('a chart has marks enough to read it by, and no more than fit, at any width', () => {
	for (const hours of [1 / 60, 1 / 12, 1 / 4, 1, 24, 168, 720, 8784, 87_840])
		for (const width of [300, 640, 1100, 1800]) {
			const found = marks(0, hours * 3_600_000, width).length;
			expect(found).toBeGreaterThan(0);
			expect(found).toBeLessThanOrEqual(width / 60);
		}
});

test('where the clocks change, a date still stands at the beginning of its day and hours stay round', () => {
	const marksIn = (zone: string, from: string, to: string, width = 1100) => {
		process.env.TZ = zone;
		return marks(Date.parse(from), Date.parse(to), width).map(({ value }) => new Date(value));
	};
	const beginsDay = (at: Date) => at.getHours() + at.getMinutes() === 0;
	for (const [zone, from, to] of [
		['Europe/Berlin', '2026-10-22T10:00Z', '2026-10-29T10:00Z'],
		['America/New_York', '2026-10-30T12:00Z', '2026-11-29T12:00Z'],
		['America/New_York', '2026-03-01T12:00Z', '2026-03-31T12:00Z']
	] as const)
		for (const width of [400, 1100, 1900]) {
			const found = marksIn(zone, from, to, width);
			expect(found.filter((at) => !beginsDay(at))).toEqual([]);
			expect(new Set(found.map((at) => at.toDateString())).size).toBe(found.length);
		}
	// A day that begins at one o'clock.
	expect(
		marksIn('Africa/Cairo', '2026-04-22T10:00Z', '2026-04-26T10:00Z').map((at) => at.getHours())
	).toEqual([0, 1, 0, 0]);
	const day = marksIn('America/New_York', '2026-10-31T18:00Z', '2026-11-01T18:00Z');
	expect(day.map((at) => [at.getHours() % 4, at.getMinutes()])).toEqual(day.map(() => [0, 0]));
	// The hour that is there twice has its marks twice.
	const hour = marksIn('America/New_York', '2026-11-01T05:25Z', '2026-11-01T06:25Z', 700);
	expect(hour.map((at) => at.getMinutes())).toEqual([30, 40, 50, 0, 10, 20]);
});

test('what stands at the heights of a chart has room there, however little happens', () => {
	for (let most = 1e-6; most < 1e6; most *= 1.7) {
		const top = ceiling(most);
		expect(top).toBeGreaterThanOrEqual(most * 0.999);
		for (const height of [top, top / 2]) expect(heightLabel(height, top).length).toBeLessThanOrEqual(7);
	}
	expect([0.5, 1].map((height) => heightLabel(height, ceiling(0)))).toEqual(['0.5/s', '1/s']);
	const seldom = ceiling(0.0006);
	expect([seldom / 2, seldom].map((height) => heightLabel(height, seldom))).toEqual(['1.5/h', '3/h']);
});

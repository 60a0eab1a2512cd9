import { expect, test } from 'vitest';
import { Delay } from '../../src/lib/delay.ts';
import { ago, axisRate, counted, duration, percent, rate, stretchOf, when } from '../../src/lib/format.ts';

test('durations in the two units that matter', () => {
	expect([0, 850, 1200, 14_000, 200_000, 7_500_000, 273_600_000].map(duration)).toEqual([
		'0 ms',
		'850 ms',
		'1.2 s',
		'14 s',
		'3 min 20 s',
		'2 h 5 min',
		'3 d 4 h'
	]);
});

test('a moment of another day has its day, a stretch over midnight both', () => {
	const at = (day: number, hour: number, year = 2026) => new Date(year, 10, day, hour).getTime();
	const dated = (ms: number, names: Intl.DateTimeFormatOptions) =>
		new Intl.DateTimeFormat(undefined, names).formatToParts(ms).map(({ value }) => value);
	const today = at(25, 12);
	expect(when(at(25, 10), today)).toBe('10:00:00');
	const before = when(at(24, 10), today);
	for (const part of dated(at(24, 10), { day: 'numeric', month: 'short' })) expect(before).toContain(part);
	expect(before).toMatch(/10:00:00$/);
	expect(when(at(24, 10, 2019), today)).toContain('19');
	expect(stretchOf(at(25, 10), at(25, 11), today)).toBe('10:00:00 to 11:00:00');
	expect(stretchOf(at(24, 10), at(24, 11), today)).toBe(`${before} to 11:00:00`);
	const over = stretchOf(at(24, 10), at(25, 11), today);
	for (const day of ['24', '25']) expect(over).toContain(day);
	expect(over).toMatch(/10:00:00 to .+11:00:00$/);
});

test('how long ago, in one unit', () => {
	expect([500, 3200, 125_000].map(ago)).toEqual(['now', '3 s ago', '2 min ago']);
});

test('rates: never zero where something happens', () => {
	expect([0, 0.01, 0.24, 9.9, 38.4].map(rate)).toEqual(['0', '0.1', '0.2', '9.9', '38']);
});

test('the delay counts from the commit, not from when a long transaction wrote its row', () => {
	const delay = new Delay();
	delay.note(1000, 990, 1010);
	delay.note(61_000, 2000, 61_020);
	expect(delay.percentile(0)).toBe(20);
});

test('clocks that differ are told from delay', () => {
	const delay = new Delay();
	delay.note(100_000, 99_990, 40_000);
	expect(delay.skew).toBe(-60_000);
	delay.note(101_000, 100_995, 41_005);
	expect(delay.percentile(0.99)).toBeLessThan(50);
});

test('a day is 24 h, as the chart’s button says', () => {
	expect([86_400_000, 172_740_000, 604_800_000].map(duration)).toEqual(['24 h', '47 h 59 min', '7 d']);
});

test('the marks of an axis are exact', () => {
	expect([0.0005, 0.25, 0.5, 1.5, 20, 25_000].map(axisRate)).toEqual([
		'0.0005',
		'0.25',
		'0.5',
		'1.5',
		'20',
		'25K'
	]);
});

test('one is singular', () => {
	expect([0, 1, 1204].map((n) => counted(n, 'change'))).toEqual(['0 changes', '1 change', '1,204 changes']);
});

test('a share is never nothing where there is something', () => {
	expect([0, 0.001, 0.004999, 0.125, 1].map(percent)).toEqual(['0%', '<1%', '<1%', '13%', '100%']);
});

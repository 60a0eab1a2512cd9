import { expect, test } from 'vitest';
import { Delay } from '../../src/lib/delay.ts';
import { ago, axisRate, counted, duration, percent, rate } from '../../src/lib/format.ts';

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

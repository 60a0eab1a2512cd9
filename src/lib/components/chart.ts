/** The stacked chart: drawn by Chart.js, fetched when it is first needed, updated in place and never animated. */

import {
	BarController,
	BarElement,
	Chart,
	LinearScale,
	type ChartArea,
	type ChartConfiguration,
	type ScaleOptions
} from 'chart.js';
import { axisRate, clockTime, dateOf, minuteTime, monthOf } from '../format.ts';
import type { Op } from '../protocol.ts';

Chart.register(BarController, BarElement, LinearScale);

interface Point {
	x: number;
	y: number;
}

export const STACK: Op[] = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'];

export interface Inks {
	ops: Record<string, string>;
	ghost: string;
	/** Whether what is to come is drawn as outlines: there are not enough colours for it. */
	hollow: boolean;
	line: string;
	text: string;
	font: string;
}

/** What to draw: rows by step. */
export interface Picture {
	from: number;
	to: number;
	stepMs: number;
	rows: Partial<Record<Op, number[]>>;
	/** Rows that are yet to come (replay): drawn as an outline behind. */
	ghost: number[] | null;
}

const DAY = 86_400_000;
const HOUR = 3_600_000;
const WEEK = 7 * DAY;
const MARKS = [
	...[5_000, 10_000, 15_000, 30_000, 60_000, 180_000, 300_000, 600_000, 1_800_000],
	...[HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR, DAY, 3 * DAY, WEEK]
];

/** The moment at which the person's clock shows what that of UTC shows at `wall`: a date without a zone is theirs. */
const momentAt = (wall: number) => Date.parse(new Date(wall).toISOString().slice(0, -1));

/** Whether marks are told by their dates alone. */
const byDate = (length: number) => length > 2 * DAY;

/** Round moments between two others, in the person's zone, about one each 110 pixels. */
export function marks(from: number, to: number, width: number): { value: number }[] {
	const wanted = Math.max((to - from) / Math.max(2, width / 110), byDate(to - from) ? DAY : 0);
	const step = MARKS.find((mark) => mark >= wanted) ?? Math.ceil(wanted / WEEK) * WEEK;
	const zone = new Date(from).getTimezoneOffset() * 60_000;
	// A label that would be cut off at an edge is left out.
	const margin = ((to - from) / width) * 26;
	const found: { value: number }[] = [];
	// Clocks may go forward before the end.
	for (let wall = Math.ceil((from - zone) / step) * step; wall + zone <= to + HOUR; wall += step) {
		// Clocks change by an hour: a shorter step stays round, and goes through the hour that is there twice.
		const value = step > HOUR ? momentAt(wall) : wall + zone;
		if (value - from > margin && to - value > margin) found.push({ value });
	}
	return found;
}

/** How the bars of an operation look, or of what is to come. */
function paint(name: string, { ops, ghost, hollow, text }: Inks) {
	const outline = hollow && !ops[name];
	return {
		backgroundColor: ops[name] ?? (outline ? 'transparent' : ghost),
		borderColor: text,
		borderWidth: outline ? 1 : 0
	};
}

/**
 * Makes the chart on a canvas; gives how to draw, to recolour, and to take it away. `placed` hears where the bars are, in
 * pixels of the canvas, whenever it is laid out.
 */
export function makeChart(canvas: HTMLCanvasElement, inks: Inks, placed: (area: ChartArea) => void) {
	const datasets = [...STACK, 'ghost'].map((name) => ({
		label: name,
		data: [] as Point[],
		...paint(name, inks),
		barPercentage: 1,
		categoryPercentage: 0.84,
		stack: name === 'ghost' ? 'ghost' : 'rows',
		grouped: false
	}));
	/** Of labels, in pixels: larger on a wall. */
	const textSize = () => parseFloat(getComputedStyle(canvas).fontSize);
	const config: ChartConfiguration<'bar', Point[]> = {
		type: 'bar',
		data: { datasets },
		plugins: [{ id: 'placed', afterLayout: ({ chartArea }) => placed(chartArea) }],
		options: {
			animation: false,
			parsing: false,
			normalized: true,
			responsive: true,
			maintainAspectRatio: false,
			// Before it is laid out anew: on a wall, other sizes of text hold.
			onResize: sizeLabels,
			events: [],
			layout: { padding: { top: 4 } },
			scales: {
				x: {
					type: 'linear',
					offset: false,
					stacked: true,
					border: { display: false },
					grid: { display: false },
					afterBuildTicks: (axis) => void (axis.ticks = marks(axis.min, axis.max, axis.width)),
					ticks: {
						color: inks.text,
						font: { family: inks.font },
						maxRotation: 0,
						autoSkip: false,
						callback(value) {
							const at = Number(value);
							if (this.max - this.min > 400 * DAY) return monthOf(at);
							if (byDate(this.max - this.min)) return dateOf(at);
							return this.max - this.min <= 900_000 && at % 60_000 !== 0 ? clockTime(at) : minuteTime(at);
						}
					}
				},
				y: {
					type: 'linear',
					stacked: true,
					position: 'right',
					beginAtZero: true,
					border: { display: false },
					grid: { color: inks.line, drawTicks: false },
					ticks: {
						color: inks.text,
						font: { family: inks.font },
						count: 3,
						padding: 8,
						callback(value) {
							return Number(value) === 0 ? '' : heightLabel(Number(value), this.max);
						}
					},
					afterFit: (axis) => void (axis.width = 4 * textSize() + 8)
				}
			}
		}
	};
	/** Chart.js makes new ones with each update. */
	const scales = ({ options }: Chart) => options.scales as Record<'x' | 'y', ScaleOptions<'linear'>>;
	function sizeLabels(chart: Chart) {
		const font = { family: inks.font, size: textSize() };
		for (const { ticks } of Object.values(scales(chart))) ticks!.font = font;
	}
	const chart: Chart = new Chart(canvas, config);

	return {
		draw({ from, to, stepMs, rows, ghost }: Picture) {
			const perSecond = stepMs / 1000;
			let most = 0;
			const size = Math.round((to - from) / stepMs);
			const totals = new Array<number>(size).fill(0);
			datasets.forEach((dataset, i) => {
				const values = i < STACK.length ? rows[STACK[i]!] : (ghost ?? []);
				dataset.data.length = size;
				for (let step = 0; step < size; step++) {
					const value = (values?.[step] ?? 0) / perSecond;
					const bar = (dataset.data[step] ??= { x: 0, y: 0 });
					bar.x = from + (step + 0.5) * stepMs;
					bar.y = value;
					if (i < STACK.length) totals[step]! += value;
					else totals[step] = Math.max(totals[step]!, value);
				}
			});
			for (const total of totals) if (total > most) most = total;
			const { x, y } = scales(chart);
			sizeLabels(chart);
			x.min = from;
			x.max = to;
			y.max = ceiling(most);
			chart.update('none');
		},
		recolour(next: Inks) {
			for (const dataset of datasets) Object.assign(dataset, paint(dataset.label, next));
			const { x, y } = scales(chart);
			for (const { ticks } of [x, y]) ticks!.color = next.text;
			y.grid!.color = next.line;
			// Not 'none': that leaves the bars the colours which they share.
			chart.update();
		},
		destroy: () => chart.destroy()
	};
}

/** What rates are told by, in seconds. */
const UNITS: [string, number][] = [
	['s', 1],
	['h', 3600],
	['d', 86_400]
];

/** What an axis up to `top` changes a second is told by: of a small fraction, the figures have no room. */
const unitOf = (top: number) => UNITS.find(([, seconds]) => top * seconds >= 0.1) ?? UNITS.at(-1)!;

/** `20/s`, `1.5/h`: a rate at an axis that goes up to `top`. */
export function heightLabel(perSecond: number, top: number): string {
	const [unit, seconds] = unitOf(top);
	return `${axisRate(perSecond * seconds)}/${unit}`;
}

/** The top of an axis for `most` changes a second: above it, round in its unit, and so is its half. */
export function ceiling(most: number): number {
	if (most <= 0) return 1;
	const [, seconds] = unitOf(most);
	return roundAbove(most * seconds) / seconds;
}

function roundAbove(most: number): number {
	const power = 10 ** Math.floor(Math.log10(most));
	return (
		[1, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((top) => top >= most * 0.999) ?? 10 * power
	);
}

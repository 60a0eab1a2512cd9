/** Numbers, times and durations for people, in their own locale and zone. */

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const parts = new Intl.NumberFormat(undefined, { style: 'percent' });
const clock = new Intl.DateTimeFormat(undefined, {
	hour: '2-digit',
	minute: '2-digit',
	second: '2-digit',
	hourCycle: 'h23'
});
const stamp = new Intl.DateTimeFormat(undefined, {
	hour: '2-digit',
	minute: '2-digit',
	second: '2-digit',
	fractionalSecondDigits: 3,
	hourCycle: 'h23'
});
const minute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const month = new Intl.DateTimeFormat(undefined, { month: 'short', year: 'numeric' });
const day = new Intl.DateTimeFormat(undefined, {
	dateStyle: 'short',
	timeStyle: 'medium',
	hourCycle: 'h23'
});
const dayClock = new Intl.DateTimeFormat(undefined, {
	day: 'numeric',
	month: 'short',
	hour: '2-digit',
	minute: '2-digit',
	second: '2-digit',
	hourCycle: 'h23'
});
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long', hourCycle: 'h23' });

/** `1,204`. */
export function count(rows: number): string {
	return whole.format(rows);
}

/** `1 change`, `1,204 changes`. */
export function counted(number: number, noun: string): string {
	return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** `12M`: where `12,204,311` would not fit. Exact up to seven digits. */
export function compact(rows: number): string {
	return rows < 10_000_000 ? whole.format(rows) : short.format(rows);
}

/** `12%`, `<1%`, `>99%`. */
export function percent(share: number): string {
	if (share > 0 && share < 0.005) return `<${parts.format(0.01)}`;
	return share < 1 && share >= 0.995 ? `>${parts.format(0.99)}` : parts.format(share);
}

/** `850 byte`, `1.2 MB`. */
export function byteSize(bytes: number): string {
	const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
	const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
	return new Intl.NumberFormat(undefined, {
		style: 'unit',
		unit: units[power]!,
		maximumFractionDigits: 1
	}).format(bytes / 1000 ** power);
}

/** Changes a second at a mark of an axis, exactly: `0.25`, `1.5`, `25K`. */
export function axisRate(perSecond: number): string {
	return perSecond < 1
		? perSecond.toLocaleString(undefined, { maximumSignificantDigits: 2 })
		: rate(perSecond);
}

/** Changes a second: `38`, `0.2`, `1.9k`. */
export function rate(perSecond: number): string {
	if (perSecond === 0) return whole.format(0);
	if (perSecond < 9.95) return (Math.round(perSecond * 10) / 10 || 0.1).toLocaleString();
	const rows = Math.round(perSecond);
	return rows < 10_000 ? whole.format(rows) : short.format(rows);
}

/** In the person's zone `12:03:04.221`, or, of another day than `today`, `22 Nov, 12:03:04`. */
export function moment(iso: string, today = Date.now()): string {
	const ms = Date.parse(iso);
	return sameDay(ms, today) ? stamp.format(ms) : dated(ms, today);
}

/** `12:03:04`. */
export function clockTime(ms: number): string {
	return clock.format(ms);
}

/** As the protocol writes a time. */
export function iso(ms: number): string {
	return new Date(ms).toISOString();
}

/** `22/11/2026, 12:03:04`. */
export function dayTime(ms: number): string {
	return day.format(ms);
}

/** When the day began that holds a moment, in the person's zone. */
export function startOfDay(ms: number): number {
	return new Date(ms).setHours(0, 0, 0, 0);
}

/** Whether both are of one day, in the person's zone. */
export function sameDay(a: number, b: number): boolean {
	return new Date(a).toDateString() === new Date(b).toDateString();
}

/** `12:03:04`, with its day where that is not today: `22 Nov, 12:03:04`, or, of another year, `22/11/2025, 12:03:04`. */
export function when(ms: number, today = Date.now()): string {
	return sameDay(ms, today) ? clock.format(ms) : dated(ms, today);
}

/** `12:03:04 to 12:08:04`, with the day where that is not today, and with both days where it has several. */
export function stretchOf(from: number, to: number, today = Date.now()): string {
	return sameDay(from, to)
		? `${when(from, today)} to ${clock.format(to)}`
		: `${dated(from, today)} to ${dated(to, today)}`;
}

function dated(ms: number, today: number): string {
	return (new Date(ms).getFullYear() === new Date(today).getFullYear() ? dayClock : day).format(ms);
}

/** `22 Nov`. */
export function dateOf(ms: number): string {
	return date.format(ms);
}

/** `Nov 2026`. */
export function monthOf(ms: number): string {
	return month.format(ms);
}

/** `12:03`. */
export function minuteTime(ms: number): string {
	return minute.format(ms);
}

/** Date, time and zone in words, with the microseconds that PostgreSQL recorded. */
export function exactTime(iso: string): string {
	return `${full.format(new Date(iso))} · ${iso}`;
}

/** `850 ms`, `14 s`, `3 min 20 s`, `2 h 5 min`, `24 h`, `3 d 4 h`. */
export function duration(ms: number): string {
	if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
	if (ms < 10_000 && ms % 1000 >= 100) return `${(Math.floor(ms / 100) / 10).toLocaleString()} s`;
	const seconds = Math.floor(ms / 1000);
	if (seconds < 60) return `${seconds} s`;
	const pair = (big: number, unit: string, small: number, smallUnit: string) =>
		small ? `${big} ${unit} ${small} ${smallUnit}` : `${big} ${unit}`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return pair(minutes, 'min', seconds % 60, 's');
	const hours = Math.floor(minutes / 60);
	if (hours < 48) return pair(hours, 'h', minutes % 60, 'min');
	return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** `now`, `3 s ago`, `5 min ago`: one unit, since it ticks while being read. */
export function ago(ms: number): string {
	if (ms < 1000) return 'now';
	// Whole seconds: of a fraction, each locale has its own digits and point.
	return `${duration(Math.floor(ms / 1000) * 1000)
		.split(' ')
		.slice(0, 2)
		.join(' ')} ago`;
}

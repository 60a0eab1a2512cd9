/**
 * Time buckets cut where the log has sums: into whole minutes, tens of seconds, seconds, and the rest, whose ticks are
 * read one by one. A day in 300 buckets takes thousands of sums instead of millions of ticks.
 */

/** From `from` up to `to`, in microseconds since 1970, of one bucket. `seconds`: the length of its sums, 0 for ticks. */
export interface Span {
	bucket: number;
	seconds: 0 | 1 | 10 | 60;
	from: number;
	to: number;
}

const SECOND = 1_000_000;
const UNITS = [60 * SECOND, 10 * SECOND, SECOND];

/** The spans of `buckets` buckets of `step` from `start` on, within [from, to). All in microseconds. */
export function spansOf(start: number, step: number, buckets: number, from: number, to: number): Span[] {
	const spans: Span[] = [];
	for (let bucket = 0; bucket < buckets; bucket++) {
		// What rounding leaves behind the last bucket belongs to it.
		const end = bucket === buckets - 1 ? to : Math.min(start + (bucket + 1) * step, to);
		cut(spans, bucket, Math.max(start + bucket * step, from), end, UNITS);
	}
	return spans;
}

/** Adds [from, to) as whole units of the first size, and what is left at both ends by the next. */
function cut(spans: Span[], bucket: number, from: number, to: number, [unit, ...smaller]: number[]): void {
	if (from >= to) return;
	if (unit === undefined) {
		spans.push({ bucket, seconds: 0, from, to });
		return;
	}
	const first = Math.ceil(from / unit) * unit;
	const last = Math.floor(to / unit) * unit;
	if (first >= last) return cut(spans, bucket, from, to, smaller);
	cut(spans, bucket, from, first, smaller);
	spans.push({ bucket, seconds: (unit / SECOND) as 1 | 10 | 60, from: first, to: last });
	cut(spans, bucket, last, to, smaller);
}

/** Microseconds since 1970 of an ISO time with any fraction of a second. */
export function microsOf(iso: string): number {
	const [, fraction = ''] = /\.(\d+)/.exec(iso) ?? [];
	const whole = Date.parse(iso.replace(/\.\d+/, ''));
	return whole * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
}

/** An ISO time with any fraction and zone as the protocol writes a time. */
export function isoUtc(iso: string): string {
	const [, fraction = ''] = /\.(\d+)/.exec(iso) ?? [];
	const whole = new Date(iso.replace(/\.\d+/, '')).toISOString();
	return whole.replace('000Z', `${fraction.slice(0, 6).padEnd(6, '0')}Z`);
}

/** Milliseconds since 1970 as the protocol writes a time. */
export function isoMicroseconds(ms: number): string {
	return isoOf(ms * 1000);
}

/** As PostgreSQL reads it. */
export function isoOf(micros: number): string {
	const seconds = Math.floor(micros / SECOND);
	return new Date(seconds * 1000)
		.toISOString()
		.replace(/^\+0/, '') // the last microsecond of 9999 rounds to year 10000
		.replace('000Z', `${String(micros - seconds * SECOND).padStart(6, '0')}Z`);
}

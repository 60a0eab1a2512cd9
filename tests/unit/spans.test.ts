import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isoOf, isoUtc, microsOf, spansOf } from '../../src/lib/server/spans.ts';

test('spans cover the range once, each in its bucket, in whole units that are as large as they can be', () => {
	const time = fc.integer({ min: 0, max: 200_000_000 });
	fc.assert(
		fc.property(
			time,
			fc.integer({ min: 1000, max: 90_000_000 }),
			fc.integer({ min: 1, max: 20 }),
			time,
			time,
			(start, step, buckets, a, b) => {
				const [from, to] = [
					Math.max(start, Math.min(a, b)),
					Math.min(start + step * buckets, Math.max(a, b))
				];
				const spans = spansOf(start, step, buckets, from, to);
				let reached = from;
				for (const span of spans) {
					expect(span.from).toBe(reached);
					expect(Math.floor((span.from - start) / step)).toBe(span.bucket);
					expect(span.to).toBeLessThanOrEqual(start + (span.bucket + 1) * step);
					if (span.seconds > 0) {
						expect([span.from % (span.seconds * 1e6), span.to % (span.seconds * 1e6)]).toEqual([0, 0]);
					} else expect(span.to - span.from).toBeLessThan(2e6);
					reached = span.to;
				}
				if (from < to) expect(reached).toBe(to);
				else expect(spans).toEqual([]);
			}
		)
	);
});

test('times keep their microseconds', () => {
	expect(microsOf('2026-01-31T12:00:00.000001Z')).toBe(Date.parse('2026-01-31T12:00:00Z') * 1000 + 1);
	expect(microsOf('2026-01-31T13:00:00.5+01:00')).toBe(Date.parse('2026-01-31T12:00:00.5Z') * 1000);
	expect(isoOf(microsOf('2026-01-31T12:00:00.123456Z'))).toBe('2026-01-31T12:00:00.123456Z');
	expect(isoOf(microsOf('9999-12-31T23:59:59.999999Z'))).toBe('10000-01-01T00:00:00.000000Z');
	expect(isoUtc('2026-01-31T13:00:00+01:00')).toBe('2026-01-31T12:00:00.000000Z');
	expect(isoUtc('9999-12-31T23:59:59.9999999Z')).toBe('9999-12-31T23:59:59.999999Z');
});

import { expect, test } from 'vitest';
import { marks } from '../../src/lib/components/chart.ts';

test('a chart has marks enough to read it by, and no more than fit, at any width', () => {
	for (const hours of [1 / 60, 1 / 12, 1 / 4, 1, 24, 168, 720, 8784, 87_840])
		for (const width of [300, 640, 1100, 1800]) {
			const found = marks(0, hours * 3_600_000, width).length;
			expect(found).toBeGreaterThan(0);
			expect(found).toBeLessThanOrEqual(width / 60);
		}
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { COST } from '../../src/lib/install.ts';

test('the cost that the first screen tells is what was measured for the README', () => {
	const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
	for (const { what, alone, served } of COST)
		expect(readme).toContain(`| ${what} | 1 | ${alone.toFixed(2)} | ${served.toFixed(2)} |`);
});

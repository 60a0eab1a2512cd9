import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
	plugins: [sveltekit()],
	test: {
		projects: [
			{
				extends: true,
				test: { name: 'unit', include: ['tests/unit/**/*.test.ts'], environment: 'node', testTimeout: 30_000 }
			},
			{
				extends: true,
				test: {
					name: 'integration',
					include: ['tests/integration/**/*.test.ts'],
					globalSetup: 'tests/support/setup.ts',
					pool: 'forks',
					maxWorkers: 2,
					sequence: { groupOrder: 1 },
					// The first test that needs the server may have to build it.
					testTimeout: 120_000,
					hookTimeout: 60_000
				}
			}
		]
	}
});

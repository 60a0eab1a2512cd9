import { afterEach, expect, test, vi } from 'vitest';
import { resolveConfig } from 'vite';

afterEach(() => vi.unstubAllEnvs());

test('whoever builds it, in whatever environment, builds it for production', async () => {
	vi.stubEnv('NODE_ENV', 'development');
	expect((await resolveConfig({}, 'build')).isProduction).toBe(true);
});

test('a server for development is one', async () => {
	vi.stubEnv('NODE_ENV', 'development');
	expect((await resolveConfig({}, 'serve')).isProduction).toBe(false);
});

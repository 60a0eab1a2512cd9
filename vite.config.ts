import type { Server } from 'node:http';
import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig, type Plugin } from 'vite';
import type { Door } from './src/hooks.server.ts';

const door = () => (globalThis as unknown as Record<symbol, Door | undefined>)[Symbol.for('rowcast')];

/** Rowcast on Vite's own http server, in dev and in preview, as `server.js` does it in production. */
function rowcast(): Plugin {
	async function start(http: Server): Promise<void> {
		const it = door();
		if (!it) return;
		try {
			// Where to listen is Vite's to say.
			const config = it.readConfig({ ...process.env, HOST: undefined, PORT: undefined });
			it.live = await it.startLive(http, config);
			http.once('close', () => void it.live?.close());
		} catch (error) {
			console.error(it.explainStart(error));
			process.exit(1);
		}
	}
	return {
		name: 'rowcast',
		configureServer(vite) {
			const http = vite.httpServer as Server | null;
			http?.once('listening', async () => {
				await vite.ssrLoadModule('/src/hooks.server.ts');
				await start(http);
			});
		},
		configurePreviewServer(vite) {
			// Kit's own plugin, which comes first, has loaded the built hooks by then.
			const http = vite.httpServer as Server;
			http.once('listening', () => start(http));
		}
	};
}

export default defineConfig(({ command }) => {
	// Whoever builds may have another: a page built for development is slower, and keeps all that it has shown.
	if (command === 'build') process.env.NODE_ENV = 'production';
	return { plugins: [sveltekit(), rowcast()] };
});

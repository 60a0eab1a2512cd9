/** The production server: the built site and Rowcast on one port. */
import { createServer } from 'node:http';

// The site must know that it is reached by plain http where no proxy says otherwise, or it takes its own forms for foreign.
process.env.PROTOCOL_HEADER ??= 'x-forwarded-proto';

const { handler } = await import('./build/handler.js');
/** @type {import('./src/hooks.server.ts').Door} */
const rowcast = /** @type {any} */ (globalThis)[Symbol.for('rowcast')];

const http = createServer((request, response) => {
	request.headers['x-forwarded-proto'] ??= 'http';
	handler(request, response);
});

/** @type {Promise<void> | undefined} */
let stopping;
/** @param {number} code */
function stop(code) {
	// Whatever hangs must not keep the process.
	setTimeout(() => process.exit(code), 4500).unref();
	stopping ??= (async () => {
		await rowcast.live?.close();
		http.closeAllConnections();
		process.exit(code);
	})();
}
process.on('SIGTERM', () => stop(0));
process.on('SIGINT', () => stop(0));

try {
	const config = rowcast.readConfig(process.env);
	rowcast.live = await rowcast.startLive(http, config);
	const { port } = await listen(config);
	console.log(`Rowcast is at http://${reachable(config.host)}:${port}`);
} catch (error) {
	console.error(rowcast.explainStart(error));
	stop(1);
}

/**
 * @param {{ host: string, port: number }} at
 * @returns {Promise<import('node:net').AddressInfo>}
 */
function listen({ host, port }) {
	return new Promise((resolve, reject) => {
		http.once('error', reject);
		http.listen(port, host, () => resolve(/** @type {import('node:net').AddressInfo} */ (http.address())));
	});
}

/** @param {string} host */
function reachable(host) {
	if (host === '0.0.0.0') return '127.0.0.1';
	if (host === '::') return '[::1]';
	return host.includes(':') ? `[${host}]` : host;
}

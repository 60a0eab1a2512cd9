/** `npm run storm -- --seed N --minutes M`: a random storm on real processes. The same seed draws the same events. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { seed, minutes } = parseArgs({
	options: {
		seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
		minutes: { type: 'string', default: '1' }
	}
}).values;
if (!/^\d+$/.test(seed) || !(Number(minutes) > 0)) {
	console.error('Usage: npm run storm -- [--seed N] [--minutes M]');
	process.exit(1);
}
console.log(`Seed ${seed}, ${minutes} minutes.`);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
const args = ['run', '--project', 'integration', 'tests/integration/faults.storm.test.ts', '-t', 'storm'];
spawn(process.execPath, [vitest, ...args, '--disable-console-intercept'], {
	cwd: root,
	stdio: 'inherit',
	env: { ...process.env, ROWCAST_STORM_SEED: seed, ROWCAST_STORM_MINUTES: minutes }
}).on('exit', (code) => process.exit(code ?? 1));

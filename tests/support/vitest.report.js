/**
 * A reporter for Vitest that writes what `tests/run.js` needs to the file REPORT: how many passed and failed, and of
 * each failure, a test's or a hook's, where and what. Vitest's own JSON has nothing of an error in a hook.
 * @import { Reporter, SerializedError } from 'vitest/node'
 */
import { writeFileSync } from 'node:fs';

/** @implements {Reporter} */
export default class Report {
	/** @type {NonNullable<Reporter['onTestRunEnd']>} */
	onTestRunEnd = (modules, unhandled) => {
		const failures = unhandled.map((error) => told('Outside of any test', [error]));
		let passed = 0;
		for (const module of modules) {
			const file = module.relativeModuleId;
			failures.push(...toldOf(file, module.errors()));
			for (const suite of module.children.allSuites())
				failures.push(...toldOf(`${file}: ${suite.fullName}`, suite.errors()));
			for (const test of module.children.allTests()) {
				const { state, errors } = test.result();
				if (state === 'passed') passed++;
				if (state === 'failed') failures.push(told(`${file}: ${test.fullName}`, errors ?? []));
			}
		}
		writeFileSync(/** @type {string} */ (process.env.REPORT), JSON.stringify({ passed, failures }));
	};
}

/** @param {string} where @param {readonly SerializedError[]} errors */
const toldOf = (where, errors) => (errors.length ? [told(where, errors)] : []);

/** @param {string} where @param {readonly SerializedError[]} errors */
const told = (where, errors) => [where, ...errors.map(({ message }) => message)].join('\n');

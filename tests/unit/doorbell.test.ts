import { describe, expect, test } from 'vitest';
import { doorbell, type Mistakes } from '../support/doorbell.ts';
import { explore } from '../support/explore.ts';

describe('the doorbell', () => {
	test('3 writers, a leader that may die at any step, and a successor: no change waits for the safety poll, and nobody rings for nobody', () => {
		const { states, fault } = explore(doorbell(3));
		expect(fault).toBeUndefined();
		expect(states).toBeGreaterThan(10_000);
	}, 120_000);

	const mistakes: Record<string, Mistakes> = {
		'sleeps without waiting for those who found the lock free': { sleepsAtOnce: true },
		'reads the barrier before it takes the lock': { barrierBeforeLock: true },
		"takes a snapshot's xmax for the barrier, which running transactions may be beyond": {
			barrierFromSnapshot: true
		},
		'looks whether it may sleep after its last tick': { looksAfterTick: true },
		'forgets a ring that comes while it ticks': { forgetsRings: true },
		'lets writers test before they have an xid': { testsBeforeXid: true },
		'lets writers ring before they have committed': { ringsBeforeCommit: true },
		'leaves its lock behind when it dies': { lockOutlivesLeader: true }
	};
	test.each(Object.entries(mistakes))('would lose a change if it were one that %s', (_, mistake) => {
		expect(explore(doorbell(2, mistake)).fault).toBeDefined();
	});
});

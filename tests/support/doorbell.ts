/**
 * The doorbell as a model, after the trigger (sql/003_capture.sql) and the leader (src/lib/server/leader.ts): some
 * writers of one change each, a leader that may die at any step, and a successor. There is no safety poll: a leader
 * that sleeps wakes by a ring only.
 */
import type { Model } from './explore.ts';

/** A writer goes through these in order; `holds`: its test lock, dropped at once; `ends`: it rings where it was told to. */
type Phase = 'new' | 'has xid' | 'holds' | 'tested' | 'ends' | 'committed' | 'aborted';

interface Writer {
	phase: Phase;
	xid: number;
	/** Found the lock held: its commit rings. */
	told: boolean;
	ticked: boolean;
}

interface Leader {
	alive: boolean;
	/** Of the loop in leader.ts: look whether settled, tick, decide, perhaps lock and read the barrier, wait. */
	at: 'look' | 'tick' | 'decide' | 'lock' | 'barrier' | 'wait';
	mode: 'awake' | 'settling' | 'asleep' | 'dozing';
	rung: boolean;
	settled: boolean;
	barrier: number;
}

export interface State {
	writers: Writer[];
	leader: Leader;
	/** Whether the leader holds the lock that says it sleeps. */
	lock: boolean;
	successor: boolean;
	nextXid: number;
	/** A snapshot's xmax is the one after this: not the next to be given out. */
	completed: number;
}

/** Ways to get it wrong; the checker must find each. */
export interface Mistakes {
	sleepsAtOnce?: boolean;
	barrierBeforeLock?: boolean;
	barrierFromSnapshot?: boolean;
	looksAfterTick?: boolean;
	forgetsRings?: boolean;
	testsBeforeXid?: boolean;
	ringsBeforeCommit?: boolean;
	lockOutlivesLeader?: boolean;
}

const FRESH: Leader = { alive: true, at: 'look', mode: 'awake', rung: false, settled: false, barrier: 0 };

export function doorbell(writers: number, mistakes: Mistakes = {}): Model<State> {
	return {
		initial: {
			writers: Array.from({ length: writers }, () => ({ phase: 'new', xid: 0, told: false, ticked: false })),
			leader: FRESH,
			lock: false,
			successor: true,
			nextXid: 1,
			completed: 0
		},
		steps: (state) =>
			[
				...state.writers.flatMap((_, i) => writerSteps(state, i, mistakes)),
				...leaderSteps(state, mistakes)
			].map(([name, next]) => [name, canonical(next)]),
		fault(state, last) {
			const { leader, lock } = state;
			if (!leader.alive && lock) return 'the lock is held and there is no leader: writers ring for nobody';
			const missed = state.writers.some(({ phase, ticked }) => phase === 'committed' && !ticked);
			const sleeps = leader.alive && leader.mode === 'asleep' && leader.at === 'wait' && !leader.rung;
			if (missed && sleeps) return 'the leader sleeps, a committed change has no tick, and no ring is due';
			if (missed && last) return 'all is over, and a committed change has no tick';
			return undefined;
		}
	};
}

/**
 * One for all states that differ in nothing that matters: of xids only the order does (the leader takes ever more of
 * them), and writers have no names.
 */
function canonical(state: State): State {
	const { leader, completed, nextXid } = state;
	const running = state.writers.filter(isRunning).map(({ xid }) => xid);
	const matters = leader.mode === 'settling' || leader.at === 'lock' || leader.at === 'barrier';
	const order = [
		...running,
		...running.map((xid) => xid + 1),
		completed + 1,
		nextXid,
		...(matters ? [leader.barrier] : [])
	];
	const sorted = [...new Set(order)].sort((a, b) => a - b);
	const rank = (xid: number) => sorted.indexOf(xid) + 1;
	return {
		...state,
		writers: state.writers
			.map((writer) => ({ ...writer, xid: isRunning(writer) ? rank(writer.xid) : 0 }))
			.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
		leader: {
			...leader,
			barrier: matters ? rank(leader.barrier) : 0,
			settled: leader.mode === 'settling' && leader.settled
		},
		completed: rank(completed + 1) - 1,
		nextXid: rank(nextXid)
	};
}

const isRunning = ({ phase, xid }: Writer) => xid > 0 && ['has xid', 'holds', 'tested'].includes(phase);

function writerSteps(
	state: State,
	i: number,
	{ testsBeforeXid, ringsBeforeCommit }: Mistakes
): [string, State][] {
	const writer = state.writers[i]!;
	const to = (name: string, change: Partial<Writer>, rest: Partial<State> = {}): [string, State] => [
		`a writer ${name}`,
		{ ...state, ...rest, writers: state.writers.with(i, { ...writer, ...change }) }
	];
	const xid = { xid: state.nextXid };
	const given = { nextXid: state.nextXid + 1 };
	const completed = { completed: Math.max(state.completed, writer.xid) };
	const rung = { leader: { ...state.leader, rung: state.leader.alive || state.leader.rung } };
	switch (writer.phase) {
		case 'new':
			return testsBeforeXid
				? [to('begins', { phase: 'has xid' })]
				: [to('gets an xid', { phase: 'has xid', ...xid }, given)];
		case 'has xid':
			return state.lock
				? [to('finds the lock held', { phase: 'tested', told: true })]
				: [to('finds the lock free', { phase: 'holds' })];
		case 'holds':
			return [to('drops its test lock', { phase: 'tested' })];
		case 'tested':
			if (writer.xid === 0) return [to('gets an xid', xid, given)];
			if (writer.told && ringsBeforeCommit) return [to('rings', { told: false, phase: 'tested' }, rung)];
			return [
				to('commits', { phase: writer.told ? 'ends' : 'committed' }, completed),
				to('aborts', { phase: 'aborted' }, completed)
			];
		case 'ends':
			return [to('rings', { phase: 'committed' }, rung)];
		default:
			return [];
	}
}

function leaderSteps(state: State, mistakes: Mistakes): [string, State][] {
	const { leader, writers } = state;
	if (!leader.alive)
		return state.successor ? [['the successor leads', { ...state, successor: false, leader: FRESH }]] : [];
	const to = (name: string, change: Partial<Leader>, rest: Partial<State> = {}): [string, State] => [
		`leader ${name}`,
		{
			...state,
			...rest,
			leader: { ...leader, ...change, ...(mistakes.forgetsRings && change.at === 'wait' && { rung: false }) }
		}
	];
	const steps: [string, State][] = [];
	if (state.successor)
		steps.push(
			to('dies', { ...FRESH, alive: false }, { lock: mistakes.lockOutlivesLeader ? state.lock : false })
		);
	const visible = ({ phase }: Writer) => phase === 'committed' || phase === 'ends';
	switch (leader.at) {
		case 'look': {
			const xmin = Math.min(state.completed + 1, ...writers.filter(isRunning).map(({ xid }) => xid));
			steps.push(
				to('looks', { at: mistakes.looksAfterTick ? 'decide' : 'tick', settled: xmin >= leader.barrier })
			);
			break;
		}
		case 'tick':
			steps.push(
				to(
					'ticks',
					{ at: mistakes.looksAfterTick ? 'look' : 'decide' },
					{
						writers: writers.map((writer) => (visible(writer) ? { ...writer, ticked: true } : writer))
					}
				)
			);
			break;
		case 'decide':
			if (leader.mode !== 'dozing')
				steps.push(to('has no viewers, and dozes', { at: 'wait', mode: 'dozing' }, { lock: false }));
			if (leader.mode === 'dozing') steps.push(to('has viewers, and wakes', { at: 'wait', mode: 'awake' }));
			else if (leader.mode === 'awake') {
				steps.push(to('goes on', { at: 'wait' }));
				steps.push(to('finds it quiet', { at: mistakes.barrierBeforeLock ? 'barrier' : 'lock' }));
			} else {
				const mode = leader.mode === 'settling' && !leader.settled ? 'settling' : 'asleep';
				steps.push(to('goes on', { at: 'wait', mode }));
				steps.push(to('finds rings thick, and wakes', { at: 'wait', mode: 'awake' }, { lock: false }));
			}
			break;
		case 'lock':
			// It does not queue: where a writer tests at the moment, it tries again after the next tick.
			if (writers.some(({ phase }) => phase === 'holds'))
				steps.push(to('does not get the lock', { at: 'wait' }));
			else {
				const mode = mistakes.sleepsAtOnce ? 'asleep' : 'settling';
				steps.push(
					to('takes the lock', { at: mistakes.barrierBeforeLock ? 'wait' : 'barrier', mode }, { lock: true })
				);
			}
			break;
		case 'barrier': {
			const at = mistakes.barrierBeforeLock ? 'lock' : 'wait';
			if (mistakes.barrierFromSnapshot)
				steps.push(to('reads the barrier', { at, barrier: state.completed + 1 }));
			else
				steps.push(
					to(
						'takes an xid as the barrier',
						{ at, barrier: state.nextXid },
						{
							nextXid: state.nextXid + 1,
							completed: state.nextXid
						}
					)
				);
			break;
		}
		case 'wait':
			if (leader.mode !== 'asleep' || leader.rung)
				steps.push(to('wakes up', { at: mistakes.looksAfterTick ? 'tick' : 'look', rung: false }));
	}
	return steps;
}

/** The leader dies, or loses a connection, at each step of its work: whoever watches the other server misses nothing. */
import { expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import type { Scene } from '../support/faults.ts';
import { eventually } from '../support/follow.ts';
import { startGate, type Fits, type Gate } from '../support/gate.ts';
import { clusterUrl } from '../support/database.ts';
import type { Rowcast } from '../support/rowcast.ts';
import { portOf, useServers } from '../support/servers.ts';
import type { Watcher } from '../support/watcher.ts';

/** From the fault until both viewers are shown what is new. */
const RECOVERY_MS = 10_000;
/** Each step comes within; those of a sleeping leader within a second. */
const STEP_MS = 15_000;
/** Messages on the leader's connection from the beginning of a tick: three ticks and what lies between them. */
const MESSAGES = 30;

const TICK = 'rowcast.step(';
const LOCK = 'pg_try_advisory_lock(1920103279, 1)';
const BARRIER = 'select pg_current_xact_id() as x';

/** What the server asks: B and Q are a statement, S is the end of what it asks. */
const asks =
	(type: 'B' | 'Q' | 'S', sql: string): Fits =>
	(message) =>
		message.from === 'server' && message.type === type && message.sql.includes(sql);
/** What the database answers: D is a row, Z says that all is done. */
const answers =
	(type: 'D' | 'Z', sql: string): Fits =>
	(message) =>
		message.from === 'database' && message.type === type && message.sql.includes(sql);

/** What fits `then`, once `first` has passed on the same connection. */
const after = (first: Fits, then: Fits): Fits => {
	const passed = new Set<number>();
	return (message) => {
		if (passed.has(message.connection)) return then(message);
		if (first(message)) passed.add(message.connection);
		return false;
	};
};

/** The leader's work, by the message that is held. */
const STEPS: [name: string, fits: () => Fits][] = [
	['a tick is on its way', () => asks('B', TICK)],
	['a tick was made and waits for its commit', () => asks('S', TICK)],
	['a tick was committed, its rows are on their way', () => answers('D', TICK)],
	['a tick was committed and answered, but for the end', () => answers('Z', TICK)],
	['it asks for the lock that says it sleeps', () => asks('Q', LOCK)],
	['it has the lock, and does not know', () => answers('Z', LOCK)],
	['it has its barrier, and does not know', () => answers('Z', BARRIER)],
	['it is settling, its tick is on its way', () => after(answers('Z', BARRIER), asks('B', TICK))],
	['it is settling, its tick is committed', () => after(answers('Z', BARRIER), answers('Z', TICK))],
	['it is about to announce references', () => asks('B', 'rowcast.announce(')],
	['references are appended and not committed', () => answers('Z', 'rowcast.announce(')],
	['it commits references', () => after(answers('Z', 'rowcast.announce('), asks('Q', 'commit'))],
	[
		'references are committed, and it does not know',
		() => after(answers('Z', 'rowcast.announce('), answers('Z', 'commit'))
	],
	['it is about to look after the log', () => asks('B', 'select rowcast.maintain(')],
	['it has looked after the log, and does not know', () => answers('Z', 'select rowcast.maintain(')],
	['it is about to prune', () => asks('B', 'rowcast.prune()')],
	['it has pruned, and does not know', () => answers('Z', 'rowcast.prune()')]
];

/** The n-th message from the next tick on, on the leader's connection. The rows of an answer count as one. */
function nth(n: number): Fits {
	let connection: number | undefined;
	let before = '';
	let count = 0;
	return (message) => {
		if (connection === undefined && asks('B', TICK)(message)) connection = message.connection;
		if (message.connection !== connection) return false;
		const kind = message.from + message.type;
		if (kind !== 'databaseD' || before !== kind) count++;
		before = kind;
		return count === n;
	};
}

interface Side {
	server: Rowcast;
	gate: Gate;
	/** Sees everything by way of this server. */
	witness: Watcher;
}

const servers = useServers();
const { sql } = servers;

async function startSide(): Promise<Side> {
	const gate = await startGate(Number(new URL(clusterUrl()).port));
	servers.finally(() => gate.close());
	const server = await servers.start(gate.through(servers.database.url));
	return { server, gate, witness: await servers.watch(server.url) };
}

/** Two servers under a load that lets the leader sleep now and then, with rows that reference what changes. */
async function setTheStage() {
	await sql(`create table parent (id int primary key, v int not null)`);
	await sql(`create table child (id int primary key, parent int not null references parent)`);
	await sql('create index on child (parent)');
	await sql('insert into parent select i, 0 from generate_series(1, 3) i');
	await sql('insert into child select i, 1 + i % 3 from generate_series(1, 6) i');
	const sides = [await startSide(), await startSide()] as [Side, Side];
	const front = await servers.proxy(portOf(sides[0].server));
	const scene = await servers.stage(front.through(sides[0].server.url), { pauseMs: 100 });
	let working = true;
	const work = (async () => {
		for (let n = 0; working; n++) {
			await sql('update parent set v = v + 1 where id = $1', [1 + (n % 3)]);
			await new Promise((resolve) => setTimeout(resolve, 80));
		}
	})();
	const stop = () => ((working = false), work);
	servers.finally(stop);
	await scene.caughtUp(RECOVERY_MS);
	return { sides, front, scene, stop };
}

/** A leaf that is old enough to be pruned, of which everybody has seen everything. */
async function makePruneDue(scene: Scene): Promise<void> {
	await sql('select rowcast.rotate()');
	await scene.caughtUp(RECOVERY_MS);
	await sql(`update rowcast.leaf set closed_at = closed_at - interval '2 days' where closed_at is not null`);
}
const pruned = () =>
	eventually(
		() => sql(`select slot from rowcast.leaf where closed_at < clock_timestamp() - interval '1 day'`),
		(leaves) => leaves.length === 0
	);

/** So many rings that a leader who sleeps awakes, and lies down again when it is quiet. */
const RINGS = `do $$ begin for i in 1..60 loop perform pg_notify('rowcast', ''); commit; end loop; end $$`;
const liesDown = (name: string) => /lock|barrier|settling/.test(name);

/** Whichever side leads comes to that message first. */
async function hold(sides: Side[], fits: Fits, sleeps = false): Promise<{ victim: Side; survivor: Side }> {
	let timer: NodeJS.Timeout;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(
			() => reject(new Error(`It did not come to that step within ${STEP_MS} ms.`)),
			STEP_MS
		);
	});
	const one = async (victim: Side) => {
		await victim.gate.hold(fits);
		const survivor = sides.find((side) => side !== victim)!;
		survivor.gate.disarm();
		return { victim, survivor };
	};
	let waiting = true;
	const held = Promise.race([...sides.map(one), late]).finally(() => {
		waiting = false;
		clearTimeout(timer);
	});
	const ringing = (async () => {
		// Those that come while it settles do not count.
		for (; sleeps && waiting; await new Promise((resolve) => setTimeout(resolve, 500))) await sql(RINGS);
	})();
	return (await Promise.all([held, ringing]))[0];
}

/** Everything was seen once, by whichever way, and what rows reference was announced once. */
async function reckonAll(scene: Scene, witnesses: Watcher[]): Promise<void> {
	const newest = await eventually(
		async () => newestAnnounced(scene.stream.changes),
		(missing) => missing.length === 0
	);
	expect(newest, 'updates that were not announced').toEqual([]);
	await scene.settle();
	const { changes } = scene.stream;
	const announced = changes.flatMap(({ via, key }) => (via ? [`${via.seq} ${key!.id}`] : []));
	expect(new Set(announced).size).toBe(announced.length);
	for (const witness of witnesses) {
		const due = changes.filter(({ tick }) => BigInt(tick) > witness.start).map(({ seq }) => seq);
		await witness.until('the rest', (it) => it.changes.length >= due.length);
		expect(witness.changes.map(({ seq }) => seq).sort()).toEqual(due.sort());
	}
}

/** Of each row of `parent` the last update: those of which no row was announced. */
function newestAnnounced(changes: Change[]): string[] {
	const last = new Map<string, string>();
	for (const { table, op, key, seq } of changes)
		if (table === 'parent' && op === 'UPDATE') last.set(key!.id!, seq);
	const announced = new Set(changes.map(({ via }) => via?.seq));
	return [...last.values()].filter((seq) => !announced.has(seq));
}

const whole = ({ gaps, holes, errors }: Watcher) =>
	expect({ gaps, holes, errors }).toEqual({ gaps: [], holes: [], errors: [] });

test(
	'kill -9 of the leader at each step: the other server goes on without a hole',
	{ timeout: 240_000 },
	async () => {
		const { sides, front, scene, stop } = await setTheStage();
		for (const [name, fits] of STEPS) {
			const prunes = name.includes('prune');
			if (prunes) await makePruneDue(scene);
			const { victim, survivor } = await hold(sides, fits(), liesDown(name)).catch((cause) => {
				throw new Error(`Not reached: ${name}`, { cause });
			});
			front.target = portOf(survivor.server);
			victim.witness.close();
			await victim.server.stop('SIGKILL');
			const next = startSide();
			const time = await scene.caughtUp(RECOVERY_MS);
			await survivor.witness.reached(BigInt(scene.stream.subscription.cursor!.tick), RECOVERY_MS);
			expect(time, name).toBeLessThan(RECOVERY_MS);
			whole(survivor.witness);
			if (prunes) expect(await pruned()).toEqual([]);
			sides[sides.indexOf(victim)] = await next;
		}
		await stop();
		await reckonAll(
			scene,
			sides.map(({ witness }) => witness)
		);
	}
);

test(
	'the connection cut at each step and at each message of three ticks: without a hole',
	{ timeout: 240_000 },
	async () => {
		const { sides, scene, stop } = await setTheStage();
		const steps: typeof STEPS = [
			...STEPS,
			...Array.from({ length: MESSAGES }, (_, n): (typeof STEPS)[number] => [
				`message ${n + 1}`,
				() => nth(n + 1)
			])
		];
		for (const [name, fits] of steps) {
			const prunes = name.includes('prune');
			if (prunes) await makePruneDue(scene);
			const { victim } = await hold(sides, fits(), liesDown(name)).catch((cause) => {
				throw new Error(`Not reached: ${name}`, { cause });
			});
			victim.gate.cut();
			const time = await scene.caughtUp(RECOVERY_MS);
			expect(time, name).toBeLessThan(RECOVERY_MS);
			if (prunes) expect(await pruned()).toEqual([]);
		}
		for (const { witness } of sides) whole(witness);
		await stop();
		await reckonAll(
			scene,
			sides.map(({ witness }) => witness)
		);
	}
);

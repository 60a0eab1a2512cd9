/** What a socket may ask: checked, limited, done, acknowledged. */
import type { Socket } from 'socket.io';
import type {
	Change,
	ClientEvents,
	Failure,
	Filter,
	History,
	Position,
	ServerEvents,
	TableName
} from '../protocol.ts';
import { bySeq } from './compose.ts';
import { LOOK_MS, type Clock, type Peer } from './delivery.ts';
import { RequestError, failure, toFailure } from './errors.ts';
import type { Hub } from './hub.ts';
import { makeBucket, makeQueue, type Turnstile } from './limits.ts';
import type { Log } from './log.ts';
import * as messages from './messages.ts';
import type { Follower, Reader } from './types.ts';

export type ClientSocket = Socket<ClientEvents, ServerEvents>;

export interface Services {
	hub: Hub;
	follower: Pick<Follower, 'catalog' | 'epoch' | 'oldest' | 'state'>;
	/** A reader whose reads end once the signal is given. */
	readerUntil: (gone: AbortSignal) => Reader;
	turnstile: Turnstile;
	clock: Clock;
	log: Log;
	/** An answer went out, or a Failure of this code. */
	answered: (event: string, code: 'ok' | Failure['error']['code']) => void;
}

type Answer = { ok: true };

/** Answers a socket's requests until it disconnects. */
export function handle(socket: ClientSocket, peer: Peer, services: Services): void {
	const { hub, follower, clock, log, answered } = services;
	const left = new AbortController();
	socket.on('disconnect', () => left.abort());
	/** What a reader remembers is of one log. */
	let read = { epoch: follower.epoch, reader: services.readerUntil(left.signal) };
	const admitted = makeBucket(clock);
	const queue = makeQueue(services.turnstile, drained, left.signal);

	function readerOf(): Reader {
		if (read.epoch !== follower.epoch)
			read = { epoch: follower.epoch, reader: services.readerUntil(left.signal) };
		return read.reader;
	}

	/** Who does not read what it asked for is not answered more. */
	async function drained(): Promise<void> {
		while (!peer.idle() && !left.signal.aborted)
			await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
	}

	/** Handlers answer by what they return, or by `reply` when the answer must go out before something else. */
	const requests: Record<
		keyof ClientEvents,
		(message: unknown, reply: (answer: Answer) => void) => Promise<Answer | void>
	> = {
		async subscribe(message, reply) {
			const wanted = messages.parse(messages.subscribe, message);
			// At once, so that it counts by its arrival.
			await hub.subscribe(peer, wanted, reply, queue, known(wanted.filter));
		},
		async unsubscribe(message) {
			messages.parse(messages.unsubscribe, message);
			hub.unsubscribe(peer);
			return { ok: true };
		},
		async history(message) {
			const wanted = messages.parse(messages.history, message);
			await known(wanted.filter);
			return queue(() => history(wanted));
		},
		async rates(message) {
			const wanted = messages.parse(messages.rates, message);
			await known(wanted.filter);
			return queue(async () => ({ ok: true, ...(await readerOf().rates({ ...wanted, head: hub.head })) }));
		},
		async row(message) {
			const wanted = messages.parse(messages.row, message);
			await known({ tables: [wanted] });
			const columns = columnsOf(wanted);
			const stranger = columns && Object.keys(wanted.key).find((name) => !columns.includes(name));
			if (stranger !== undefined)
				throw new RequestError(
					'BAD_REQUEST',
					`\`key\` names ${quote(stranger)}, which is no column of this table.`
				);
			return queue(async () => ({ ok: true, ...(await readerOf().row(wanted)) }));
		}
	};

	/** A table that never was here is a mistake of the sender's; one that was dropped may have a history. */
	async function known({ tables = [] }: Filter): Promise<void> {
		const isUnknown = (table: TableName) => !columnsOf(table) && follower.catalog.ids(table).length === 0;
		// Perhaps it was made a moment ago.
		if (tables.some(isUnknown)) await follower.catalog.refresh();
		const missing = tables.find(isUnknown);
		if (missing)
			throw new RequestError(
				'NOT_FOUND',
				`There is no table ${quote(missing.schema)}.${quote(missing.table)}.`
			);
	}

	function columnsOf({ schema, table }: TableName): string[] | undefined {
		const info = follower.catalog.tables().find((each) => each.schema === schema && each.table === table);
		return info?.columns.map(({ name }) => name);
	}

	async function history({
		filter,
		before,
		after,
		limit,
		order = after && !before ? 'asc' : 'desc'
	}: Parsed<typeof messages.history>): Promise<History> {
		const first = after ? BigInt(after.tick) - 1n : 0n;
		const last = before && BigInt(before.tick) < hub.head ? BigInt(before.tick) : hub.head;
		const reader = readerOf();
		const page = await reader.changes({
			filter,
			after: first > follower.oldest ? first : follower.oldest,
			until: last,
			from: (order === 'desc' ? before : after) ?? undefined,
			order,
			limit
		});
		const { changes, next } = await present(reader, page, order);
		// The reader begins beyond one position and is bounded by ticks; the other position lies within its tick.
		const bound = order === 'desc' ? after : before;
		const end = bound ? changes.findIndex((change) => !isBeyond(change, bound, order)) : -1;
		return end < 0 ? { ok: true, changes, next } : { ok: true, changes: changes.slice(0, end), next: null };
	}

	/** What is left of a page where the log was pruned while it was read: of a tick all or nothing. */
	async function present(
		reader: Reader,
		{ changes, next }: Pick<History, 'changes' | 'next'>,
		order: 'asc' | 'desc'
	) {
		const { oldest } = await reader.bounds();
		const ended = order === 'desc' && next && BigInt(next.tick) <= oldest;
		return { changes: changes.filter(({ tick }) => BigInt(tick) > oldest), next: ended ? null : next };
	}

	// Anybody may send an event of this name; without a listener it would end the process.
	(socket as Socket).on('error', () => {});

	for (const [event, request] of Object.entries(requests)) {
		(socket as Socket).on(event, (...given: unknown[]) => {
			const acknowledge = given.find((each) => typeof each === 'function') as
				((answer: object) => void) | undefined;
			const message = typeof given[0] === 'function' ? undefined : given[0];
			let done = false;
			const reply = (answer: Answer | Failure) => {
				if (done) return;
				acknowledge?.(answer);
				done = true;
				answered(event, answer.ok ? 'ok' : answer.error.code);
			};
			if (!admitted())
				return reply(failure('RATE_LIMITED', 'Too many requests; wait a second and send fewer.'));
			request(message, reply)
				.then((answer) => answer && reply(answer))
				.catch((err) => {
					if (left.signal.aborted) return;
					const answer = toFailure(err, follower.state().database === 'disconnected');
					if (answer.error.code === 'INTERNAL') log.error({ err, event }, 'a request failed');
					else if (answer.error.code === 'UNAVAILABLE') log.warn({ err, event }, answer.error.message);
					reply(answer);
				})
				.catch((err) => log.error({ err, event }, 'a request cannot be answered'));
		});
	}
}

type Parsed<S extends Parameters<typeof messages.parse>[0]> = ReturnType<typeof messages.parse<S>>;

/** Does the change lie within the bound at which a page ends? */
function isBeyond({ tick, seq }: Change, bound: Position, order: 'asc' | 'desc'): boolean {
	const distance = BigInt(tick) - BigInt(bound.tick) || BigInt(bySeq({ seq }, bound));
	return order === 'desc' ? distance > 0n : distance < 0n;
}

function quote(name: string): string {
	return JSON.stringify(name.length > 63 ? `${name.slice(0, 63)}…` : name);
}

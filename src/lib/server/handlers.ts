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
import type { Clock, Peer } from './delivery.ts';
import { RequestError, failure, toFailure } from './errors.ts';
import type { Hub } from './hub.ts';
import { makeBucket, makeQueue, type Turnstile } from './limits.ts';
import type { Log } from './log.ts';
import * as messages from './messages.ts';
import type { Follower } from './types.ts';

export type ClientSocket = Socket<ClientEvents, ServerEvents>;

export interface Services {
	hub: Hub;
	follower: Pick<Follower, 'reader' | 'catalog' | 'oldest' | 'state'>;
	turnstile: Turnstile;
	clock: Clock;
	log: Log;
	/** An answer went out, or a Failure of this code. */
	answered: (event: string, code: 'ok' | Failure['error']['code']) => void;
}

type Answer = { ok: true };

/** Answers a socket's requests until it disconnects. */
export function handle(socket: ClientSocket, peer: Peer, services: Services): void {
	const { hub, follower, log, answered } = services;
	const { reader } = follower;
	const admitted = makeBucket(services.clock);
	const queue = makeQueue(services.turnstile);

	/** Handlers answer by what they return, or by `reply` when the answer must go out before something else. */
	const requests: Record<
		keyof ClientEvents,
		(message: unknown, reply: (answer: Answer) => void) => Promise<Answer | void>
	> = {
		async subscribe(message, reply) {
			const wanted = messages.parse(messages.subscribe, message);
			known(wanted.filter);
			if (wanted.after || wanted.filter.where !== undefined)
				await queue(() => hub.subscribe(peer, wanted, reply));
			else await hub.subscribe(peer, wanted, reply);
		},
		async unsubscribe(message) {
			messages.parse(messages.unsubscribe, message);
			hub.unsubscribe(peer);
			return { ok: true };
		},
		async history(message) {
			const wanted = messages.parse(messages.history, message);
			known(wanted.filter);
			return queue(() => history(wanted));
		},
		async rates(message) {
			const wanted = messages.parse(messages.rates, message);
			known(wanted.filter);
			return queue(async () => ({ ok: true, ...(await reader.rates({ ...wanted, head: hub.head })) }));
		},
		async row(message) {
			const wanted = messages.parse(messages.row, message);
			known({ tables: [wanted] });
			const columns = columnsOf(wanted);
			const stranger = columns && Object.keys(wanted.key).find((name) => !columns.includes(name));
			if (stranger !== undefined)
				throw new RequestError(
					'BAD_REQUEST',
					`\`key\` names ${quote(stranger)}, which is no column of this table.`
				);
			return queue(async () => ({ ok: true, changes: await reader.row(wanted) }));
		}
	};

	/** A table that never was here is a mistake of the sender's; one that was dropped may have a history. */
	function known({ tables = [] }: Filter): void {
		const missing = tables.find((table) => !columnsOf(table) && follower.catalog.ids(table).length === 0);
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
		const { changes, next } = await reader.changes({
			filter,
			after: first > follower.oldest ? first : follower.oldest,
			until: last,
			from: (order === 'desc' ? before : after) ?? undefined,
			order,
			limit
		});
		// The reader begins beyond one position and is bounded by ticks; the other position lies within its tick.
		const bound = order === 'desc' ? after : before;
		const end = bound ? changes.findIndex((change) => !isBeyond(change, bound, order)) : -1;
		return end < 0 ? { ok: true, changes, next } : { ok: true, changes: changes.slice(0, end), next: null };
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
				done = true;
				answered(event, answer.ok ? 'ok' : answer.error.code);
				acknowledge?.(answer);
			};
			if (!admitted())
				return reply(failure('RATE_LIMITED', 'Too many requests; wait a second and send fewer.'));
			request(message, reply).then(
				(answer) => answer && reply(answer),
				(err) => {
					const answer = toFailure(err, follower.state().database === 'disconnected');
					if (answer.error.code === 'INTERNAL') log.error({ err, event }, 'a request failed');
					else if (answer.error.code === 'UNAVAILABLE') log.warn({ err, event }, answer.error.message);
					reply(answer);
				}
			);
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

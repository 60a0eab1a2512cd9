/** `rowcast tail`: changes as they happen, read from the log itself. */
import pino from 'pino';
import { MAX_CHANGES, OPS, type Filter, type Op, type Position } from '../../protocol.ts';
import { makeCatalog } from '../catalog.ts';
import type { Command, Context } from '../cli.ts';
import { ConfigError, StartError } from '../errors.ts';
import { LOCK } from '../locks.ts';
import { makePool, shareSessions } from '../pool.ts';
import { sharesSessions } from '../pooled.ts';
import { label } from '../install.ts';
import { makeReader } from '../reader.ts';
import type { Selection } from '../types.ts';

/** How soon it looks again where a server makes the ticks, which tells of each, and where none does. */
const FOLLOWED_MS = 1_000;
const ALONE_MS = 100;

export const tail: Command = {
	help: `Usage: rowcast tail [--tables SCHEMA.TABLE,...] [--ops OP,...] [--after TICK]

Prints each change as one line of JSON, as the protocol's type Change, until Ctrl-C. Needs no server: where none makes
the ticks, it does. What cannot be shown is told on stderr.

  --tables    only changes of these tables
  --ops       only these: ${OPS.join(', ')}
  --after     begin after this tick of the log, 0 for all that it holds; otherwise with what comes now
  --json      no difference: it is always JSON`,

	options: {
		tables: { type: 'string' },
		ops: { type: 'string' },
		after: { type: 'string' },
		json: { type: 'boolean' }
	},

	async run(context) {
		const { client, config, flags, print, tell, signal } = context;
		const filter = readFilter(context);
		const start = readAfter(flags.after);
		const { rows: there } = await client.query(`select to_regclass('rowcast.state') is not null as yes`);
		if (!there[0].yes)
			throw new StartError('Rowcast is not installed in this database; run: rowcast install');
		const pool = makePool(config.database, pino({ level: 'silent' }));
		const pooled = await sharesSessions(client, config.database);
		if (pooled) shareSessions(pool);
		const catalog = makeCatalog(pool);
		const reader = makeReader(pool, catalog);
		let wake = () => {};
		client.on('notification', () => wake());
		client.on('end', () => wake());
		signal.addEventListener('abort', () => wake());
		try {
			await catalog.refresh();
			for (const table of filter.tables ?? [])
				if (catalog.ids(table).length === 0)
					throw new ConfigError(
						`${label(table)} was never watched; run: rowcast install --tables ${label(table)}`
					);
			if (!pooled) {
				await client.query('listen rowcast_tick');
				// A leader without viewers ticks once a second.
				await client.query(`select pg_advisory_lock_shared(${LOCK.viewers})`);
			}
			let at: bigint | undefined = start;
			while (!signal.aborted) {
				const { rows } = await client.query(NEXT);
				const head = BigInt(rows[0].head);
				const { oldest } = await reader.bounds();
				at ??= head;
				if (at > head) throw new ConfigError(`--after ${at} is beyond the newest tick, ${head}.`);
				if (at < oldest) {
					if (flags.after !== '0') tell(`Ticks ${at + 1n} to ${oldest} are no longer in the log.`);
					at = oldest;
				}
				for (const gap of await reader.gaps(at)) {
					if (BigInt(gap.until) <= head)
						tell(
							`Not everything of ticks ${BigInt(gap.after) + 1n} to ${gap.until} was captured: the log was full, or a trigger was missing.`
						);
				}
				let from: Position | undefined;
				let selection: Selection | undefined;
				while (at < head && !signal.aborted) {
					const page = await reader.changes({
						filter,
						after: at,
						until: head,
						order: 'asc',
						limit: MAX_CHANGES,
						selection,
						...(from && { from })
					});
					for (const change of page.changes) await print(JSON.stringify(change));
					selection = page.selection;
					if (!page.next) at = head;
					else from = page.next;
				}
				await new Promise<void>((resolve) => {
					const timer = setTimeout(resolve, rows[0].followed ? FOLLOWED_MS : ALONE_MS);
					wake = () => {
						clearTimeout(timer);
						resolve();
					};
					if (signal.aborted) wake();
				});
			}
		} finally {
			await pool.end();
		}
		return 0;
	}
};

/** The newest tick, made now where no server does it. */
const NEXT = `
	select f.followed, case when f.followed then (select max(n) from rowcast.tick) else (rowcast.advance()).head end as head
	from (select exists (select from pg_locks where locktype = 'advisory' and (classid, objid) = (${LOCK.leader})
		and database = (select oid from pg_database where datname = current_database())) as followed offset 0) f`;

function readFilter({ config, flags }: Context): Filter {
	const ops =
		typeof flags.ops === 'string' ? flags.ops.split(',').map((op) => op.trim().toUpperCase()) : undefined;
	const unknown = ops?.find((op) => !OPS.includes(op as Op));
	if (unknown !== undefined)
		throw new ConfigError(`--ops names ${JSON.stringify(unknown)}; there are ${OPS.join(', ')}.`);
	return {
		...(flags.tables !== undefined && Array.isArray(config.watch) && { tables: config.watch }),
		...(ops && { ops: ops as Op[] })
	};
}

function readAfter(after: string | boolean | undefined): bigint | undefined {
	if (typeof after !== 'string') return undefined;
	if (!/^\d{1,18}$/.test(after))
		throw new ConfigError(`--after must be the number of a tick, not ${JSON.stringify(after)}.`);
	return BigInt(after);
}

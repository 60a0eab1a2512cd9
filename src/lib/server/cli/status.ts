/** `rowcast status`: what is watched, and how the log is doing. */
import type { Command } from '../cli.ts';
import { LOCK } from '../locks.ts';

export const status: Command = {
	help: `Usage: rowcast status [--json]

Shows each table (watched, not watched, or why it is not captured) with the changes of it that the log holds and their
oldest tick; and the log: its size and limit, how far it reaches back, and whether a server follows.

  --json      print it as one JSON object`,

	options: { json: { type: 'boolean' } },

	async run({ client, flags, print }) {
		const { rows: there } = await client.query(`select to_regclass('rowcast.state') is not null as yes`);
		if (!there[0].yes) {
			await print(
				flags.json ? JSON.stringify({ installed: false }) : 'Rowcast is not installed in this database.'
			);
			return 0;
		}
		const { log } = (await client.query<{ log: string }>(LOG)).rows[0]!;
		const tables = (await client.query<{ info: string }>(TABLES)).rows.map(({ info }) => JSON.parse(info));
		if (flags.json) {
			await print(JSON.stringify({ installed: true, log: JSON.parse(log), tables }));
			return 0;
		}
		const { bytes, limit, retention, head, oldest, oldestAt, followed } = JSON.parse(log);
		await print(
			`Log: ${megabytes(bytes)} of at most ${megabytes(limit)}; ticks ${Number(oldest) + 1} to ${head}, since ${oldestAt}; kept ${retention}.`
		);
		await print(
			followed
				? 'A server follows.'
				: 'No server follows: changes are recorded until the log reaches its limits.'
		);
		const lines = tables.map(({ schema, table, state, rows, oldestTick, redacted }) => [
			`${schema}.${table}`,
			state,
			String(rows),
			oldestTick ?? '',
			redacted.join(', ')
		]);
		const all = [['table', 'state', 'rows logged', 'oldest tick', 'redacted'], ...lines];
		const widths = all[0]!.map((_, i) => Math.max(...all.map((line) => line[i]!.length)));
		for (const line of all)
			await print(
				line
					.map((cell, i) => (i === 2 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
					.join('  ')
					.trimEnd()
			);
		return 0;
	}
};

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

/** "drifted": its triggers are not as they should be; a server or another install mends it. */
const TABLES = `
	select json_build_object('schema', t.schema, 'table', t.name,
		'state', case t.state when 'out of date' then 'drifted' when 'trigger missing' then 'not captured: trigger missing'
			when 'trigger disabled' then 'not captured: trigger disabled' else t.state end,
		'watched', t.state in ('watched', 'out of date'), 'redacted', t.redacted,
		'rows', coalesce(k.rows, 0)::text, 'oldestTick', k.oldest::text) as info
	from rowcast.tables() t
	left join lateral (
		select sum(c.rows) as rows, min(c.tick) as oldest
		from rowcast.relation r join rowcast.tick_count c on c.relation = r.id, rowcast.state s
		where r.schema = t.schema and r.name = t.name and c.tick > s.oldest) k on true
	order by t.schema, t.name`;

const LOG = `
	select json_build_object(
		'bytes', (select sum(pg_total_relation_size(c.oid)) from pg_class c
			where c.relnamespace = 'rowcast'::regnamespace and c.relkind = 'r'),
		'limit', (select value::bigint from rowcast.setting where name = 'max_log'),
		'retention', (select value from rowcast.setting where name = 'retention'),
		'epoch', s.epoch, 'head', (select max(n) from rowcast.tick)::text, 'oldest', s.oldest::text,
		'oldestAt', (select at from rowcast.tick order by n limit 1),
		'gaps', (select coalesce(json_agg(json_build_object('after', after::text, 'until', until::text) order by after), '[]') from rowcast.gap),
		'followed', exists (select from pg_locks where locktype = 'advisory' and (classid, objid) = (${LOCK.leader})
			and database = (select oid from pg_database where datname = current_database()))) as log
	from rowcast.state s`;

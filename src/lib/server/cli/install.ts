/** `rowcast install`: the schema, then a trigger a table. */
import pg from 'pg';
import type { Command, Context } from '../cli.ts';
import { ConfigError } from '../errors.ts';
import { checkServer, migrate, pending } from '../migrate.ts';
import { matches } from '../watch.ts';
import { label, runSteps, step, type Step } from './steps.ts';

export const install: Command = {
	help: `Usage: rowcast install [--tables SCHEMA.TABLE,...] [--dry-run] [--json]

Creates schema rowcast and watches tables: those named, else those of ROWCAST_WATCH, else all. Safe to run again.
Each table is a transaction of its own that gives up after 300 ms where others use the table, and is tried again for
10 s; what could not be watched is told, with the reason, and the exit code is 1.

  --tables    the tables to watch
  --dry-run   print the SQL instead of running it
  --json      print what was done as JSON`,

	options: { tables: { type: 'string' }, 'dry-run': { type: 'boolean' }, json: { type: 'boolean' } },

	async run({ client, config, flags, print, tell, signal }) {
		await checkServer(client);
		const files = await pending(client);
		const { steps, watched } = await plan(client, config);
		const settings = `select rowcast.configure('retention', ${pg.escapeLiteral(`${config.retentionMs} ms`)}), rowcast.configure('max_log', '${config.maxLogBytes}');`;
		if (flags['dry-run']) {
			if (flags.json)
				await print(
					JSON.stringify({
						sql: [
							...files.flatMap(({ sql, record }) => [sql, record]),
							settings,
							...steps.map(({ sql }) => sql)
						]
					})
				);
			else {
				for (const { name, sql, record } of files) await print(`-- sql/${name}\n${sql}\n${record}`);
				await print(`-- Settings\n${settings}`);
				for (const each of steps) await print(`-- ${label(each)}\n${each.sql}`);
			}
			return 0;
		}
		await migrate(client);
		await client.query(settings);
		if (!flags.json) for (const { name } of files) tell(`Ran sql/${name}`);
		const failed = await runSteps(client, steps, {
			done: (each) => flags.json || tell(`Watches ${label(each)}`),
			signal
		});
		const done = steps.length - failed.length;
		if (flags.json) {
			const newly = steps.filter((each) => !failed.some((other) => label(other) === label(each)));
			await print(
				JSON.stringify({
					files: files.map(({ name }) => name),
					watched: newly.map(({ schema, table }) => ({ schema, table })),
					already: watched,
					failed
				})
			);
		} else {
			for (const { reason, ...table } of failed) tell(`Does not watch ${label(table)}: ${reason}`);
			await print(
				`Rowcast is installed: ${done} tables newly watched, ${watched.length} already, ${failed.length} not.`
			);
		}
		return failed.length > 0 ? 1 : 0;
	}
};

/** What is to be done for each table. Asks the catalogue only, because nothing may be installed yet. */
async function plan(client: pg.Client, { watch, redact }: Context['config']) {
	const installed = (
		await client.query(`select to_regprocedure('rowcast.trigger_state(regclass)') is not null as yes`)
	).rows[0].yes;
	const { rows } = await client.query<{
		schema: string;
		table: string;
		name: string;
		columns: string;
		state: string;
		redacted: string;
	}>(`
		select n.nspname as schema, c.relname as table, format('%I.%I', n.nspname, c.relname) as name,
			${installed ? 'rowcast.trigger_state(c.oid)' : `'not watched'`} as state,
			(select json_agg(attname order by attnum) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns,
			${
				installed
					? `(select json_agg(a.attname order by a.attnum) from rowcast.relation r join pg_attribute a on a.attrelid = r.oid
				and a.attnum = any (r.redacted) where r.oid = c.oid)`
					: 'null'
			} as redacted
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
			and n.nspname not in ('rowcast', 'information_schema') and n.nspname !~ '^pg_'
		order by 1, 2`);
	const named = (each: { schema: string; table: string }) =>
		!Array.isArray(watch) ||
		watch.some(({ schema, table }) => schema === each.schema && table === each.table);
	const missing =
		Array.isArray(watch) && watch.find((each) => !rows.some((row) => label(row) === label(each)));
	if (missing)
		throw new ConfigError(`There is no table ${label(missing)} in this database that could be watched.`);

	const steps: Step[] = [];
	const watched: { schema: string; table: string }[] = [];
	for (const { schema, table, name, columns, state, redacted } of rows.filter(named)) {
		const names = (JSON.parse(columns) ?? []) as string[];
		const secret = names.filter((column) =>
			redact.some((pattern) => matches(pattern, { schema, table }) && ['*', column].includes(pattern.column))
		);
		const target = pg.escapeLiteral(name);
		const redacts =
			secret.length > 0 && JSON.stringify(secret) !== JSON.stringify(JSON.parse(redacted) ?? []);
		if (state === 'watched' && !redacts) watched.push({ schema, table });
		else
			steps.push(
				step(
					schema,
					table,
					...(redacts
						? [`select rowcast.redact(${[target, ...secret.map(pg.escapeLiteral)].join(', ')})`]
						: []),
					`select rowcast.watch(${target})`
				)
			);
	}
	return { steps, watched };
}

/** `rowcast uninstall`: a trigger a table, then the schema with everything in it. */
import type { Command } from '../cli.ts';
import { label, script, UNINSTALL, unwatchStep } from '../install.ts';
import { LOCK } from '../locks.ts';
import { runSteps } from './steps.ts';

/** How long a server that is just stopping has to let go. */
const PATIENCE_MS = 3_000;

export const uninstall: Command = {
	help: `Usage: rowcast uninstall [--dry-run] [--json]

Removes Rowcast from the database: its triggers, a table at a time, then schema rowcast with the log in it, and the roles
that it made where a superuser installed it. Stop its servers first: they would install it again.

  --dry-run   print the SQL instead of running it
  --json      print what was done as JSON`,

	options: { 'dry-run': { type: 'boolean' }, json: { type: 'boolean' } },

	async run({ client, flags, print, tell, signal }) {
		const { rows: there } = await client.query(
			`select to_regprocedure('rowcast.uninstall()') is not null as yes`
		);
		if (!there[0].yes) {
			await print(
				flags.json ? JSON.stringify({ installed: false }) : 'Rowcast is not installed in this database.'
			);
			return 0;
		}
		const { rows } = await client.query<{ schema: string; table: string; literal: string }>(`
			select distinct n.nspname as schema, c.relname as table, quote_literal(format('%I.%I', n.nspname, c.relname)) as literal
			from pg_trigger t join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'rowcast'::regnamespace
			join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
			where not t.tgisinternal and t.tgparentid = 0 and not c.relispartition order by 1, 2`);
		const steps = rows.map(unwatchStep);
		if (flags['dry-run']) {
			if (flags.json) await print(JSON.stringify({ sql: [...steps, UNINSTALL].map(({ sql }) => sql) }));
			else for (const each of [...steps, UNINSTALL]) await print(script(each));
			return 0;
		}
		for (
			const deadline = Date.now() + PATIENCE_MS;
			;
			await new Promise((resolve) => setTimeout(resolve, 200))
		) {
			// Held by a server as long as it follows; let go at once.
			const { rows } = await client.query(
				`select pg_try_advisory_lock(${LOCK.leader}) and pg_advisory_unlock(${LOCK.leader}) as free`
			);
			if (rows[0].free) break;
			if (Date.now() > deadline) {
				tell('A server of Rowcast follows this database and would install it again; stop it first.');
				return 1;
			}
		}
		let failed = await runSteps(client, steps, {
			done: (each) => flags.json || tell(`Left ${label(each)}`),
			signal
		});
		client.on('notice', ({ message, detail }) => {
			if (message?.startsWith('rowcast: ')) tell(`${message}: ${detail}`);
		});
		if (failed.length === 0) failed = await runSteps(client, [UNINSTALL], { done: () => {}, signal });
		for (const { reason, ...table } of failed) tell(`Could not leave ${label(table)}: ${reason}`);
		if (flags.json)
			await print(
				JSON.stringify({
					installed: failed.length > 0,
					tables: rows.map(({ schema, table }) => ({ schema, table })),
					failed
				})
			);
		else if (failed.length === 0) await print('Rowcast is removed from this database.');
		return failed.length > 0 ? 1 : 0;
	}
};

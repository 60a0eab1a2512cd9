/** `rowcast install`: the schema, then a trigger a table. */
import pg from 'pg';
import type { Command } from '../cli.ts';
import { label, planInstall, script } from '../install.ts';
import { checkServer, migrate, pending, warnOfPublications } from '../migrate.ts';
import { runSteps } from './steps.ts';

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
		const warning = await warnOfPublications(client);
		if (warning) tell(warning);
		const files = await pending(client);
		const targets = await planInstall(client, config);
		const steps = targets.flatMap((each) => each.step ?? []);
		const watched = targets.filter((each) => !each.step);
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
				for (const each of steps) await print(script(each));
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
					already: watched.map(({ schema, table }) => ({ schema, table })),
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

/**
 * Follows one table of a database, and the rows of other tables that reference its rows.
 *
 *     npm run build:client
 *     node examples/follow-table.js http://127.0.0.1:3000 public.orders
 *
 * Stop it, change something, and start it again: it goes on where it was, because it keeps its cursor in a file.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'rowcast/client';

const [url = 'http://127.0.0.1:3000', name = 'public.orders'] = process.argv.slice(2);
const [schema, table] = name.split('.');
const keptIn = `.cursor-${name}.json`;

let after;
try {
	after = JSON.parse(readFileSync(keptIn, 'utf8'));
} catch {
	// The first time: from now on.
}

const live = connect(url, {
	token: process.env.ROWCAST_TOKEN,
	link: ({ up, reason }) => console.error(up ? `connected to ${url}` : `not connected: ${reason}`)
});
const subscription = live.subscribe(
	{ mode: 'stream', after, filter: {} },
	{
		tick({ changes }) {
			for (const { op, key, before, after, via, ...change } of changes) {
				if (change.schema === schema && change.table === table && op !== 'REFERENCE')
					console.log(op, key, before, '->', after);
				if (via?.schema === schema && via.table === table)
					console.log(`  referenced by ${change.schema}.${change.table}`, key, after);
			}
			writeFileSync(keptIn, JSON.stringify(subscription.cursor));
		},
		gap: ({ after, until, reason }) => console.error(`ticks ${after} to ${until} cannot be shown: ${reason}`),
		error({ message }) {
			console.error(message);
			process.exitCode = 1;
			live.close();
		}
	}
);

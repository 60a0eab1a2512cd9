/** A streaming standby of a cluster, from what npm's packages have: without pg_basebackup. */
import { spawnSync } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { unprivileged } from '../../src/lib/server/binaries.ts';
import { startPostgres, withClient, type Cluster } from './postgres.ts';

export interface Standby extends Cluster {
	/** Makes a primary of it, as it is; returns once it takes writes. */
	promote(): Promise<void>;
}

/** Settings of a primary. */
export const PRIMARY = { wal_level: 'replica', max_wal_senders: 4, hot_standby: 'on' };

/** Starts a standby that streams from `upstream`, an address of the running primary. */
export async function startStandby(primary: Cluster, upstream: string): Promise<Standby> {
	const parent = await mkdtemp(path.join(tmpdir(), 'rowcast-standby-'));
	const user = unprivileged();
	if (user) chownSync(parent, user.uid, user.gid);
	const folder = path.join(parent, 'cluster');
	const file = (name: string, text: string) => {
		const where = path.join(folder, 'data', name);
		writeFileSync(where, text, { mode: 0o600 });
		if (user) chownSync(where, user.uid, user.gid);
	};
	await withClient(primary.connectionString, async (db) => {
		await db.query(`select pg_backup_start('standby', true)`);
		// Files come and go and grow while they are copied, which is why it says when it starts and when it ends.
		spawnSync('cp', ['-a', primary.folder, folder], { stdio: 'ignore' });
		const { rows } = await db.query('select labelfile from pg_backup_stop(false)');
		file('backup_label', rows[0].labelfile);
	});
	await rm(path.join(folder, 'data', 'postmaster.pid'), { force: true });
	const { hostname, port, username, password } = new URL(upstream);
	file('standby.signal', '');
	file(
		'postgresql.auto.conf',
		`primary_conninfo = 'host=${hostname} port=${port} user=${username} password=${password} sslmode=disable'\n`
	);
	const cluster = await startPostgres({ folder, settings: PRIMARY });
	return {
		...cluster,
		async promote() {
			const { rows } = await withClient(cluster.connectionString, (db) =>
				db.query('select pg_promote(true, 30) as done')
			);
			if (!rows[0].done) throw new Error('The standby was not promoted within 30 s.');
		},
		async stop() {
			await cluster.stop();
			await rm(parent, { recursive: true, force: true });
		}
	};
}

/** What watching tables runs in the database and costs, and what takes it out again: what the first screen shows. */

/** The answer of `GET /install?table=…` (none named: of all tables that are not watched). */
export interface Installing {
	/** Who can run it: the role that installed, where it owns these tables too; null: a superuser alone. */
	role: string | null;
	/** What `rowcast install --dry-run` prints for these tables. */
	watch: string;
	/** What those statements run on the tables themselves, and what dropping it is; null where the role may not ask. */
	triggers: { create: string; drop: string } | null;
	/** What `rowcast uninstall --dry-run` prints once they are watched: the tables' part, and the last. */
	unwatch: string;
	uninstall: string;
	/** A change of one of the tables that changes no value; null where none has a column to name. */
	test: { schema: string; table: string; sql: string; empty: boolean } | null;
}

/** Throughput that is left of the same writes untouched, as `npm run bench -- writes` measured it for the README. */
export const COST: { what: string; alone: number; served: number }[] = [
	{ what: 'UPDATE of one row, 16 connections', alone: 0.64, served: 0.54 },
	{ what: 'INSERT of one row, 16 connections', alone: 0.67, served: 0.64 },
	{ what: 'UPDATE of 30,000 rows', alone: 0.3, served: 0.18 },
	{ what: 'COPY of 100,000 rows', alone: 0.04, served: 0.02 }
];

import type pg from 'pg';

/**
 * What a database holds besides rows: every object, by name, with its rights. The roles that superusers make are shared
 * with other databases of the cluster, and roles with eight digits at their end are those of tests that run beside.
 */
export async function catalogueOf(db: pg.Client): Promise<string[]> {
	const { rows } = await db.query<{ line: string }>(`
		select format('%s %s', 'schema', nspname || ' ' || coalesce(nspacl::text, '')) as line from pg_namespace where nspname !~ '^pg_(toast_)?temp'
		union all select format('class %s %s %s', oid::regclass, relkind, relacl) from pg_class where relnamespace <> 'pg_toast'::regnamespace
		union all select format('attribute %s %s %s', attrelid::regclass, attname, attacl) from pg_attribute join pg_class c on c.oid = attrelid where c.relnamespace <> 'pg_toast'::regnamespace
		union all select format('function %s %s', oid::regprocedure, proacl) from pg_proc
		union all select format('type %s', oid::regtype) from pg_type where typnamespace <> 'pg_toast'::regnamespace
		union all select format('trigger %s on %s %s', tgname, tgrelid::regclass, tgenabled) from pg_trigger
		union all select format('event trigger %s', evtname) from pg_event_trigger
		union all select format('constraint %s on %s', conname, conrelid::regclass) from pg_constraint
		union all select format('comment %s %s %s', classoid::regclass, objoid, description) from pg_description
		union all select format('depend %s %s', classid::regclass, objid) from pg_shdepend where dbid = (select oid from pg_database where datname = current_database())
		union all select format('role %s', rolname) from pg_roles where rolname not in ('rowcast_owner', 'rowcast_writer', 'rowcast_json') and rolname !~ '_[0-9a-f]{8}$'
		union all select format('operator %s', oid::regoperator) from pg_operator
		union all select format('setting %s %s', setdatabase, setconfig) from pg_db_role_setting
		order by 1`);
	return rows.map(({ line }) => line);
}

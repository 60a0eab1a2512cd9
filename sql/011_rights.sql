-- Rowcast 011: rights. Who may do what besides the owner of schema rowcast.
begin;
set local client_min_messages = warning;
set local standard_conforming_strings = on;
do $$
begin
	perform pg_advisory_xact_lock(1920103279, 0);
	if (select rolsuper from pg_roles where rolname = current_user) then
		set local role rowcast_owner;
	end if;
end
$$;

create or replace function rowcast.grant_reading(reader regrole) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	f regprocedure;
begin
	execute format('grant usage on schema rowcast to %s', reader);
	execute format('grant select on all tables in schema rowcast to %s', reader);
	for f in select oid from pg_proc where pronamespace = 'rowcast'::regnamespace and prorettype <> 'trigger'::regtype
		and proname not in ('admit', 'configure', 'write_capture', 'rotate', 'watch', 'watch_all', 'unwatch', 'register', 'forget',
			'redact', 'set_redacted', 'set_redaction', 'redact_new', 'follow_table', 'renew_trigger', 'announce_references', 'find_by_name', 'grant_reading', 'uninstall')
	loop
		execute format('grant execute on function %s to %s', f, reader);
	end loop;
end
$$;
comment on function rowcast.grant_reading is 'Lets a role run a server on what is installed: read the log, make ticks and keep the log within its limits; not choose what is watched, what is redacted, or the limits. To be called again after an upgrade. References are announced of tables that the role may read.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

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

create or replace function rowcast.reading() returns setof regprocedure
language sql stable set search_path = pg_catalog, pg_temp as $$
	select oid::regprocedure from pg_proc where pronamespace = 'rowcast'::regnamespace and proname = any (
		-- Read.
		'{seq,between,tick_of,changes_of_row,field,field_with_care,field_by_token,compare,tables,watchable,trigger_state,watch_sql,
		advance,step,begin_epoch,maintain,prune,index_leaf,note_gap,note_unsound,clock_jumped,
		announce,announced,lock_references,append_references,referencing,named_columns,is_special,base_type,trusted,plain,abbreviate}'::text[])
$$;
comment on function rowcast.reading is 'What a role needs that runs a server or tail: to read, to make ticks, to keep the log, to announce references. Nothing by which it could have a function of its own run as another role.';

create or replace function rowcast.grant_reading(reader regrole) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	f regprocedure;
begin
	execute format('grant usage on schema rowcast to %s', reader);
	execute format('grant select on all tables in schema rowcast to %s', reader);
	for f in select rowcast.reading() loop
		execute format('grant execute on function %s to %s', f, reader);
	end loop;
end
$$;
comment on function rowcast.grant_reading is 'Lets a role run a server on what is installed: read the log, make ticks and keep the log within its limits; not choose what is watched, what is redacted, or the limits. To be called again after an upgrade. References are announced of tables that the role may read.';

do $$
declare
	f record;
begin
	-- Versions before let readers call more.
	for f in select p.oid::regprocedure as called, a.grantee::regrole as reader
		from pg_proc p cross join lateral aclexplode(p.proacl) a
		where p.pronamespace = 'rowcast'::regnamespace and p.proowner = current_user::regrole
			and a.grantee not in (0, p.proowner, coalesce(to_regrole('rowcast_writer'), 0)::oid) and p.oid not in (select rowcast.reading())
	loop
		execute format('revoke all on function %s from %s', f.called, f.reader);
	end loop;
end
$$;
do $$ begin perform rowcast.close_functions(); end $$;
reset role;
do $$
begin
	if (select rolsuper from pg_roles where rolname = current_user) then
		-- The superuser's, as it is run by whoever runs a command.
		create or replace function rowcast.refuse_commands() returns event_trigger
		language plpgsql set search_path = pg_catalog, pg_temp as $f$
		begin
			if current_user in ('rowcast_writer', 'rowcast_json') then
				raise exception 'role % runs no commands', current_user using errcode = 'insufficient_privilege';
			end if;
		end
		$f$;
		comment on function rowcast.refuse_commands is 'The event trigger''s function: somebody''s cast to json, which may run as one of these two roles while a row is recorded, cannot change or drop the functions that they own.';
		revoke all on function rowcast.refuse_commands from public;
		if not exists (select from pg_event_trigger where evtname = 'rowcast_refuse_commands') then
			create event trigger rowcast_refuse_commands on ddl_command_start
				when tag in ('ALTER FUNCTION', 'ALTER ROUTINE', 'DROP FUNCTION', 'DROP ROUTINE', 'DROP OWNED', 'GRANT', 'REVOKE')
				execute function rowcast.refuse_commands();
			alter event trigger rowcast_refuse_commands enable always;
			comment on event trigger rowcast_refuse_commands is 'Keeps the functions of Rowcast as they are while they record rows. Removed by rowcast.uninstall().';
		end if;
	end if;
end
$$;
commit;

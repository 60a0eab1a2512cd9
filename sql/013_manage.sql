-- Rowcast 013: settings, and the way out.
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

create or replace function rowcast.configure(setting_name text, setting_value text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	case setting_name
		when 'max_log' then perform setting_value::bigint;
		when 'retention' then perform setting_value::interval;
		when 'max_value' then perform setting_value::int;
		when 'watch_new' then perform setting_value::boolean;
		else raise exception 'there is no setting %', setting_name using hint = 'See table rowcast.setting.';
	end case;
	update rowcast.setting set value = setting_value where name = setting_name and value <> setting_value;
	if found and setting_name <> 'watch_new' then
		perform rowcast.write_capture();
	end if;
end
$$;
comment on function rowcast.configure is 'Changes a setting (see table rowcast.setting) and what depends on it.';

create or replace function rowcast.uninstall() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	patience text := current_setting('lock_timeout');
	what text;
begin
	drop schema rowcast cascade;  -- takes the triggers along: they depend on its functions
	begin
		-- Whoever installs in another database at this moment keeps the roles from being dropped. They go on here sooner than
		-- PostgreSQL looks for a deadlock, of which the other would be the victim.
		perform set_config('lock_timeout', '100ms', true);
		drop role if exists rowcast_owner, rowcast_writer, rowcast_json;
	exception
		when dependent_objects_still_exist then
			get stacked diagnostics what = pg_exception_detail;  -- most often that another database of this cluster has Rowcast too
			raise notice 'rowcast: its roles stay, %', sqlerrm using detail = what;
		when insufficient_privilege or lock_not_available or deadlock_detected then
			null;  -- it was installed by a role that is no superuser
	end;
	perform set_config('lock_timeout', patience, true);
end
$$;
comment on function rowcast.uninstall is 'Removes Rowcast: its triggers on every table, its schema, its roles. Waits for running transactions, so set lock_timeout.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

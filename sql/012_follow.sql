-- Rowcast 012: columns that are added or renamed, and are to be redacted from their first value on.
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

create table if not exists rowcast.redaction (
	schema text not null,
	name text not null,
	column_name text not null,
	primary key (schema, name, column_name)
);
comment on table rowcast.redaction is 'Columns to redact, of tables there are and tables to come; * stands for every name. See rowcast.set_redaction().';
revoke all on rowcast.redaction from public;

create or replace function rowcast.redact_new(target oid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	update rowcast.relation r set redacted = array(select distinct a from unnest(r.redacted || m.numbers) a order by a)
	from (select array_agg(a.attnum::int) as numbers
		from rowcast.watchable() w join rowcast.redaction p on p.schema in ('*', w.schema) and p.name in ('*', w.name)
		join pg_attribute a on a.attrelid = w.oid and a.attnum > 0 and not a.attisdropped and p.column_name in ('*', a.attname)
		where w.oid = target) m
	where r.oid = target and not m.numbers <@ r.redacted;
	return found;
end
$$;
comment on function rowcast.redact_new is 'Notes the columns of a watched table that rowcast.redaction names and that were not redacted before; true where there are any.';

create or replace function rowcast.arguments_now(relation_id int) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	-- Numbered from 0, as those of a trigger are.
	select ('[0:' || cardinality(a) - 1 || ']=' || a::text)::text[]
	from (select rowcast.trigger_arguments(oid) as a from rowcast.relation where id = relation_id) t
$$;
comment on function rowcast.arguments_now is 'What the triggers of a table would be called with if they were made anew.';

create or replace function rowcast.note_stale() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	now_stale text[] := array(select r.id::text from rowcast.relation r
		where r.watched and r.redacted <> '{}' and exists (
			select from rowcast.triggers(r.oid) t where t.on_table = r.oid and not t.truncates and not t.fits)
		order by r.id);
begin
	update rowcast.state set stale = now_stale where stale <> now_stale;
	if found then
		perform rowcast.write_capture();
	end if;
end
$$;
comment on function rowcast.note_stale is 'Has the trigger functions ask at each row what is redacted, for tables whose triggers do not know it yet: only the tables'' owners can make those anew. 0.2 ms a row.';

create or replace function rowcast.set_redaction(patterns jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	delete from rowcast.redaction;
	insert into rowcast.redaction select p ->> 'schema', p ->> 'table', p ->> 'column' from jsonb_array_elements(patterns) p on conflict do nothing;
	if (select coalesce(bool_or(rowcast.redact_new(oid)), false) from rowcast.relation where watched) then
		perform rowcast.note_stale();
	end if;
end
$$;
comment on function rowcast.set_redaction is 'Says which columns are to be redacted: [{"schema", "table", "column"}], * for every name. Columns that are added later are redacted at once where a superuser installed, else with the next look of a server.';

create or replace function rowcast.follow_columns() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	new_ones boolean;
begin
	select bool_or(rowcast.redact_new(objid)) into new_ones
	from (select distinct objid from pg_event_trigger_ddl_commands() where classid = 'pg_class'::regclass) c
	where exists (select from rowcast.relation r where r.oid = objid and r.watched);
	if new_ones then
		perform rowcast.note_stale();
	end if;
exception when others then
	raise warning 'rowcast: columns that were added may not be redacted at once (%)', sqlstate;
end
$$;
comment on function rowcast.follow_columns is 'The event trigger''s function: redacts columns that are added, in the same transaction. Never fails the command.';
revoke all on function rowcast.follow_columns from public;

do $$
begin
	perform rowcast.close_functions();
	if exists (select from pg_proc where oid = 'rowcast.capture'::regproc and proowner <> current_user::regrole) then
		grant execute on function rowcast.arguments_now(int) to rowcast_writer;
	end if;
end
$$;
reset role;
do $$
begin
	if (select rolsuper from pg_roles where rolname = current_user)
		and not exists (select from pg_event_trigger where evtname = 'rowcast_follow_columns') then
		create event trigger rowcast_follow_columns on ddl_command_end when tag in ('ALTER TABLE') execute function rowcast.follow_columns();
		alter event trigger rowcast_follow_columns enable always;
		comment on event trigger rowcast_follow_columns is 'Rowcast redacts columns that are added. Removed by rowcast.uninstall().';
	end if;
end
$$;
commit;

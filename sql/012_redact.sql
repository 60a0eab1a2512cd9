-- Rowcast 012: which columns are redacted.
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

create or replace function rowcast.redact(target regclass, variadic columns text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	missing text := (select string_agg(format('%I', c), ', ') from unnest(columns) c
		where not exists (select from pg_attribute where attrelid = target and attname = c and attnum > 0 and not attisdropped));
begin
	if missing is not null then
		raise exception '% has no column %', target, missing using errcode = 'undefined_column';
	end if;
	perform rowcast.set_redacted(target, columns);
	if rowcast.trigger_state(target) = 'out of date' then
		perform rowcast.watch(target);
	end if;
end
$$;
comment on function rowcast.redact(regclass, text[]) is 'Replaces the values of these columns of a table before they reach the log, from now on; none named ends it. Choose before watching: what is recorded stays.';

drop function if exists rowcast.note_names();
create or replace function rowcast.note_names(only_of oid default null) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
	update rowcast.relation r set schema = n.schema, name = n.name, redacted_names = n.redacted
	from (select o.id, s.nspname::text as schema, c.relname::text as name, a.redacted
		from rowcast.relation o join pg_class c on c.oid = o.oid join pg_namespace s on s.oid = c.relnamespace
		cross join lateral (select array(select attname::text from pg_attribute
			where attrelid = o.oid and attnum = any (o.redacted) and not attisdropped order by attnum) as redacted) a
		where (only_of is null or o.oid = only_of)
			and (o.schema, o.name, o.redacted_names) is distinct from (s.nspname, c.relname, a.redacted)
		-- Whoever holds one is about to note it.
		for update of o skip locked) n
	where n.id = r.id
$$;
comment on function rowcast.note_names is 'Follows tables and redacted columns that were renamed: one table, or all. Part of maintain().';

create or replace function rowcast.find_by_name() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	-- The last that had a name. Those that were not found before, either, have the oids that they are given here.
	newest int[] := array(select distinct on (schema, name) id from rowcast.relation
		order by schema, name, oid = (4294967295 - id)::oid, oid desc);
begin
	update rowcast.relation set oid = (4294967295 - id)::oid;  -- no two may meet on the way
	update rowcast.relation r
	set oid = w.oid, gone = null, redacted = array(select a.attnum::int from pg_attribute a
		where a.attrelid = w.oid and a.attnum > 0 and not a.attisdropped and (a.attname = any (r.redacted_names)
			-- One was renamed since the names were noted: it may be any.
			or exists (select from unnest(r.redacted_names) n where not exists (
				select from pg_attribute f where f.attrelid = w.oid and f.attname = n and f.attnum > 0)))
		order by a.attnum)
	from rowcast.watchable() w
	where r.id = any (newest) and (r.schema, r.name) = (w.schema, w.name);
end
$$;
comment on function rowcast.find_by_name is 'Finds the watched tables and redacted columns by name, where a dump was restored: their oids and numbers are others. Where a redacted column is not found, all of its table are redacted. Part of begin_epoch().';

create or replace function rowcast.set_redacted(target regclass, columns text[]) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	numbers int[] := array(select attnum::int from pg_attribute
		where attrelid = target and attname = any (columns) and attnum > 0 and not attisdropped order by attnum);
begin
	insert into rowcast.relation as r (oid, schema, name, watched, redacted)
	select w.oid, w.schema, w.name, false, numbers from rowcast.watchable() w where w.oid = target
	on conflict (oid) do update set redacted = excluded.redacted where r.redacted <> excluded.redacted;
	if not found then
		return false;
	end if;
	perform rowcast.note_names();
	return true;
end
$$;
comment on function rowcast.set_redacted is 'Notes the redacted columns of a table. Part of redact().';

create or replace function rowcast.set_redaction(patterns jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	delete from rowcast.redaction;
	insert into rowcast.redaction select p ->> 'schema', p ->> 'table', p ->> 'column' from jsonb_array_elements(patterns) p on conflict do nothing;
	-- What a migration holds, the event trigger follows.
	perform rowcast.redact_new(r.oid) from (
		select oid from rowcast.relation where not rowcast.named_columns(oid) <@ redacted for update skip locked) r;
	-- Those that are not watched too: their rows are announced where they reference a changed one.
	insert into rowcast.relation (oid, schema, name, watched, redacted)
	select w.oid, w.schema, w.name, false, n.numbers
	from rowcast.watchable() w cross join lateral (select rowcast.named_columns(w.oid)) n(numbers)
	where n.numbers <> '{}' and not exists (select from rowcast.relation r where r.oid = w.oid)
	on conflict do nothing;
end
$$;
comment on function rowcast.set_redaction is 'Says which columns are to be redacted: [{"schema", "table", "column"}], * for every name. Columns that are added later are redacted at once where a superuser installed, else with the next look of a server. Triggers that there are know it once watch() has made them anew.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

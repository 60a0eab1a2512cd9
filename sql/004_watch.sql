-- Rowcast 004: the public functions. `select rowcast.watch('public.book')` is enough to begin.
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

create or replace function rowcast.watchable() returns table (oid oid, schema text, name text)
language sql stable set search_path = pg_catalog, pg_temp as $$
	select c.oid, n.nspname::text, c.relname::text
	from pg_class c join pg_namespace n on n.oid = c.relnamespace
	where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
		and n.nspname not in ('rowcast', 'information_schema') and n.nspname !~ '^pg_'
$$;
comment on function rowcast.watchable is 'Every table that can be watched: outside system schemas and rowcast, not temporary; a partitioned table stands for its partitions.';

alter table rowcast.relation add column if not exists redacted_names text[] not null default '{}';
comment on column rowcast.relation.redacted_names is 'The names of the redacted columns when last looked at: in a restored dump their numbers may be others.';

create table if not exists rowcast.redaction (
	schema text not null,
	name text not null,
	column_name text not null,
	primary key (schema, name, column_name)
);
comment on table rowcast.redaction is 'Columns to redact, of tables there are and tables to come; * stands for every name. See rowcast.set_redaction().';
revoke all on rowcast.redaction from public;

create or replace function rowcast.named_columns(target oid) returns int[]
language sql stable security definer set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
	with former as (
		-- A trigger that is another table's: this one was its partition, or was restored from a dump under a new name.
		select n.name, exists (select from pg_attribute
			where attrelid = target and attname = n.name and attnum > 0 and not attisdropped) as found
		from pg_trigger t join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'rowcast'::regnamespace
		-- Only what is ours begins with a number, in whatever order the planner asks.
		join rowcast.relation o on o.oid <> target and o.id = case when p.pronamespace = 'rowcast'::regnamespace
			then split_part(encode(t.tgargs, 'escape'), E'\\000', 1)::int end
		cross join lateral (
			select attname::text from pg_attribute where attrelid = o.oid and attnum = any (o.redacted) and not attisdropped
			union
			select unnest(o.redacted_names) where not exists (select from pg_class where oid = o.oid)) n(name)
		where t.tgrelid = target and t.tgparentid = 0
	)
	select array(
		select a.attnum::int
		from pg_class c join pg_namespace s on s.oid = c.relnamespace
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.oid = target and (
			exists (select from rowcast.redaction p where p.schema in ('*', s.nspname) and p.name in ('*', c.relname)
				and p.column_name in ('*', a.attname))
			or exists (select from former f where f.name = a.attname or not f.found))
		order by 1)
$$;
comment on function rowcast.named_columns is 'The numbers of the columns of a table that rowcast.redaction names, or that were redacted while it was a partition of another; all of them where one of those is not found.';

create or replace function rowcast.redact_new(target oid) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
	with r as (
		update rowcast.relation r set redacted = array(select distinct unnest(r.redacted || n.numbers) order by 1)
		from (select rowcast.named_columns(target) as numbers) n
		where r.oid = target and not n.numbers <@ r.redacted
		returning 1)
	select exists (select from r)
$$;
comment on function rowcast.redact_new is 'Redacts the named_columns() of a table that were not redacted before; true where there are any.';

create or replace function rowcast.register(target regclass) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	relation_id int;
begin
	insert into rowcast.relation as r (oid, schema, name)
	select w.oid, w.schema, w.name from rowcast.watchable() w where w.oid = target
	on conflict (oid) do update set schema = excluded.schema, name = excluded.name, watched = true
	returning id into relation_id;
	if relation_id is null then
		raise exception '% cannot be watched', target using errcode = 'wrong_object_type',
			hint = 'Rowcast watches ordinary and partitioned tables outside system schemas; a partition is watched through its parent.';
	end if;
	perform rowcast.redact_new(target);
	return relation_id;
end
$$;
comment on function rowcast.register is 'Notes a table as watched and returns its id. Part of watch().';

create or replace function rowcast.trigger_arguments(target regclass) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select array[r.id::text]
		|| case when cardinality(r.redacted) > 0 or v.has_virtual then array[
			r.redacted::text,
			(select coalesce(array_agg(c.attname order by c.attnum), '{}')::text
				from pg_attribute c where c.attrelid = r.oid and c.attnum = any (r.redacted) and not c.attisdropped),
			(select coalesce(array_agg(p.position order by p.attnum), '{}')::text
				from (select attnum, row_number() over (order by attnum) as position
					from pg_attribute where attrelid = r.oid and attnum > 0 and not attisdropped) p
				where p.attnum = any (r.redacted))]
			else '{}' end
		|| case when v.has_virtual then array['virtual'] else '{}' end
	from rowcast.relation r
	cross join lateral (select exists (select from pg_attribute
		where attrelid = r.oid and attgenerated = 'v' and not attisdropped) as has_virtual) v
	where r.oid = target
$$;
comment on function rowcast.trigger_arguments is 'What the triggers of a table are to be called with: its id; where it has redacted or virtual columns, the redacted ones by number, name and position; then a word where it has virtual ones.';

create or replace function rowcast.triggers(target regclass)
returns table (on_table regclass, name text, truncates boolean, clone boolean, enabled "char", fits boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
	select t.tgrelid, t.tgname::text, x.truncates, t.tgparentid <> 0, t.tgenabled,
		t.tgname ~ '^!rowcast' and case
			when x.truncates then t.tgargs = convert_to(w.args[1], getdatabaseencoding()) || decode('00', 'hex')
			when t.tgparentid <> 0 then true
			else t.tgrelid = target and (t.tgtype & 1) = 1 and t.tgfoid = rowcast.capture_of(target) and t.tgargs = (
				select string_agg(convert_to(a, getdatabaseencoding()) || decode('00', 'hex'), '' order by i) from unnest(w.args) with ordinality u(a, i))
			end
	from (select target::oid union select relid from pg_partition_tree(target)) p(oid)
	cross join lateral (select * from pg_trigger where tgrelid = p.oid offset 0) t
	cross join lateral (select t.tgfoid = 'rowcast.capture_truncate'::regproc) x(truncates)
	cross join (select rowcast.trigger_arguments(target)) w(args)
	where (select pronamespace = 'rowcast'::regnamespace and proname like 'capture%' and prorettype = 'trigger'::regtype
		from pg_proc where oid = t.tgfoid)
$$;
comment on function rowcast.triggers is 'Rowcast''s triggers on a table and its partitions: whether PostgreSQL made each as a clone of the table''s own, and whether it is as watch() would make it.';

create or replace function rowcast.trigger_state(target regclass) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
	select case
		when not exists (select from rowcast.relation r where r.oid = target and r.watched) then 'not watched'
		when count(distinct t.truncates) filter (where t.on_table = target) < 2 then 'trigger missing'
		-- Those of another number are to go: see follow_triggers().
		when bool_or(t.enabled in ('D', 'R') and t.name ~ (select '_' || id || '$' from rowcast.relation where oid = target)) then 'trigger disabled'
		when not bool_and(t.fits and t.enabled = 'A') or count(distinct (t.on_table, t.truncates)) < 2 * (
			select count(*) from (select target::oid union select relid from pg_partition_tree(target)) p(oid)
			join pg_class c using (oid) where c.relkind <> 'f') then 'out of date'
		else 'watched'
	end
	from rowcast.triggers(target) t
$$;
comment on function rowcast.trigger_state is 'How the triggers of a table are: watched, not watched, trigger missing, trigger disabled, or out of date.';

alter table rowcast.relation add column if not exists sound_until bigint;
comment on column rowcast.relation.sound_until is 'The newest tick at which the triggers of a watched table were seen in place, while they are not: changes since may be missing. Else null.';

create or replace function rowcast.note_unsound(target regclass, seen bigint default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	since bigint := (select sound_until from rowcast.relation where oid = target);
	-- What was disabled and enabled again, even in one transaction, is no longer enabled always.
	is_sound boolean := (select count(distinct t.truncates) filter (where t.on_table = target) = 2 and bool_and(t.enabled = 'A')
		from rowcast.triggers(target) t join rowcast.relation r on r.oid = target
		where t.name in ('!rowcast_' || r.id, '!rowcast_truncate_' || r.id));
begin
	if not is_sound and since is null then
		update rowcast.relation set sound_until = coalesce(seen, (select captured from rowcast.state)) where oid = target and watched;
	elsif is_sound and since is not null then
		insert into rowcast.gap (after, until, reason) select since, max(n) + 1, 'capture' from rowcast.tick on conflict do nothing;
		update rowcast.relation set sound_until = null where oid = target;
	end if;
end
$$;
comment on function rowcast.note_unsound is 'Notes since when the triggers of a watched table are missing or were disabled: since the tick seen, or the newest that was kept. Once they are in place again, what lies between becomes a gap.';

create or replace function rowcast.note_new(target regclass, seen bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	execute format('lock table only %s in share row exclusive mode', target);
	-- What never had a row has missed none.
	if (select sum(pg_relation_size(p.oid)) from (select target::oid union select relid from pg_partition_tree(target)) p(oid)) > 0 then
		perform rowcast.register(target);
		perform rowcast.note_unsound(target, seen);
	end if;
end
$$;
comment on function rowcast.note_new is 'Before watch(): a table that was not watched at the tick seen, but should have been. Where it has had rows, what lies between becomes a gap.';

create or replace function rowcast.watch_sql(target regclass) returns table (run text, undo text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	relation_id int;
	keeps_row boolean := exists (select from rowcast.triggers(target) t where not t.truncates and t.on_table = target and t.fits);
begin
	-- Its number is part of the statements, so it is taken now; watched or not is not said by that.
	insert into rowcast.relation (oid, schema, name, watched, redacted)
	select w.oid, w.schema, w.name, false, rowcast.named_columns(w.oid) from rowcast.watchable() w
	where w.oid = target and not exists (select from rowcast.relation r where r.oid = target)
	on conflict (oid) do nothing;
	select r.id into relation_id from rowcast.relation r where r.oid = target;
	return query
	with part as (
		select p.oid::regclass as on_table, c.relkind <> 'f' as truncates
		from (select target::oid union select relid from pg_partition_tree(target)) p(oid) join pg_class c using (oid)
	), found as (
		-- With a trigger its clones go.
		select t.*, case when t.clone then keeps_row and not exists (
			select from rowcast.triggers(target) o where not o.clone and not o.fits and o.name = t.name) else t.fits end as stays
		from rowcast.triggers(target) t
	), made as (
		-- The names: first in the alphabet, because triggers fire in its order, and one of the application's may change
		-- the row again; and of its own for each table, because a table may become a partition of another.
		select target as on_table, '!rowcast_' || relation_id as name, 'insert or update or delete' as event,
			format('row execute function rowcast.%I(%s)', (select proname from pg_proc where oid = rowcast.capture_of(target)),
				(select string_agg(quote_literal(a), ', ' order by i)
					from unnest(rowcast.trigger_arguments(target)) with ordinality u(a, i))) as does,
			'Rowcast records changed rows. Remove with rowcast.unwatch().' as about, 1 as nr
		where not keeps_row
		union all
		select p.on_table, '!rowcast_truncate_' || relation_id, 'truncate',
			format('statement execute function rowcast.capture_truncate(%s)', relation_id),
			'Rowcast records truncation. Remove with rowcast.unwatch().', 2
		from part p where p.truncates and not exists (
			select from found f where f.stays and f.truncates and f.on_table = p.on_table)
	)
	select s.run, s.undo from (
		select 0 as nr, f.on_table, 0 as step, format('drop trigger %I on %s', f.name, f.on_table) as run, null as undo
		from found f where not f.clone and not f.stays
		union all
		select m.nr, m.on_table, 1,
			format(E'create trigger %I after %s on %s\n\tfor each %s', m.name, m.event, m.on_table, m.does),
			format('drop trigger %I on %s', m.name, m.on_table)
		from made m
		union all
		select m.nr, m.on_table, 2, format('comment on trigger %I on %s is %L', m.name, m.on_table, m.about), null from made m
		union all
		-- Always: also for rows that logical replication applies, and for sessions in session_replication_role = replica.
		select 3, e.on_table, 3, format('alter table only %s enable always trigger %I', e.on_table, e.name), null
		from (select f.on_table, f.name from found f where f.stays and f.enabled <> 'A'
			union select m.on_table, m.name from made m
			-- Each partition gets a clone of the trigger for rows.
			union select p.on_table, m.name from made m cross join part p where m.nr = 1) e) s
	order by s.nr, s.on_table::text, s.step, s.run;
end
$$;
comment on function rowcast.watch_sql is 'The statements that watch() would run on a table as it is now, in order, and how each trigger that they make is dropped again. Changes nothing about it, but gives it its number in the log.';

create or replace function rowcast.watch(target regclass) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
	statement text;
begin
	perform rowcast.note_unsound(target);
	perform rowcast.register(target);
	if rowcast.trigger_state(target) = 'watched' then
		return false;
	end if;
	-- Before the statements are made, so that they know the columns that a migration adds meanwhile.
	execute format('lock table only %s in share row exclusive mode', target);
	perform rowcast.redact_new(target);
	for statement in select w.run from rowcast.watch_sql(target) w loop
		execute statement;
	end loop;
	perform rowcast.note_unsound(target);
	return true;
end
$$;
comment on function rowcast.watch is 'Records the changes of a table from now on. Returns false where it is so already. Needs the right to create triggers on it; waits for its running transactions, so set lock_timeout.';

drop function if exists rowcast.drop_triggers(regclass, boolean);  -- of versions before

create or replace function rowcast.forget(target regclass) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
	with r as (update rowcast.relation set watched = false where oid = target and watched returning 1)
	select exists (select from r)
$$;
comment on function rowcast.forget is 'Notes a table as no longer watched. Part of unwatch().';

create or replace function rowcast.unwatch(target regclass) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
	t record;
begin
	for t in select o.on_table, o.name from rowcast.triggers(target) o where not o.clone loop
		execute format('drop trigger %I on %s', t.name, t.on_table);
	end loop;
	return rowcast.forget(target);
end
$$;
comment on function rowcast.unwatch is 'Stops recording the changes of a table; what is recorded stays. Returns false where it was not watched.';

create or replace function rowcast.watch_all() returns setof regclass
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	target regclass;
begin
	for target in select w.oid from rowcast.watchable() w order by w.schema, w.name loop
		if rowcast.watch(target) then
			return next target;
		end if;
	end loop;
end
$$;
comment on function rowcast.watch_all is 'Watches every table there is, in one transaction; returns those that were not watched before.';

create or replace function rowcast.tables()
returns table (schema text, name text, state text, redacted text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select w.schema, w.name, rowcast.trigger_state(w.oid),
		array(select c.attname::text from pg_attribute c where c.attrelid = w.oid and c.attnum = any (r.redacted) order by c.attnum)
	from rowcast.watchable() w left join rowcast.relation r on r.oid = w.oid
	order by 1, 2
$$;
comment on function rowcast.tables is 'Every table that can be watched, and whether it is.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

-- Rowcast 014: columns that are added or renamed, and tables that are made, are followed from their first value on.
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

create or replace function rowcast.follow_triggers(target oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	r rowcast.relation := (select o from rowcast.relation o where o.watched
		and o.oid = coalesce((select pg_partition_root(oid) from pg_class where oid = target and relispartition), target));
	stranger text;
begin
	-- A partition has PostgreSQL's clone of the trigger for rows, and of that for truncation nothing.
	if r.oid <> target and not exists (select from pg_trigger where tgrelid = target and tgname = '!rowcast_truncate_' || r.id) then
		perform rowcast.make_triggers(target, null, array[r.id::text]);
	end if;
	-- Of the table before it was attached, or of a table that was dropped and comes back from its dump: would record twice.
	for stranger in select distinct substring(t.tgname from '\d+$') from pg_trigger t
		where t.tgrelid = target and t.tgparentid = 0 and t.tgenabled <> 'D' and t.tgname ~ '^!rowcast_(truncate_)?\d+$'
			and substring(t.tgname from '\d+$') <> r.id::text
			and (select pronamespace from pg_proc where oid = t.tgfoid) = 'rowcast'::regnamespace
			and exists (select from pg_trigger o where o.tgrelid = target and o.tgname = '!rowcast_' || r.id)
	loop
		perform rowcast.disable_triggers(target, stranger::int);
	end loop;
exception when others then
	raise warning 'rowcast: the triggers of % are put right once a server has looked at it (%)', target::regclass, sqlstate;
end
$$;
comment on function rowcast.follow_triggers is 'Has a table that was made, attached or restored recorded once: by the triggers of its number, or of its parent''s. Part of follow_schema().';

create or replace function rowcast.follow_table(target oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	fresh boolean := current_setting('transaction_isolation') = 'read committed';
	r rowcast.relation := (select o from rowcast.relation o where oid = target);
	arguments text[];
	ids int[] := array[r.id];
begin
	if fresh and r.id is null or coalesce(r.redacted, '{}') || rowcast.named_columns(target) = '{}' then
		return;
	end if;
	-- Two serializable migrations that both write there would not both come about.
	if current_setting('transaction_isolation') <> 'serializable' then
		begin
			perform rowcast.redact_new(target), rowcast.note_names(target);
			arguments := rowcast.trigger_arguments(target);
		exception when others then
			null;  -- somebody else has the row, for longer than a migration is to wait; or it is newer than the snapshot
		end;
	end if;
	if arguments is null then
		-- Every column then, also those that the snapshot does not show, and by the careful way.
		arguments := array[r.id::text, array(select generate_series(1, 1600))::text,
			array(select attname from pg_attribute where attrelid = target and attnum > 0 and not attisdropped)::text, '{}', 'virtual'];
		if r.id is null then
			-- Perhaps watched since the snapshot. The sequence tells of numbers that it does not show.
			ids := array(select n::int from rowcast.relation_id_seq s, generate_series(
				greatest((select max(id) + 1 from rowcast.relation where id <= s.last_value), s.last_value - 1000), s.last_value) n)
				|| case when target::bigint < 2147483648 then array[target::bigint::int] else '{}' end;
		end if;
	elsif not r.watched then
		return;
	end if;
	for i in 1..cardinality(ids) loop
		arguments[1] := ids[i]::text;
		continue when exists (select from pg_trigger t where t.tgrelid = target and t.tgargs = (
			select string_agg(convert_to(a, getdatabaseencoding()) || decode('00', 'hex'), '' order by n)
			from unnest(arguments) with ordinality u(a, n)));
		perform rowcast.remake_trigger(target, (
			-- Those for small values do not look for what is redacted.
			select replace(proname, '_small', '') from pg_proc where oid = rowcast.capture_of(target)), arguments);
	end loop;
end
$$;
comment on function rowcast.follow_table is 'Redacts the named_columns() of a table that a migration has just altered, and tells its trigger. Touches nothing that is not this table''s, so that migrations wait neither for each other nor for a server. Part of follow_schema().';

insert into rowcast.setting values
	('watch_new', 'off', 'on: tables that are made are watched from their first row on, where a superuser installed') on conflict do nothing;

create or replace function rowcast.watch_new(target oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	-- Its oid for a number: nextval() would change what the application's lastval() returns.
	insert into rowcast.relation (id, oid, schema, name) overriding system value
	select w.oid::bigint::int, w.oid, w.schema, w.name from rowcast.watchable() w
	where w.oid = target and w.oid::bigint < 2147483648 and (select value from rowcast.setting where name = 'watch_new') = 'on'
		and current_setting('transaction_isolation') <> 'serializable'  -- as in follow_table()
	on conflict do nothing;
	if found then
		perform rowcast.redact_new(target);
		perform rowcast.make_triggers(target, (select proname from pg_proc where oid = rowcast.capture_of(target)), rowcast.trigger_arguments(target));
	end if;
exception when others then
	raise warning 'rowcast: % is recorded once a server has looked at it (%)', target::regclass, sqlstate;
end
$$;
comment on function rowcast.watch_new is 'Watches a table that was just made. What is not watched by it, the next look of a server does. Part of follow_schema().';

create or replace function rowcast.follow_schema() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms'
-- What returns a set is taken to have 1,000 rows: catalogues were read whole, 1 ms for each command.
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
	if tg_tag = 'CREATE TRIGGER' then
		perform rowcast.follow_triggers(t.tgrelid) from pg_event_trigger_ddl_commands() c join pg_trigger t on t.oid = c.objid
		where t.tgname ~ '^!rowcast_' and exists (select from pg_trigger o where o.tgrelid = t.tgrelid
			and o.tgname ~ '^!rowcast_' and substring(o.tgname from '\d+$') <> substring(t.tgname from '\d+$'));
		return;
	elsif tg_tag ~ '^(CREATE|SELECT)' then
		-- Triggers on the tables of an extension would be part of it: those are left to a server.
		perform case when c.relispartition then rowcast.follow_triggers(c.oid) else rowcast.watch_new(c.oid) end
		from pg_event_trigger_ddl_commands() d join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
		where d.object_type = 'table' and d.schema_name <> 'pg_temp' and not d.in_extension;
		return;
	end if;
	perform rowcast.follow_table(t.oid), rowcast.follow_triggers(t.oid) from (
		with recursive t as (
			select objid as oid from pg_event_trigger_ddl_commands() where classid = 'pg_class'::regclass
			union
			select b.oid from t cross join lateral (
				select inhrelid as oid from pg_inherits where inhparent = t.oid
				union all
				-- The tables of a composite type.
				select d.objid from pg_class c join pg_depend d on d.refclassid = 'pg_type'::regclass and d.refobjid = c.reltype
					and d.classid = 'pg_class'::regclass and d.objsubid = 0
				where c.oid = t.oid and c.relkind = 'c') b
		)
		select oid from t) t;
exception when others then
	raise warning 'rowcast: what this command made or altered is put right once a server has looked at it (%)', sqlstate;
end
$$;
comment on function rowcast.follow_schema is 'The event trigger''s function: watches tables that are made, where all are watched, and redacts columns that are added or renamed, in the same transaction, of the table, its descendants and the tables of a type. Never fails the command.';
revoke all on function rowcast.follow_schema from public;

do $$ begin perform rowcast.close_functions(); end $$;
reset role;
do $$
begin
	if (select rolsuper from pg_roles where rolname = current_user) then
		drop event trigger if exists rowcast_follow_columns;  -- of versions before
		drop function if exists rowcast.follow_columns(), rowcast.renew_trigger(regclass, name, text[]),
			rowcast.make_triggers(regclass, name, text[], boolean);
		-- The superuser's, because only the owner of a table may make its triggers. Each reads no table of Rowcast's and calls
		-- none of its functions, which rowcast_owner could replace: so they share nothing.
		create or replace function rowcast.make_triggers(target regclass, capture name, arguments text[]) returns void
		language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $f$
		declare
			row_trigger text := '!rowcast_' || arguments[1]::int;
			truncate_trigger text := '!rowcast_truncate_' || arguments[1]::int;
		begin
			if not exists (select from pg_event_trigger_ddl_commands()
				where capture is null or objid = target and command_tag ~ '^(CREATE|SELECT)')
			then
				raise exception '% is not new', target;
			end if;
			if capture is not null then
				execute format('create trigger %I after insert or update or delete on %s for each row execute function rowcast.%I(%s)',
					row_trigger, target, capture, (select string_agg(quote_literal(a), ', ' order by n) from unnest(arguments) with ordinality u(a, n)));
				execute format('comment on trigger %I on %s is %L', row_trigger, target,
					'Rowcast records changed rows. Remove with rowcast.unwatch().');
			end if;
			execute format('create trigger %I after truncate on %s for each statement execute function rowcast.capture_truncate(%s)',
				truncate_trigger, target, arguments[1]::int);
			execute format('comment on trigger %I on %s is %L', truncate_trigger, target,
				'Rowcast records truncation. Remove with rowcast.unwatch().');
			execute format('alter table only %s ', target) || concat_ws(', ',
				case when capture is not null then format('enable always trigger %I', row_trigger) end,
				format('enable always trigger %I', truncate_trigger));
		end
		$f$;
		comment on function rowcast.make_triggers is 'Makes the triggers of a table that is being made; where capture is null, of a partition, that for truncation. For rowcast_owner, which has no right to that: part of watch_new() and follow_triggers().';

		create or replace function rowcast.remake_trigger(target regclass, capture name, arguments text[]) returns void
		language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $f$
		declare
			row_trigger text := '!rowcast_' || arguments[1]::int;
			tables oid[] := array(select target::oid union select relid from pg_partition_tree(target));
			-- As it was, so that what was disabled is told.
			enabling text[] := array(select format('alter table only %s %s trigger %I', tgrelid::regclass,
					case tgenabled when 'A' then 'enable always' when 'R' then 'enable replica' when 'D' then 'disable' else 'enable' end, tgname)
				from pg_trigger where tgrelid = any (tables) and tgname = row_trigger);
			statement text;
		begin
			-- Takes no lock that the migration has not: a table that is renamed leaves its partitions alone.
			if exists (select unnest(tables) except select relation from pg_locks
				where pid = pg_backend_pid() and mode = 'AccessExclusiveLock' and granted
					and database = (select oid from pg_database where datname = current_database()))
			then
				raise warning 'rowcast: % is redacted once a server has looked at it', target;
				return;
			end if;
			execute format('drop trigger %I on %s', row_trigger, target);
			execute format('create trigger %I after insert or update or delete on %s for each row execute function rowcast.%I(%s)',
				row_trigger, target, capture, (select string_agg(quote_literal(a), ', ' order by n) from unnest(arguments) with ordinality u(a, n)));
			execute format('comment on trigger %I on %s is %L', row_trigger, target,
				'Rowcast records changed rows. Remove with rowcast.unwatch().');
			foreach statement in array enabling loop
				execute statement;
			end loop;
		exception
			when undefined_object then
				null;  -- not watched
			when others then
				-- Its events are still to fire, as a rename allows. Rather nothing than a value that is to be redacted: a server
				-- that finds the trigger disabled tells a gap.
				update pg_trigger set tgenabled = 'D' where tgrelid = any (tables) and tgname = row_trigger
					and split_part(encode(tgargs, 'escape'), E'\\000', 2) <> arguments[2];
				if found then
					update pg_class set relhastriggers = true where oid = any (tables);  -- has every session read them again
					raise warning 'rowcast: % is not recorded until a server has looked at it (%)', target, sqlstate;
				end if;
		end
		$f$;
		comment on function rowcast.remake_trigger is 'Makes the row trigger of a table anew, with other arguments, where it has one. For rowcast_owner, which has no right to that: part of follow_table().';

		create or replace function rowcast.disable_triggers(target regclass, relation_id int) returns void
		language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
		declare
			statement text;
		begin
			-- Whoever restores a dump enables and comments the triggers that it has: no reason to drop one.
			foreach statement in array array(select format('alter table only %s disable trigger %I', target, tgname)
				from pg_trigger where tgrelid = target and tgname in ('!rowcast_' || relation_id, '!rowcast_truncate_' || relation_id))
			loop
				execute statement;
			end loop;
		end
		$f$;
		comment on function rowcast.disable_triggers is 'Disables the triggers of one number on a table that has another. For rowcast_owner, which has no right to that: part of follow_triggers().';

		revoke all on function rowcast.make_triggers, rowcast.remake_trigger, rowcast.disable_triggers from public;
		grant execute on function rowcast.make_triggers, rowcast.remake_trigger, rowcast.disable_triggers to rowcast_owner;
		drop event trigger if exists rowcast_follow_schema;
		-- The tags under which PostgreSQL makes tables and renames their columns, too.
		create event trigger rowcast_follow_schema on ddl_command_end
			when tag in ('CREATE TRIGGER', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA',
				'ALTER TABLE', 'ALTER TYPE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER SEQUENCE')
			execute function rowcast.follow_schema();
		alter event trigger rowcast_follow_schema enable always;
		comment on event trigger rowcast_follow_schema is 'Rowcast watches tables that are made and redacts columns that are added. Removed by rowcast.uninstall().';
	end if;
end
$$;
commit;

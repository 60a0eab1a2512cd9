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
	begin
		perform rowcast.redact_new(target), rowcast.note_names(target);
		arguments := rowcast.trigger_arguments(target);
	exception when others then
		null;  -- somebody else has the row, for longer than a migration is to wait; or it is newer than the snapshot
	end;
	if arguments is null then
		-- Every column then, also those that the snapshot does not show, and by the careful way.
		arguments := array[r.id::text, array(select generate_series(1, 1600))::text,
			array(select attname from pg_attribute where attrelid = target and attnum > 0 and not attisdropped)::text, '{}', 'virtual'];
		if r.id is null then
			-- Perhaps watched since the snapshot. The sequence tells of numbers that it does not show.
			ids := array(select n from rowcast.relation_id_seq s, generate_series(
				greatest((select max(id) + 1 from rowcast.relation), s.last_value - 1000), s.last_value) n);
		end if;
	elsif not r.watched then
		return;
	end if;
	for i in 1..cardinality(ids) loop
		arguments[1] := ids[i]::text;
		continue when exists (select from pg_trigger t where t.tgrelid = target and t.tgargs = (
			select string_agg(convert_to(a, getdatabaseencoding()) || decode('00', 'hex'), '' order by n)
			from unnest(arguments) with ordinality u(a, n)));
		-- Takes no lock that the migration has not: a table that is renamed leaves its partitions alone.
		if exists (select target as oid union select relid from pg_partition_tree(target) except
			select relation from pg_locks where pid = pg_backend_pid() and mode = 'AccessExclusiveLock' and granted
				and database = (select oid from pg_database where datname = current_database()))
		then
			raise warning 'rowcast: % is redacted once a server has looked at it', target::regclass;
		else
			perform rowcast.renew_trigger(target, (
				-- Those for small values do not look for what is redacted.
				select replace(proname, '_small', '') from pg_proc where oid = rowcast.capture_of(target)), arguments);
		end if;
	end loop;
end
$$;
comment on function rowcast.follow_table is 'Redacts the named_columns() of a table that a migration has just altered, and tells its trigger. Touches nothing that is not this table''s, so that migrations wait neither for each other nor for a server. Part of follow_columns().';

create or replace function rowcast.follow_columns() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms' as $$
begin
	perform rowcast.follow_table(t.oid) from (
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
	raise warning 'rowcast: columns that were added may not be redacted at once (%)', sqlstate;
end
$$;
comment on function rowcast.follow_columns is 'The event trigger''s function: redacts columns that are added or renamed, in the same transaction, of the table, its descendants and the tables of a type. Never fails the command.';
revoke all on function rowcast.follow_columns from public;

do $$ begin perform rowcast.close_functions(); end $$;
reset role;
do $$
begin
	if (select rolsuper from pg_roles where rolname = current_user) then
		-- The superuser's, because only the owner of a table may make its triggers. It reads no table of Rowcast's and calls
		-- none of its functions, which rowcast_owner could replace.
		create or replace function rowcast.renew_trigger(target regclass, capture name, arguments text[]) returns void
		language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $f$
		declare
			trigger_name text := '!rowcast_' || arguments[1]::int;
			tables oid[] := array(select target::oid union select relid from pg_partition_tree(target));
			-- As it was, so that what was disabled is told.
			enabling text[] := array(select format('alter table only %s %s trigger %I', tgrelid::regclass,
					case tgenabled when 'A' then 'enable always' when 'R' then 'enable replica' when 'D' then 'disable' else 'enable' end, tgname)
				from pg_trigger where tgrelid = any (tables) and tgname = trigger_name);
			statement text;
		begin
			execute format('drop trigger %I on %s', trigger_name, target);
			execute format('create trigger %I after insert or update or delete on %s for each row execute function rowcast.%I(%s)',
				trigger_name, target, capture, (select string_agg(quote_literal(a), ', ' order by n) from unnest(arguments) with ordinality u(a, n)));
			execute format('comment on trigger %I on %s is %L', trigger_name, target,
				'Rowcast records changed rows. Remove with rowcast.unwatch().');
			foreach statement in array case when enabling = '{}' then array[format('alter table only %s enable always trigger %I', target, trigger_name)]
				else enabling end
			loop
				execute statement;
			end loop;
		exception
			when undefined_object then
				null;  -- not watched
			when others then
				-- Its events are still to fire, as a rename allows. Rather nothing than a value that is to be redacted: a server
				-- that finds the trigger disabled tells a gap.
				update pg_trigger set tgenabled = 'D' where tgrelid = any (tables) and tgname = trigger_name
					and split_part(encode(tgargs, 'escape'), E'\\000', 2) <> arguments[2];
				if found then
					update pg_class set relhastriggers = true where oid = any (tables);  -- has every session read them again
					raise warning 'rowcast: % is not recorded until a server has looked at it (%)', target, sqlstate;
				end if;
		end
		$f$;
		comment on function rowcast.renew_trigger is 'Makes the row trigger of a table anew with other arguments, where it has one. Part of follow_table(): for rowcast_owner, which has no right to that.';
		revoke all on function rowcast.renew_trigger from public;
		grant execute on function rowcast.renew_trigger to rowcast_owner;
		-- The tags under which PostgreSQL renames a column of a table, too.
		drop event trigger if exists rowcast_follow_columns;
		create event trigger rowcast_follow_columns on ddl_command_end
			when tag in ('ALTER TABLE', 'ALTER TYPE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER SEQUENCE')
			execute function rowcast.follow_columns();
		alter event trigger rowcast_follow_columns enable always;
		comment on event trigger rowcast_follow_columns is 'Rowcast redacts columns that are added. Removed by rowcast.uninstall().';
	end if;
end
$$;
commit;

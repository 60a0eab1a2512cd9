-- Rowcast 003: capture. What the triggers run for every writer.
begin;
set local client_min_messages = warning;
set local standard_conforming_strings = on;
do $$
declare
	f text;
begin
	perform pg_advisory_xact_lock(1920103279, 0);
	if (select rolsuper from pg_roles where rolname = current_user) then
		-- Where a column of somebody's type is added, its cast to json runs as rowcast_writer until the trigger is made anew. The
		-- functions themselves are written below, which leaves them their owner.
		foreach f in array '{capture,capture_zoned,capture_formatted,capture_small,capture_small_zoned,capture_small_formatted,capture_foreign}'::text[] loop
			if to_regprocedure(format('rowcast.%I()', f)) is null then
				execute format('create function rowcast.%I() returns trigger language plpgsql as $b$ begin return null; end $b$', f);
			end if;
			execute format('alter function rowcast.%I() owner to rowcast_writer', f);
		end loop;
		set local role rowcast_owner;
	end if;
end
$$;

drop function if exists rowcast.plain_texts(record, record), rowcast.utc_texts(record, record);

-- Without hash joins, here and in trigger_state(): pg_partition_tree() is taken to have 1,000 rows, and all of pg_class was
-- read for each table: 1,400 tables took 6 s, and take 0.4.
create or replace function rowcast.always_small(target regclass) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
	select not exists (select from rowcast.relation where oid = target and redacted <> '{}')
		and not exists (select from pg_attribute a where a.attrelid = target and not a.attisdropped
			and a.attgenerated = 'v')
		and (select coalesce(bool_and(c.reltoastrelid = 0), false)
			from (select target::oid union select relid from pg_partition_tree(target)) p(oid) join pg_class c using (oid)
			where c.relkind <> 'p')
$$;
comment on function rowcast.always_small is 'Whether a row of the table, and of its partitions, always fits 2 kB uncompressed, for which PostgreSQL gives it no TOAST table: no value then takes 16 kB as text. A column that is added may change that; the triggers are out of date then, and meanwhile go by the stored size.';

create or replace function rowcast.capture_of(target regclass) returns regprocedure
language sql stable security definer set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
	with recursive type as (
		select atttypid as oid from pg_attribute where attrelid = target and attnum > 0 and not attisdropped
		union
		select case when t.typtype = 'd' then t.typbasetype else t.typelem end
		from type join pg_type t using (oid) where t.typtype = 'd' or t.typcategory = 'A'
	)
	select ('rowcast.capture' || case when not bool_and(t.typnamespace = 'pg_catalog'::regnamespace or rowcast.plain(t.oid)) then '_foreign'
		else case when rowcast.always_small(target) then '_small' else '' end || case
		when bool_and(t.typtype = 'd' or t.typcategory = 'A' or t.typtype = 'e' or t.typnamespace = 'pg_catalog'::regnamespace
			and t.typname in ('bool', 'int2', 'int4', 'int8', 'numeric', 'text', 'varchar', 'bpchar', 'char', 'name', 'uuid',
				'json', 'jsonb', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'inet', 'cidr', 'macaddr', 'macaddr8',
				'bit', 'varbit', 'oid', 'xml', 'tsvector', 'tsquery')) is false then '_formatted'
		when bool_or(t.oid = 'timestamptz'::regtype) then '_zoned'
		else '' end end || '()')::regprocedure
	from type join pg_type t using (oid)
$$;
comment on function rowcast.capture_of is 'The trigger function that fits a table: by whether its types are plain(); if so, by the settings on which their text depends (none, the time zone, or any), and by whether its values can be large.';

create or replace function rowcast.leaf_size(slot int) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select pg_relation_size(oid) * 3 / 2 + pg_relation_size(reltoastrelid)
	from pg_class where oid = format('rowcast.change_%s', slot)::regclass
$$;
comment on function rowcast.leaf_size is 'About what a leaf takes, from the sizes of two files: its index takes up to half of its table, and long values lie apart.';

create or replace function rowcast.limits(out slot int, out stop timestamptz, out room bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select s.slot, l.opened_at + (select value::interval from rowcast.setting where name = 'retention'),
		greatest((select value::bigint from rowcast.setting where name = 'max_log')
			- (select coalesce(sum(pg_total_relation_size(format('rowcast.change_%s', k)::regclass)), 0)
				from generate_series(0, 7) k where k <> s.slot)::bigint, 0)
	from rowcast.state s join rowcast.leaf l using (slot)
$$;
comment on function rowcast.limits is 'The leaf in use, until when, and up to which leaf_size().';

create or replace function rowcast.plus(lsn pg_lsn, bytes numeric) returns pg_lsn language sql immutable as $$
	select (pg_catalog.to_hex(pg_catalog.div(n, 4294967296)::bigint) || '/' || pg_catalog.to_hex(pg_catalog.mod(n, 4294967296)::bigint))::pg_catalog.pg_lsn
	from (select pg_catalog.pg_wal_lsn_diff(lsn, '0/0') + bytes as n) s
$$;
comment on function rowcast.plus is 'A position of the write-ahead log so many bytes on. PostgreSQL 14 has an operator for it.';

create or replace function rowcast.unattended() returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
	select pg_try_advisory_lock_shared(1920103279, 2) and pg_advisory_unlock_shared(1920103279, 2)
$$;
comment on function rowcast.unattended is 'Whether no server leads, so that nobody moves writers on.';

alter table rowcast.leaf add column if not exists stop timestamptz, add column if not exists room bigint;
comment on column rowcast.leaf.stop is 'After this, rowcast.capture() turns changes away from it where no server leads.';
comment on column rowcast.leaf.room is 'The leaf_size() beyond which rowcast.capture() turns changes away from it; null once that is noted and it is closed.';

alter table rowcast.state add column if not exists gap_until bigint, add column if not exists gap_barrier xid8;
comment on column rowcast.state.gap_until is 'Where the last gap ends as it was noted, until transactions that were then open have ended; else null.';
comment on column rowcast.state.gap_barrier is 'Every transaction whose changes were turned away has an xid before this one; null while changes still are.';

create or replace function rowcast.note_gap() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	head bigint := (select max(n) from rowcast.tick);
	-- A closed leaf too: a long statement goes on appending to it.
	turned_away boolean := (select coalesce(bool_or(rowcast.leaf_size(slot) > room or closed_at is null and clock_timestamp() > stop), false)
		from rowcast.leaf where room is not null);
begin
	if turned_away then
		insert into rowcast.gap (after, until, reason) select captured, head + 1, 'capture' from rowcast.state on conflict do nothing;
		-- Where it goes on from one that is not settled, their settling begins behind both.
		update rowcast.state set gap_barrier = null,
			gap_until = case when gap_until < captured then gap_until else head + 1 end;
		update rowcast.leaf set room = null where closed_at is not null and rowcast.leaf_size(slot) > room;
	end if;
	return turned_away;
end
$$;
comment on function rowcast.note_gap is 'Notes a gap where rowcast.capture() has turned changes away, by the very limits that it was written with: true then.';

create or replace function rowcast.settle_gap() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	s rowcast.state := (select o from rowcast.state o where gap_until is not null);
	last_tick bigint;
begin
	if s.gap_barrier is null then
		-- The functions that record again are committed: whoever ran those before them has an earlier xid.
		update rowcast.state set gap_barrier = pg_current_xact_id() where gap_until is not null;
	elsif pg_snapshot_xmin(pg_current_snapshot()) >= s.gap_barrier then
		-- The first tick, or the next, that sees all of them.
		last_tick := coalesce((select min(n) from rowcast.tick where n > s.gap_until and pg_snapshot_xmin(snapshot) >= s.gap_barrier),
			(select max(n) from rowcast.tick) + 1);
		insert into rowcast.gap (after, until, reason) select s.gap_until, last_tick, 'capture' where last_tick > s.gap_until
			on conflict do nothing;
		update rowcast.state set gap_until = null, gap_barrier = null;
	end if;
end
$$;
comment on function rowcast.settle_gap is 'A transaction whose changes were turned away may commit long after changes are recorded again: once all that were open then have ended, the gap goes on up to there. Part of maintain().';

alter table rowcast.state drop column if exists stale;  -- of versions before
drop function if exists rowcast.note_stale(), rowcast.arguments_now(int);

create or replace function rowcast.write_capture() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set datestyle = 'iso' as $w$
<<write_capture>>
declare
	-- Two at once would fail with "tuple concurrently updated". First, so that the rest is read under the lock.
	alone text := pg_advisory_xact_lock(1920103279, 0);
	max_value int := (select value::int from rowcast.setting where name = 'max_value');
	slot int;
	stop timestamptz;
	room bigint;
	leaf regclass;
	full_lsn pg_lsn;
	kind record;
	-- Without a role for that, no function of somebody's type is run at all.
	foreign_body text := case when (select proowner from pg_proc where oid = to_regprocedure('rowcast.json_of(record)')) <> current_user::regrole
		then 'begin
			old_json := rowcast.json_of(old);
			new_json := rowcast.json_of(new);
		exception when others then
			old_json := null;
			new_json := null;
		end;' end;
begin
	perform rowcast.note_gap();
	select l.slot, l.stop, l.room into slot, stop, room from rowcast.limits() l;
	update rowcast.leaf l set stop = write_capture.stop, room = write_capture.room where l.slot = write_capture.slot;
	leaf := format('rowcast.change_%s', slot);
	-- A table grows by no more than what the write-ahead log has of it.
	full_lsn := rowcast.plus(pg_current_wal_insert_lsn(), trunc(greatest(room - rowcast.leaf_size(slot), 0) * 0.9));
	-- The two limits hold while no server runs to move to the next leaf; a server that finds one reached tells a gap. That
	-- of time only then: where the clock jumps beyond it, the leader moves it within a second, and nothing need be missed.
	execute format($f$
create or replace function rowcast.admit() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $b$
begin
	-- The size of a file takes 3 us: it is asked only once the write-ahead log has grown by what there was room for.
	if clock_timestamp() >= %1$L::timestamptz and rowcast.unattended() then
		return false;
	elsif pg_current_wal_insert_lsn() >= %2$L::pg_lsn then
		if pg_relation_size(%3$s::regclass) * 3 / 2 + pg_relation_size(%4$s::regclass) > %5$s then
			return false;
		end if;
	end if;
	if not (pg_try_advisory_lock_shared(1920103279, 1) and pg_advisory_unlock_shared(1920103279, 1)) then
		perform pg_notify('rowcast', '');
	end if;
	return true;
end
$b$ $f$, stop, full_lsn, leaf::oid, (select reltoastrelid from pg_class where oid = leaf), room);
	execute format($f$
create or replace function rowcast.capture_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_tidscan = on as $b$
declare
	-- A transaction may have a snapshot from before the table was watched.
	target oid := coalesce((select oid from rowcast.relation where id = tg_argv[0]::int), pg_partition_root(tg_relid), tg_relid);
	recorded bigint := pg_stat_get_xact_tuples_inserted(%1$s);
	-- A truncate fires the triggers of the table and then those of each partition below it. The first leaves a mark: where
	-- its change lies, and how many of the others are still to come. (Those that are named before their parent have fired
	-- already, and leave the count too high.)
	mark text[] := regexp_match(current_setting('rowcast.truncate', true), '^([(][0-9]{1,9},[0-9]{1,4}[)]) ([0-9]{1,9})$');
	extra jsonb;
	made tid;
begin
	if tg_relid <> target then
		if not exists (select from pg_partition_ancestors(tg_relid) a where a.relid = target) then
			return null;  -- a partition that was detached
		end if;
		-- Anybody can set a mark. The change itself tells that it is of this statement, of a table above, and that nothing
		-- was recorded since: then there is nothing left to truncate.
		if mark[2]::int > 0 and exists (
			select from %2$s c join pg_partition_ancestors(tg_relid) a on a.relid <> tg_relid
			where c.ctid = mark[1]::tid and c.xid = pg_current_xact_id() and c.op = 'T' and c.relation = tg_argv[0]::int
				and c.at >= statement_timestamp() and c.old_tid = format('(%%s,0)', recorded)::tid
				and c.extra is not distinct from case when a.relid <> target then (
					select jsonb_build_object('partition', jsonb_build_object('schema', n.nspname, 'table', p.relname))
					from pg_class p join pg_namespace n on n.oid = p.relnamespace where p.oid = a.relid) end) then
			perform set_config('rowcast.truncate', format('%%s %%s', mark[1], mark[2]::int - 1), true);
			return null;
		end if;
		extra := jsonb_build_object('partition', jsonb_build_object('schema', tg_table_schema, 'table', tg_table_name));
	end if;
	if rowcast.admit() then
		insert into %2$s values (pg_current_wal_insert_lsn(), pg_current_xact_id(), clock_timestamp(),
			tg_argv[0]::int, 'T', null, null, extra, format('(%%s,0)', recorded + 1)::tid) returning ctid into made;
		perform set_config('rowcast.truncate', format('%%s %%s', made, count(*) - 1), true)
			from pg_partition_tree(tg_relid) having count(*) > 1;
	end if;
	return null;
end
$b$ $f$, leaf::oid, leaf);
	for kind in
		select 'capture' || s.suffix || k.suffix as name, k.settings, s.small, 'row_to_json' as writer
		from (values
			('', ''),
			('_zoned', 'set timezone = ''UTC'''),
			('_formatted', 'set timezone = ''UTC'' set datestyle = ''iso'' set intervalstyle = ''postgres'' set bytea_output = ''hex''
	set extra_float_digits = 1 set quote_all_identifiers = off set lc_monetary = ''C''')) k(suffix, settings)
		-- No value of what always_small() takes for small has more than 16 kB as text.
		cross join (values ('', false), ('_small', max_value >= 16384)) s(suffix, small)
		union all
		select 'capture_foreign', '', false, 'rowcast.json_of'
	loop
		execute format($f$
create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp %2$s as $b$
declare
	%3$s
begin
	-- One condition for nearly every row, because PostgreSQL prepares each anew in each transaction: there is room; the
	-- stored values are small, so they cannot come near the limits of PostgreSQL when written out; the row has not been
	-- changed again before its trigger runs (see out_of_order()); and nobody is to be rung for. The doorbell: the leader
	-- holds this lock only while it sleeps, and before it sleeps it waits for every transaction that has an xid, as this
	-- one has. Dropped at once, so a long transaction blocks nobody.
	if clock_timestamp() < %4$L::timestamptz and pg_current_wal_insert_lsn() < %5$L::pg_lsn
		and greatest(pg_column_size(old), pg_column_size(new)) < %6$s and coalesce(new.xmax, '0') = '0'
		and pg_try_advisory_lock_shared(1920103279, 1) and pg_advisory_unlock_shared(1920103279, 1) then
		%7$s
	end if;
	if rowcast.admit() then
		-- An assignment: "select into" would plan with the rows as constants, copying each.
		texts := rowcast.%9$s(old, new, tg_relid, tg_argv, %6$s);
		insert into %8$s values (pg_current_wal_insert_lsn(), pg_current_xact_id(), clock_timestamp(),
			tg_argv[0]::int, tg_op::"char", texts.b, texts.a, texts.extra, old.ctid, case when new.xmax <> '0' then new.ctid end);
	end if;
	return null;
end
$b$ $f$, kind.name, kind.settings,
			-- As json until they are inserted: assigning json to text would be one more cast to prepare.
			case when kind.small then 'texts record;' else format('old_json %1$s;
	new_json %1$s;
	texts record;', case kind.writer when 'row_to_json' then 'json' else 'text' end) end,
			stop, full_lsn, max_value,
			format(case when kind.small then 'insert into %1$s values (pg_current_wal_insert_lsn(), pg_current_xact_id(), clock_timestamp(),
			tg_argv[0]::int, tg_op::"char", row_to_json(old)::text, row_to_json(new)::text, null, old.ctid);
		return null;'
			when kind.writer <> 'row_to_json' and foreign_body is null then 'null;'
			else '%3$s
		if tg_nargs = 1 and greatest(pg_column_size(old_json), pg_column_size(new_json)) <= %2$s%4$s then
			insert into %1$s values (pg_current_wal_insert_lsn(), pg_current_xact_id(), clock_timestamp(),
				tg_argv[0]::int, tg_op::"char", old_json::text, new_json::text, null, old.ctid);
			return null;
		end if;' end, leaf, max_value + 4,
				case kind.writer when 'row_to_json' then 'old_json := row_to_json(old);
		new_json := row_to_json(new);' else foreign_body end,
				case when kind.writer <> 'row_to_json' then '
			and (old_json is null) = (tg_op = ''INSERT'') and (new_json is null) = (tg_op = ''DELETE'')' else '' end), leaf,
			case when kind.writer <> 'row_to_json' and foreign_body is null then 'abbreviated_texts' else 'careful_texts' end);
	end loop;
end
$w$;
comment on function rowcast.write_capture is 'Writes the trigger functions, rowcast.capture() and its kin, for the leaf in use and the settings, as constants: looking them up would cost every writer.';

do $$
begin
	perform rowcast.write_capture();
	if exists (select from pg_proc where oid = 'rowcast.capture'::regproc and proowner <> current_user::regrole) then
		grant usage on schema rowcast to rowcast_writer;
		grant execute on function rowcast.admit(), rowcast.careful_texts(record, record, oid, text[], int) to rowcast_writer;
		for k in 0..7 loop
			execute format('grant insert on rowcast.change_%s to rowcast_writer', k);
		end loop;
	end if;
end
$$;
comment on function rowcast.admit is 'Whether there is room for a change; rings for the leader where it sleeps. What capture() tests in one condition, for the rows that fail it. Written by rowcast.write_capture().';
comment on function rowcast.capture is 'The row trigger''s function of a watched table whose values have one text under all settings. Written by rowcast.write_capture().';
comment on function rowcast.capture_zoned is 'The same for a table with timestamptz, whose text depends on the time zone of the session. 0.8 us more.';
comment on function rowcast.capture_formatted is 'The same for a table with other types, such as float8, interval, bytea or a range, whose text depends on the settings of the session. 3 us more.';
comment on function rowcast.capture_foreign is 'The same for a table with a type that is not plain(), such as an enum of a role that is no superuser, or one with a cast to json.';
comment on function rowcast.capture_small is 'As capture(), for a table none of whose values can be large: nothing needs to look at the length of its text. 3 us less.';
comment on function rowcast.capture_small_zoned is 'As capture_zoned(), for a table none of whose values can be large.';
comment on function rowcast.capture_small_formatted is 'As capture_formatted(), for a table none of whose values can be large.';
comment on function rowcast.capture_truncate is 'The truncate trigger''s function of every watched table and of each of its partitions. Argument: the number of the table. Written by rowcast.write_capture().';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

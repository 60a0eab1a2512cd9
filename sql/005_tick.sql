-- Rowcast 005: ticks. What the leader calls.
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

create or replace function rowcast.between(a pg_snapshot, b pg_snapshot) returns setof rowcast.change
language sql stable as $$
	-- Transactions that began after a and are visible in b; and those that were running in a.
	select * from rowcast.change
	where xid >= pg_catalog.pg_snapshot_xmax(a) and xid < pg_catalog.pg_snapshot_xmax(b)
		and pg_catalog.pg_visible_in_snapshot(xid, b)
	union all
	select * from rowcast.change
	where xid = any (array(select x from pg_catalog.pg_snapshot_xip(a) x where pg_catalog.pg_visible_in_snapshot(x, b)))
$$;
comment on function rowcast.between is 'The changes that became visible between two snapshots: those of tick n lie between the snapshots of ticks n - 1 and n. Inlined by the planner, so a caller''s conditions and order apply within.';

create or replace function rowcast.out_of_order(a pg_snapshot, b pg_snapshot)
returns table (xid xid8, lsn pg_lsn, new_lsn pg_lsn, new_at timestamptz)
language plpgsql stable rows 10 set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_nestloop = off set jit = off set plan_cache_mode = force_generic_plan as $$
begin
	return query
	with recursive late as materialized (
		select c.xid, c.lsn, c.relation, c.new_tid, c.after from rowcast.between(a, b) c where c.new_tid is not null),
	pair as materialized (
		select l.xid, l.lsn, n.lsn as next_lsn, n.at as next_at
		from late l join rowcast.between(a, b) n on n.xid = l.xid and n.old_tid = l.new_tid
			and n.relation = l.relation and n.before = l.after and n.lsn < l.lsn),
	chain as (
		-- The next change may be late itself: how many there are from this one to the first that is not.
		select p.xid, p.lsn, p.next_lsn as until, p.next_at as at, 1 as steps from pair p
		where (p.xid, p.next_lsn) not in (select o.xid, o.lsn from pair o)
		union all
		select p.xid, p.lsn, m.until, m.at, m.steps + 1 from chain m join pair p on p.xid = m.xid and p.next_lsn = m.lsn),
	moved as materialized (
		select c.xid, c.lsn, c.until, c.at, row_number() over (partition by c.xid, c.until order by c.steps, c.lsn desc) as steps from chain c),
	-- Between two changes of a transaction lies what recording the first writes, 168 bytes at least.
	crowded as materialized (select m.xid from moved m group by m.xid having max(m.steps) > 16),
	-- Where that is too little, its changes take each other's places: those that others are moved before stand later,
	-- which is still within their transaction.
	place as materialized (
		select c.xid, c.lsn, c.at, row_number() over (partition by c.xid order by c.lsn) as was,
			row_number() over (partition by c.xid order by coalesce(m.until, c.lsn), -coalesce(m.steps, 0)) as becomes
		from rowcast.change c left join moved m on m.xid = c.xid and m.lsn = c.lsn
		where c.xid = any (array(select o.xid from crowded o)))
	select m.xid, m.lsn, rowcast.plus(m.until, -8 * m.steps), m.at from moved m where m.xid not in (select o.xid from crowded o)
	union all
	select p.xid, p.lsn, o.lsn, o.at from place p join place o on o.xid = p.xid and o.was = p.becomes where o.was <> p.was;
end
$$;
comment on function rowcast.out_of_order is 'The changes between two snapshots that were recorded after the next one of their row, and where they belong: right before that. PostgreSQL runs the triggers of a statement at its end, so what one of them, a cascade, or a function within the statement does to its other rows is recorded before what the statement itself did. Exact: the next change is the one of the very version of the row. In steps of 8 bytes, in which rowcast.seq() counts. Part of advance().';

drop function if exists rowcast.advance();
create or replace function rowcast.advance(max_changes int default 0, out head bigint, out changes bigint, out at timestamptz, out few rowcast.change[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off
set plan_cache_mode = force_generic_plan as $$  -- planning sixteen index scans anew would take 0.8 ms a tick
declare
	a pg_snapshot;
	b pg_snapshot;
	late boolean;
begin
	-- A statement of its own: the snapshots below are taken after the lock is held. The commit of the tick flushes the
	-- write-ahead log, so whatever the tick contains is durable before anyone sees it.
	perform pg_advisory_xact_lock(1920103279, 3), set_config('synchronous_commit', 'on', true);
	select n, snapshot into strict head, a from rowcast.tick order by n desc limit 1;
	b := pg_current_snapshot();
	changes := 0;
	if max_changes > 0 then
		-- Read and counted in one look through the leaves, which takes a third of the time of a small tick.
		few := array(select c from rowcast.between(a, b) c limit max_changes + 1);
		if cardinality(few) = 0 then
			return;
		elsif cardinality(few) > max_changes then
			few := null;
		end if;
	end if;
	if few is null then
		with k as (
			select c.relation, c.op, count(*) as rows, bool_or(c.new_tid is not null) as late from rowcast.between(a, b) c group by 1, 2),
		counted as (insert into rowcast.tick_count select head + 1, k.relation, k.op, k.rows from k)
		select coalesce(sum(k.rows), 0), bool_or(k.late) into changes, late from k;
	else
		insert into rowcast.tick_count
			select head + 1, c.relation, c.op, count(*) from unnest(few) c group by c.relation, c.op;
		changes := cardinality(few);
		-- Told without another look at the log: what was locked before it was updated is seldom late.
		late := exists (select from unnest(few) l join unnest(few) n on n.xid = l.xid and n.old_tid = l.new_tid and n.lsn < l.lsn);
	end if;
	if changes = 0 then
		return;
	end if;
	if late then
		-- PostgreSQL 13 updates a leaf at a time, each with the rest of the query anew.
		with o as materialized (select * from rowcast.out_of_order(a, b))
		update rowcast.change c set lsn = o.new_lsn, at = o.new_at from o where c.xid = o.xid and c.lsn = o.lsn;
		if found and few is not null then
			few := array(select c from rowcast.between(a, b) c);
		end if;
	end if;
	head := head + 1;
	insert into rowcast.tick as t values (head, clock_timestamp(), b) returning t.at into at;
	perform pg_notify('rowcast_tick', head::text);
end
$$;
comment on function rowcast.advance is 'Adds a tick if changes became visible since the last one. Returns the newest tick and, where it was added, how many changes it has and when it was; and the changes themselves, in no order, where there are 1 to max_changes.';

create or replace function rowcast.begin_epoch() returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	here text := (select format('%s/%s/%s', system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8),
		(select oid from pg_database where datname = current_database())) from pg_control_system());
	was text;
begin
	perform pg_advisory_xact_lock(1920103279, 3);
	select cluster into was from rowcast.state for update;
	if was <> here then
		if was <> '' and split_part(was, '/', 1) || split_part(was, '/', 3) <> split_part(here, '/', 1) || split_part(here, '/', 3) then
			-- A dump restored elsewhere: the transactions that it names are not those of this cluster.
			truncate rowcast.change, rowcast.tick, rowcast.tick_count, rowcast.rate, rowcast.gap;
			insert into rowcast.tick values (0, clock_timestamp(), pg_current_snapshot());
			update rowcast.state set oldest = 0, captured = 0, referenced = 0, rolled = 0, gap_until = null, gap_barrier = null;
			perform rowcast.find_by_name();
			perform rowcast.write_capture();
		end if;
		update rowcast.state set cluster = here, epoch = case when was = '' then epoch else gen_random_uuid() end;
	end if;
	return (select epoch from rowcast.state);
end
$$;
comment on function rowcast.begin_epoch is 'The epoch of the log; a new one where it is found on another cluster (a restored dump) or timeline (a promoted standby, which may lack what was shown). Called by a server when it connects.';

create or replace function rowcast.rotate() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	current_slot int := (select slot from rowcast.state for update);
	next_slot int := (current_slot + 1) % 8;
begin
	if (select opened_at is null from rowcast.leaf where slot = next_slot) then
		perform rowcast.note_gap();
		update rowcast.leaf set closed_at = clock_timestamp(), closed_tick = (select max(n) from rowcast.tick),
			room = case when rowcast.leaf_size(slot) <= room then room end where slot = current_slot;
		update rowcast.leaf set opened_at = clock_timestamp(), closed_at = null, closed_tick = null where slot = next_slot;
		update rowcast.state set slot = next_slot;
		perform rowcast.write_capture();
	end if;
end
$$;
comment on function rowcast.rotate is 'Moves writers to the next leaf, where that is empty.';

alter table rowcast.state add column if not exists jumped_at timestamptz, add column if not exists jumped_by interval;
comment on column rowcast.state.jumped_at is 'When the leader last noticed that the clock had jumped, by the clock after it.';
comment on column rowcast.state.jumped_by is 'By how much it had.';

create or replace function rowcast.clock_jumped(by interval, led boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	s rowcast.state := (select o from rowcast.state o for update);
begin
	-- Told before, by a leader who did not live to know.
	if abs(extract(epoch from clock_timestamp() - s.jumped_at)) < 60 and abs(extract(epoch from by - s.jumped_by)) < 5 then
		return;
	end if;
	if not led then
		perform rowcast.note_gap();
	end if;
	update rowcast.leaf set opened_at = opened_at + by, closed_at = closed_at + by, stop = stop + by;
	update rowcast.state set jumped_at = clock_timestamp(), jumped_by = by;
	perform rowcast.write_capture();
end
$$;
comment on function rowcast.clock_jumped is 'Shifts the times by which writers move on and the log is pruned, so that it ages by the time that has passed. led: a server led throughout, so that rowcast.capture() turned nothing away for its age. Called by the leader.';

alter table rowcast.relation add column if not exists gone bigint;
comment on column rowcast.relation.gone is 'The newest tick when the table was first found to be gone.';

create or replace function rowcast.prune() returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set lock_timeout = '50ms' as $$
declare
	old rowcast.leaf;
	last_tick bigint;
begin
	select * into old from rowcast.leaf where closed_tick is not null order by closed_tick limit 1;
	if not found then
		return false;
	end if;
	-- Waits for nobody who appends to it; once held, whoever did has ended.
	execute format('lock table rowcast.change_%s in access exclusive mode', old.slot);
	perform rowcast.note_gap();
	perform rowcast.advance();
	-- The tick by which all of the leaf is out: it is pruned up to there, so that no tick is cut in half.
	execute format('select min(t.n) from rowcast.tick t where t.n >= $1 and not exists (
		select from rowcast.change_%s c where c.xid >= pg_snapshot_xmin(t.snapshot) and not pg_visible_in_snapshot(c.xid, t.snapshot))',
		old.slot) into last_tick using old.closed_tick;
	if last_tick is null then
		select max(n) into last_tick from rowcast.tick;
	end if;
	execute format('truncate only rowcast.change_%s', old.slot);
	perform rowcast.drop_row_index(old.slot);
	update rowcast.leaf set opened_at = null, closed_at = null, closed_tick = null where slot = old.slot;
	update rowcast.state set oldest = greatest(oldest, last_tick);
	-- Tables that are gone go with the last changes that may name them; but for some, which viewers may still ask for.
	delete from rowcast.relation r using rowcast.state s where r.gone < s.oldest
		and not exists (select from pg_class c where c.oid = r.oid)
		and not exists (select from rowcast.tick_count c where c.relation = r.id and c.tick > s.oldest)
		and r.id not in (select id from rowcast.relation where gone is not null order by gone desc limit 1000);
	update rowcast.relation r set gone = (select max(n) from rowcast.tick) where gone is null
		and not exists (select from pg_class c where c.oid = r.oid);
	perform rowcast.write_capture();  -- there is more room now
	return true;
end
$$;
comment on function rowcast.prune is 'Empties the oldest closed leaf, and with it the ticks up to the last that has a change in it. False where there is none; fails on lock_timeout where a transaction that appended to it is open.';

drop function if exists rowcast.maintain();
create or replace function rowcast.maintain(expected timestamptz default null) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	now timestamptz := clock_timestamp();
	max_log bigint := (select value::bigint from rowcast.setting where name = 'max_log');
	retention interval := (select value::interval from rowcast.setting where name = 'retention');
	open_leaf rowcast.leaf;
	used bigint;
	total bigint;
	head bigint := (select max(n) from rowcast.tick);
	turned_away boolean;
	swept bigint;
begin
	if not pg_try_advisory_xact_lock(1920103279, 4) then
		return 'busy';
	end if;
	if abs(extract(epoch from now - expected)) > 5 then
		return 'jumped';
	end if;
	select l.* into open_leaf from rowcast.leaf l join rowcast.state s using (slot);
	used := rowcast.leaf_size(open_leaf.slot);
	select sum(pg_total_relation_size(format('rowcast.change_%s', k)::regclass)) into total from generate_series(0, 7) k;
	turned_away := rowcast.note_gap();
	-- In pieces, so that it neither takes long nor makes autovacuum lag behind.
	with gone as (delete from rowcast.tick_count where (tick, relation, op) in (
		select tick, relation, op from rowcast.tick_count where tick <= (select oldest from rowcast.state) order by tick limit 20000) returning 1)
	select count(*) into swept from gone;
	delete from rowcast.tick where n in (select n from rowcast.tick where n < (select oldest from rowcast.state) order by n limit 20000);
	delete from rowcast.gap where until <= (select oldest from rowcast.state);
	perform rowcast.note_names();
	perform rowcast.roll_up();
	if not turned_away then
		update rowcast.state set captured = head where captured <> head;
		perform rowcast.settle_gap();
	end if;
	if turned_away or used > max_log / 20 or now > open_leaf.opened_at + retention / 7 then
		perform rowcast.rotate();
	end if;
	if total > max_log * 0.75 or exists (select from rowcast.leaf where closed_at < now - retention * 0.875) then
		return 'prune';
	end if;
	return case
		when swept = 20000 then 'more'
		when exists (select from rowcast.leaf where closed_at < now - interval '10 seconds' and row_keys is null) then 'index'
	end;
end
$$;
comment on function rowcast.maintain is 'Keeps the log within its limits: moves writers on, notes a gap where changes were turned away, sums the counts of new ticks, sweeps pruned ones. Returns ''prune'' where rowcast.prune() is due, ''index'' where rowcast.index_leaf() is, ''jumped'' where the clock is not what was expected: then nothing was done, and rowcast.clock_jumped() is due. Called by the leader every second.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

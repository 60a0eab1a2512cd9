-- Rowcast 009: rows. Finds all changes of one row in the whole log, and the tick of any change.
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

alter table rowcast.leaf add column if not exists row_keys jsonb;
comment on column rowcast.leaf.row_keys is 'Where the leaf has an index of rows: the primary key columns that it is made of, by relation. Made once nobody appends to the leaf: writers never pay for it.';

create or replace function rowcast.tick_of(x xid8, near timestamptz) returns bigint
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
	lo bigint;  -- does not see x
	hi bigint;  -- sees x
	guess bigint;
	stride bigint := 1;
	seen boolean;
begin
	select oldest, (select max(t.n) from rowcast.tick t) into lo, hi from rowcast.state;
	if (select pg_visible_in_snapshot(x, snapshot) from rowcast.tick t where t.n = lo)
		or not (select pg_visible_in_snapshot(x, snapshot) from rowcast.tick t where t.n = hi) then
		return null;
	end if;
	-- Most changes are in the first tick after they were made; from there in strides that double, then by halves.
	select t.n into guess from rowcast.tick t where t.at >= near and t.n > lo order by t.at, t.n limit 1;
	guess := coalesce(guess, hi);
	while hi - lo > 1 loop
		if guess <= lo or guess >= hi then
			guess := (lo + hi) / 2;
		end if;
		select pg_visible_in_snapshot(x, snapshot) into seen from rowcast.tick t where t.n = guess;
		if seen then
			hi := guess;
			guess := guess - stride;
		else
			lo := guess;
			guess := guess + stride;
		end if;
		stride := stride * 2;
	end loop;
	return hi;
end
$$;
comment on function rowcast.tick_of is 'The tick in which the changes of a transaction became visible, found quickly when that was soon after the time given; null where it is pruned or still to come.';

create or replace function rowcast.index_leaf() returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp set lock_timeout = '50ms' set client_min_messages = warning as $f$
declare
	k int := (select slot from rowcast.leaf where closed_tick is not null and row_keys is null order by closed_tick limit 1);
	keys jsonb;
	hashes text;
	moves text;
begin
	if k is null then
		return false;
	end if;
	-- Waits for nobody who appends to it; once held, whoever did has ended.
	execute format('lock table rowcast.change_%s in share mode', k);
	select jsonb_object_agg(p.id, p.names),
		string_agg(format('when %s then hashtext(%s) # relation', p.id,
			(select string_agg(format('coalesce(rowcast.field(row_json, %L), '''')', name), ' || chr(31) || ' order by i)
				from unnest(p.names) with ordinality u(name, i))), ' '),
		-- Where the key is the first column, its text is compared first: 1 us instead of 20.
		string_agg(format('when %s then %srowcast.row_hash_%s(relation, before) <> rowcast.row_hash_%3$s(relation, after)', p.id,
			case when p.is_first then 'split_part(before, '',"'', 1) <> split_part(after, '',"'', 1) and ' else '' end, k), ' ')
		into keys, hashes, moves
	from (
		select r.id, array_agg(a.attname::text order by a.attname) as names,
			count(*) = 1 and bool_and(t.typcategory in ('N', 'S', 'D') or t.oid = 'uuid'::regtype) and min(a.attnum) = (
				select min(f.attnum) from pg_attribute f where f.attrelid = r.oid and f.attnum > 0 and not f.attisdropped) as is_first
		from rowcast.relation r join pg_index i on i.indrelid = r.oid and i.indisprimary
			join pg_attribute a on a.attrelid = r.oid and a.attnum = any (i.indkey::smallint[])
			join pg_type t on t.oid = a.atttypid
		group by r.id, r.oid) p;
	perform rowcast.drop_row_index(k);
	if keys is not null then
		execute format('create or replace function rowcast.row_hash_%s(relation int, row_json text) returns int
			language plpgsql immutable as %L', k, format('begin return case relation %s end; end', hashes));
		execute format('create or replace function rowcast.row_moved_%s(relation int, before text, after text) returns boolean
			language plpgsql immutable as %L', k, format('begin return case relation %s end; end', moves));
		execute format('revoke all on function rowcast.row_hash_%1$s, rowcast.row_moved_%1$s from public', k);
		execute format('comment on function rowcast.row_hash_%s is %L', k, 'A number of a row''s primary key. Written by rowcast.index_leaf().');
		execute format('comment on function rowcast.row_moved_%s is %L', k, 'Whether an update gave a row another key. Written by rowcast.index_leaf().');
		-- Not by relation: the planner would take that for the changes of a tick.
		execute format('create index change_%1$s_row on rowcast.change_%1$s (rowcast.row_hash_%1$s(relation, coalesce(after, before)))', k);
		execute format('comment on index rowcast.change_%s_row is %L', k, 'Finds the changes of one row.');
		execute format('create index change_%1$s_moved on rowcast.change_%1$s (rowcast.row_hash_%1$s(relation, before))
			where op = ''U'' and rowcast.row_moved_%1$s(relation, before, after)', k);
		execute format('comment on index rowcast.change_%s_moved is %L', k, 'Finds the updates that gave a row another key, by the one before.');
	end if;
	update rowcast.leaf set row_keys = coalesce(keys, '{}') where slot = k;
	return true;
end
$f$;
comment on function rowcast.index_leaf is 'Indexes the rows of the oldest closed leaf that has no such index. False where there is none; fails on lock_timeout where a transaction that appended to it is open. Called by the leader.';

create or replace function rowcast.drop_row_index(k int) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
begin
	execute format('drop index if exists rowcast.change_%1$s_row, rowcast.change_%1$s_moved', k);
	update rowcast.leaf set row_keys = null where slot = k and row_keys is not null;
end
$$;
comment on function rowcast.drop_row_index is 'Takes the index of rows from a leaf: writers never pay for it. Part of prune().';

create or replace function rowcast.indexed_until(relation int, names text[]) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
	select coalesce(max(closed_tick) filter (where covered), (select oldest from rowcast.state))
	from (select closed_tick, bool_and(coalesce(row_keys -> relation::text = to_jsonb(names), false)) over (order by closed_tick) as covered
		from rowcast.leaf where closed_tick is not null) l
$$;
comment on function rowcast.indexed_until is 'The tick up to which every change of a table is in a leaf that has an index of its rows by these columns. Not leaf by leaf: a transaction that was open as writers moved on has changes in the leaf before.';

-- Versions before had no `until`.
drop function if exists rowcast.changes_of_row(int[], json, int);
create or replace function rowcast.changes_of_row(relations int[], key json, most int, until pg_lsn default null)
returns table (n bigint, lsn pg_lsn, xid xid8, at timestamptz, relation int, op "char", before text, after text, extra jsonb)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off as $f$
declare
	names text[] := array(select k from json_object_keys(key) k order by k collate "C");
	-- The one that is looked for before a row is read as JSON: the first column, where it is in the key.
	lead text := coalesce((select a.attname::text from rowcast.relation r join pg_attribute a on a.attrelid = r.oid
		where r.id = any (relations) and a.attname = any (names) and a.attnum = (
			select min(f.attnum) from pg_attribute f where f.attrelid = r.oid and f.attnum > 0 and not f.attisdropped) limit 1), names[1]);
	-- A value stands in the row as one of these two texts.
	bare text := to_json(lead)::text || ':' || coalesce(key ->> lead, 'null');
	quoted text := to_json(lead)::text || ':' || coalesce(to_json(key ->> lead)::text, 'null');
	-- At the beginning a comparison is enough, a fifth of a search; a row from before its columns changed may begin with another.
	starts text[] := array(select regexp_replace('{' || t, E'([\\\\%_])', E'\\\\\\1', 'g') || '%'
		from unnest(array[bare, quoted, to_json(lead)::text || ':']) with ordinality u(t, i) order by i);
	may_have text := (select string_agg(format('c.%1$s like $5 or c.%1$s like $6
		or c.%1$s not like $7 and (strpos(c.%1$s, $2) > 0 or strpos(c.%1$s, $3) > 0)', side), ' or ') from unnest('{after,before}'::text[]) side);
	after_has text := (select string_agg(format('rowcast.field(c.after, %L) is not distinct from %L', k, key ->> k), ' and ') from unnest(names) k);
	before_has text := (select string_agg(format('rowcast.field(c.before, %L) is not distinct from %L', k, key ->> k), ' and ') from unnest(names) k);
	-- Said only where it is asked for: the newest are found as if there were no such bound.
	in_time text := case when until is null then 'true' else format('c.lsn <= %L', until) end;
	parts text;
begin
	select string_agg(part, ' union all ') into parts
	from unnest(relations) r(id)
	cross join lateral (select rowcast.indexed_until(r.id, names) as tick) i
	cross join lateral (
		-- By the index of rows, up to there.
		select format($q$
			select * from rowcast.change_%1$s c where c.relation = %2$s and pg_visible_in_snapshot(c.xid, %5$L)
				and rowcast.row_hash_%1$s(c.relation, coalesce(c.after, c.before)) = rowcast.row_hash_%1$s(%2$s, $1)
				and %6$s and (%3$s or %4$s)
			union all
			select * from rowcast.change_%1$s c where c.relation = %2$s and pg_visible_in_snapshot(c.xid, %5$L)
				and c.op = 'U' and rowcast.row_moved_%1$s(c.relation, c.before, c.after)
				and rowcast.row_hash_%1$s(c.relation, c.before) = rowcast.row_hash_%1$s(%2$s, $1)
				and %6$s and (%4$s)$q$, l.slot, r.id, after_has, before_has, t.snapshot, in_time) as part
		from rowcast.leaf l join rowcast.tick t on t.n = i.tick where l.closed_tick <= i.tick
		union all
		-- By that of transactions from there on: tick by tick, 50 us each, where few have changes of the table, else from the
		-- first to the last of them.
		select format('select c.* from %s where c.relation = %s and %s and (%s) and (%s or %s)',
			case when k.ticks <= 400 then format('unnest(%L::bigint[]) u(n)
				cross join lateral (select snapshot from rowcast.tick where n = u.n - 1 offset 0) a
				cross join lateral (select snapshot from rowcast.tick where n = u.n offset 0) b
				cross join lateral rowcast.between(a.snapshot, b.snapshot) c', array(
					select distinct tick from rowcast.tick_count c where c.relation = r.id and tick > i.tick))
			else format('rowcast.between(%L, %L) c', a.snapshot, b.snapshot) end,
			r.id, in_time, may_have, after_has, before_has)
		from (select min(tick) as first, max(tick) as last, count(distinct tick) as ticks
				from rowcast.tick_count c where c.relation = r.id and tick > i.tick) k
			join rowcast.tick a on a.n = k.first - 1 join rowcast.tick b on b.n = k.last) p;
	if parts is not null then
		return query execute format('
			select t.n, c.lsn, c.xid, c.at, c.relation, c.op, c.before, c.after, c.extra
			from (select * from (%s) c order by c.lsn desc, c.xid desc limit $4) c
			cross join lateral (select rowcast.tick_of(c.xid, c.at) as n offset 0) t
			where t.n is not null order by c.lsn desc, c.xid desc', parts)
			using key::text, bare, quoted, most, starts[1], starts[2], starts[3];
	end if;
end
$f$;
comment on function rowcast.changes_of_row is 'The newest changes of one row, named by columns and their values as text, with their ticks, newest first; of those up to a log position, if one is given. By the index of rows as far as indexed_until(); from there by that of transactions: most often the open leaf, a twentieth of max_log.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

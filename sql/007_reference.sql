-- Rowcast 007: references. When a row changes, the rows that reference it are announced.
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

create or replace function rowcast.base_type(type oid) returns oid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	with recursive base as (
		select type as oid
		union
		select t.typbasetype from base b join pg_type t on t.oid = b.oid where t.typtype = 'd'
	)
	select b.oid from base b join pg_type t on t.oid = b.oid where t.typtype <> 'd'
$$;
comment on function rowcast.base_type is 'What a domain is of; any other type is itself.';

create or replace function rowcast.is_special(f pg_constraint) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
	select (select bool_or(relispartition) from pg_class where oid in (f.conrelid, f.confrelid))
		or coalesce((to_jsonb(f) ->> 'conperiod')::boolean, false)  -- from PostgreSQL 18 on
$$;
comment on function rowcast.is_special is 'Whether a foreign key is one that is not followed: of or to a single partition, or over a period.';

drop function if exists rowcast.referencing();
create or replace function rowcast.referencing()
returns table (id text, parent_id int, parent oid, child oid, child_schema text, child_name text, constraint_name text,
	columns text[], types text[], referenced text[], conditions text[], cheap boolean, comparable boolean, redacted text[])
language sql stable set search_path = pg_catalog, pg_temp as $$
	select f.oid::text, r.id, r.oid, f.conrelid, w.schema, w.name, f.conname::text, k.columns, k.types, k.referenced, k.conditions,
		exists (
			select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
			where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null and m.amname in ('btree', 'hash')
				and (
					-- Its first columns are those of the key, each in the column's own collation and by the key's operator.
					select count(distinct u.child)
					from generate_series(0, cardinality(f.conkey) - 1) n
					join unnest(f.conkey, f.conpfeqop) u(child, operator) on u.child = i.indkey[n]
					join pg_attribute a on a.attrelid = f.conrelid and a.attnum = u.child and i.indcollation[n] in (0, a.attcollation)
					join pg_opclass c on c.oid = i.indclass[n] join pg_operator o on o.oid = u.operator
					join pg_amop p on p.amopfamily = c.opcfamily and p.amopopr = o.oprcom
					where n < i.indnkeyatts) = cardinality(f.conkey))
		-- Without an index: a table that fits 50 pages is read whole in a tenth of a millisecond.
		or (select coalesce(sum(pg_relation_size(p.relid)), 0)
			from (select relid from pg_partition_tree(f.conrelid) union select f.conrelid) p) <= 50 * 8192,
		k.comparable and not f.confkey::int[] && r.redacted,
		(select array_agg(c.attname::text) from pg_attribute c where c.attrelid = f.conrelid and not c.attisdropped
			and (c.attnum = any (rowcast.named_columns(f.conrelid))
				or c.attnum = any ((select o.redacted from rowcast.relation o where o.oid = f.conrelid)::int[])))
	from rowcast.relation r
	join pg_constraint f on f.confrelid = r.oid and f.contype = 'f' and f.conparentid = 0 and not rowcast.is_special(f)
	join rowcast.watchable() w on w.oid = f.conrelid
	-- As the foreign key compares: by its own operators, the parent's value read as their left type.
	cross join lateral (
		select array_agg(c.attname::text order by u.n) as columns,
			array_agg(format_type(case when l.typtype = 'p' then rowcast.base_type(p.atttypid) else o.oprleft end, -1) order by u.n) as types,
			array_agg(p.attname::text order by u.n) as referenced,
			array_agg(format('k.v%s operator(%I.%s) t.%I%s', u.n, s.nspname, o.oprname, c.attname,
				case when x.casts then '::' || format_type(o.oprright, -1) else '' end) order by u.n) as conditions,
			-- A cast of an untrusted type may be its owner's function. Arrays and rows are not text in JSON.
			bool_and(not (x.casts and not rowcast.trusted(c.atttypid)) and b.typtype <> 'c' and b.typcategory <> 'A') as comparable
		from unnest(f.conkey, f.confkey, f.conpfeqop) with ordinality u(child, parent, operator, n)
		join pg_attribute c on c.attrelid = f.conrelid and c.attnum = u.child
		join pg_attribute p on p.attrelid = f.confrelid and p.attnum = u.parent
		join pg_type b on b.oid = rowcast.base_type(p.atttypid)
		join pg_operator o on o.oid = u.operator join pg_namespace s on s.oid = o.oprnamespace
		join pg_type l on l.oid = o.oprleft join pg_type t on t.oid = o.oprright
		cross join lateral (select t.typtype <> 'p' and rowcast.base_type(c.atttypid) <> o.oprright as casts) x) k
	where r.watched and r."references" and has_table_privilege(f.conrelid, 'select') and has_schema_privilege(w.schema, 'usage')
$$;
comment on function rowcast.referencing is 'The foreign keys that lead to watched tables; cheap where the rows behind one are found without reading a large table, comparable where the log has the key''s value and reading it runs nobody''s function.';

create or replace function rowcast.append_references(target oid, rows text[], extras jsonb[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	relation_id int;
begin
	-- A table that is not watched itself has a number too, once a row of it is announced.
	insert into rowcast.relation (oid, schema, name, watched, redacted)
		select w.oid, w.schema, w.name, false, rowcast.named_columns(w.oid) from rowcast.watchable() w where w.oid = target on conflict do nothing;
	select id into relation_id from rowcast.relation where oid = target;
	execute format('insert into rowcast.change_%s
		select pg_current_wal_insert_lsn(), pg_current_xact_id(), clock_timestamp(), $1, ''R'', null, r, e
		from unnest($2, $3) u(r, e)', (select slot from rowcast.state)) using relation_id, rows, extras;
end
$$;
comment on function rowcast.append_references is 'Appends rows of a table that reference changed rows. Part of announce().';

create or replace function rowcast.announced(until bigint) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
	update rowcast.state set referenced = greatest(referenced, until)
$$;
comment on function rowcast.announced is 'Notes that references are announced up to a tick. Part of announce(); alone, it gives up what is due.';

create or replace function rowcast.lock_references() returns bigint
language sql security definer set search_path = pg_catalog, pg_temp as $$
	select greatest(referenced, oldest) from rowcast.state where pg_advisory_xact_lock(1920103279, 6) is not null
$$;
comment on function rowcast.lock_references is 'Waits for another leader''s announce() to end. Part of it.';

drop function if exists rowcast.announce(bigint, int, int);
create or replace function rowcast.announce(until bigint, max_causes int, max_rows int,
	out appended bigint, out skipped bigint, out failed jsonb)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
-- A row-level policy is a function of the table's owner, which must not run with the caller's rights.
set row_security = off
set timezone = 'UTC' set datestyle = 'iso' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1
set quote_all_identifiers = off set lc_monetary = 'C' as $f$
declare
	since bigint;
	key record;
	a pg_snapshot;
	b pg_snapshot;
	causes bigint;
	rows text[];
	extras jsonb[];
	seen int;
begin
	appended := 0;
	skipped := 0;
	failed := '[]';
	perform rowcast.lock_references();
	since := (select greatest(referenced, oldest) from rowcast.state);
	if since >= until then
		return;
	end if;
	select snapshot into strict a from rowcast.tick where n = since;
	select snapshot into strict b from rowcast.tick where n = until;
	for key in
		select f.* from rowcast.referencing() f
		where f.cheap and f.comparable and exists (
			select from rowcast.tick_count c
			where c.relation = f.parent_id and c.op = 'U' and c.tick > since and c.tick <= until)
	loop
		-- One row that changed many times within these ticks is one cause, its newest change: the rows that reference
		-- it can only be read as they are now. Where the change moved the key itself, its children have changes of their own.
		begin
			execute format($q$
				with cause as (
					select distinct on (%1$s) c.lsn, c.xid, %1$s
					from rowcast.between($1, $2) c, lateral (select %2$s) v
					where c.relation = $3 and c.op = 'U' and %3$s
					order by %1$s, c.lsn desc, c.xid desc),
				few as (select * from cause order by lsn limit $4),
				found as (
					select f.lsn, f.xid, r.row_json, r.cut, row_number() over (partition by f.lsn, f.xid) as n, count(*) over (partition by f.lsn, f.xid) as of
					from few f cross join lateral json_to_record(json_build_object(%4$s)) k(%5$s) cross join lateral (
						select j.* from %8$s %6$s t
						cross join lateral (
							select case when $7 is null and pg_column_size(t.*) <= $8
								and (select rowcast.plain(reltype) from pg_class where oid = $9) then row_to_json(t.*)::text end as row_json offset 0) w
						cross join lateral (
							select w.row_json, null::text[] where w.row_json is not null
							union all
							select row_json, cut from rowcast.abbreviate(t.*, $9, coalesce($7, '{}'), $8) where w.row_json is null) j(row_json, cut)
						where %7$s limit $5 + 1) r
					order by f.lsn)
				select (select count(*) from cause), (select count(*) from few), array_agg(row_json), array_agg(jsonb_strip_nulls(jsonb_build_object('cut', cut, 'via', jsonb_build_object(
					'seq', rowcast.seq(lsn, xid), 'relation', $3, 'constraint', $6, 'truncated', of > $5))))
				from found where n <= $5$q$,
				(select string_agg(format('v%s', i), ', ') from generate_subscripts(key.referenced, 1) i),
				(select string_agg(format('rowcast.field(c.after, %L) as v%s', name, i), ', ') from unnest(key.referenced) with ordinality u(name, i)),
				(select string_agg(format('v%s = rowcast.field(c.before, %L)', i, name), ' and ') from unnest(key.referenced) with ordinality u(name, i)),
				-- By way of JSON, because that reads a text by its type alone, where a cast may be somebody's function.
				(select string_agg(format('%L, f.v%s', 'v' || i, i), ', ') from generate_subscripts(key.referenced, 1) i),
				(select string_agg(format('v%s %s', i, type), ', ') from unnest(key.types) with ordinality u(type, i)),
				key.child::regclass, array_to_string(key.conditions, ' and '),
				-- A foreign key is not of the tables that inherit from its own, nor is its index.
				(select case relkind when 'r' then 'only' end from pg_class where oid = key.child))
			into causes, seen, rows, extras using a, b, key.parent_id, max_causes, max_rows, key.constraint_name,
				key.redacted, (select value::int from rowcast.setting where name = 'max_value'), key.child;
			skipped := skipped + causes - seen;
			if cardinality(rows) > 0 then
				perform rowcast.append_references(key.child, rows, extras);
				appended := appended + cardinality(rows);
			end if;
		exception when others then
			-- A row that nobody can select, such as one whose virtual column divides by zero: that of this key, and no other's.
			failed := failed || jsonb_build_object('schema', key.child_schema, 'table', key.child_name, 'constraint', key.constraint_name, 'code', sqlstate);
		end;
	end loop;
	perform rowcast.announced(until);
end
$f$;
comment on function rowcast.announce is 'Appends, for each row that was updated in the ticks up to this one, the rows that reference it: at most max_rows for each cause and foreign key, and for at most max_causes; skipped counts the others, failed names the keys whose rows could not be read. With its own progress in the same transaction, so each is announced exactly once. Reads with the caller''s rights, and runs no function of the tables'' owners.';

drop function if exists rowcast.key_text(text, text);  -- rowcast.field() took its place

create or replace function rowcast.announce_references(target regclass, enabled boolean) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
	update rowcast.relation set "references" = enabled where oid = target
$$;
comment on function rowcast.announce_references is 'Turns the announcement of the rows that reference this table''s rows on or off.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

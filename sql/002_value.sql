-- Rowcast 002: values. A row as JSON text, where row_to_json() alone will not do.
begin;
set local client_min_messages = warning;
set local standard_conforming_strings = on;
do $$ begin perform pg_advisory_xact_lock(1920103279, 0); end $$;

create or replace function rowcast.json_of(r record) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'iso' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1
set quote_all_identifiers = off set lc_monetary = 'C' as $$
begin
	return row_to_json(r);
end
$$;
comment on function rowcast.json_of is 'A row as JSON text. PostgreSQL writes a value of a type that somebody made by that type''s cast to json, if there is one: a function of theirs, which may fail, must not run with the rights of Rowcast''s owner or of the server, and may drop whatever belongs to the role that it runs as. So this belongs to rowcast_json, nothing else does, and whoever calls it goes on where it fails or is not there.';

-- Where a superuser installs. Without that role it is called only where nobody else can say how a value is written.
do $$
declare
	f regprocedure := 'rowcast.json_of(record)';
	callers text;
begin
	if (select rolsuper from pg_roles where rolname = current_user) then
		alter function rowcast.json_of(record) owner to rowcast_json;
		-- Versions before let others.
		select string_agg(distinct case grantee when 0 then 'public' else grantee::regrole::text end, ', ') into callers
			from pg_proc cross join lateral aclexplode(proacl) where oid = f and grantee <> proowner;
		execute format('revoke all on function %s from %s', f, coalesce(callers, 'public'));
		grant execute on function rowcast.json_of(record) to rowcast_owner, rowcast_writer;
		set local role rowcast_owner;
	end if;
end
$$;

create or replace function rowcast.parts(type oid) returns setof oid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	with recursive part as (
		select type as oid
		union
		select x.oid from part p join pg_type t on t.oid = p.oid cross join lateral (
			select t.typbasetype as oid where t.typtype = 'd'
			union all
			select t.typelem where t.typcategory = 'A'
			union all
			select a.atttypid from pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) x
	)
	select oid from part
$$;
comment on function rowcast.parts is 'A type and those that it is made of: what a domain, an array or a row has.';

create or replace function rowcast.trusted(type oid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select bool_and(t.typnamespace = 'pg_catalog'::regnamespace or t.typtype = 'd' or t.typcategory = 'A' or not exists (
		select from (
			select t.typowner as oid
			union all
			select f.proowner from pg_cast c join pg_proc f on f.oid = c.castfunc where (c.castsource, c.casttarget) = (t.oid, 'json'::regtype)) o
		join pg_roles r using (oid)
		where not r.rolsuper and oid <> (select nspowner from pg_namespace where nspname = 'rowcast')))
	from rowcast.parts(trusted.type) p(oid) join pg_type t using (oid)
$$;
comment on function rowcast.trusted is 'Whether nobody but a superuser or Rowcast''s owner can say how a value of this type is written as JSON: whoever owns a type may make a cast for it, or add an attribute to it whose type has one.';

create or replace function rowcast.plain(type oid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select rowcast.trusted(plain.type) and not exists (
		select from rowcast.parts(plain.type) p(oid) join pg_type t using (oid) join pg_cast c on c.castsource = t.oid
		where c.casttarget = 'json'::regtype and c.castfunc <> 0 and t.typnamespace <> 'pg_catalog'::regnamespace)
$$;
comment on function rowcast.plain is 'Whether a value of this type is written as JSON without any function that somebody made: also one that is trusted() may raise an error.';

create or replace function rowcast.check_row(type oid, source oid) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
	if type is distinct from (select reltype from pg_class where oid = source) then
		raise exception 'this is no row of %', source::regclass using errcode = 'datatype_mismatch';
	end if;
end
$$;
comment on function rowcast.check_row is 'Raises an error where a row''s type is not that of the table by whose columns it is about to be written: its values might be of anybody''s types.';

create or replace function rowcast.ellipsis() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	-- The inner choice keeps the planner from working out a character that the encoding lacks.
	select case e when 'UTF8' then chr(case e when 'UTF8' then 8230 else 46 end) else '...' end from getdatabaseencoding() e
$$;
comment on function rowcast.ellipsis is 'What stands for the rest of a value that is cut.';

create or replace function rowcast.small_json(value anyelement, max_value int) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	-- pg_column_size reads the size of a value kept out of line without fetching it.
	select case
		when pg_column_size(value) is null then 'null'
		when pg_column_size(value) <= max_value then
			(select j from (select to_json(value)::text) t(j) where octet_length(j) <= max_value)
	end
$$;
comment on function rowcast.small_json is 'A column value as JSON text; null where that takes more than max_value bytes.';

create or replace function rowcast.small_text(value anyelement, max_value int) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select case
		when pg_column_size(value) is null then 'null'
		when pg_column_size(value) <= max_value then rowcast.small_json(format('%s', value), max_value)
	end
$$;
comment on function rowcast.small_text is 'As rowcast.small_json(), for a value whose type is not trusted(): its text as a JSON string, written without any cast.';

create or replace function rowcast.tried_json(value anyelement, max_value int) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
	return rowcast.small_json(value, max_value);
exception when others then
	return rowcast.small_text(value, max_value);
end
$$;
comment on function rowcast.tried_json is 'As rowcast.small_json(), for a value whose type is trusted() and not plain(): where its cast fails, as rowcast.small_text().';

create or replace function rowcast.virtual_expression(source oid, attnum smallint) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select format('(%s)::%s', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod))
	from pg_attribute a join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
	where a.attrelid = source and a.attnum = virtual_expression.attnum
$$;
comment on function rowcast.virtual_expression is 'What a virtual generated column is computed by. PostgreSQL allows it only functions and types of its own, which are the same for every role.';

create or replace function rowcast.virtual_text(r record, source oid, max_value int) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'iso' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1
set quote_all_identifiers = off set lc_monetary = 'C' as $$
declare
	type oid;
	columns text;
	value text;
begin
	if r is distinct from null and current_setting('transaction_isolation') = 'read committed' then
		execute 'select pg_typeof($1)' into type using case when pg_column_size(r) is null then r end;
		perform rowcast.check_row(type, source);
		select string_agg(format('%s as %I', case when attgenerated = 'v' then rowcast.virtual_expression(source, attnum)
			else quote_ident(attname) end, attname), ', ' order by attnum)
		into columns from pg_attribute where attrelid = source and attnum > 0 and not attisdropped;
		execute format('select rowcast.json_of(v) from (select %s from (select ($1).*) the_row) v', columns) into value using r;
	end if;
	return case when octet_length(value) <= max_value then value end;
exception when others then
	return null;  -- the application meets the error when it reads the row; the write must not
end
$$;
comment on function rowcast.virtual_text is 'The quick way to a small row with virtual columns as JSON text; null where they cannot be computed or are large, so that abbreviate() must do it. Takes a subtransaction, without an xid.';

drop function if exists rowcast.virtual_json(record, text, int);
create or replace function rowcast.virtual_json(r record, source oid, attnum smallint, max_value int) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'iso' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1
set quote_all_identifiers = off set lc_monetary = 'C' as $$
declare
	value text;
begin
	-- In a select of its own, so that no name in the expression is taken for another's.
	execute format('select rowcast.small_json(%s, $2) from (select ($1).*) the_row', rowcast.virtual_expression(source, attnum))
		into value using r, max_value;
	return value;
exception when others then
	return null;
end
$$;
comment on function rowcast.virtual_json is 'The value of a virtual generated column as JSON text; null where that takes more than max_value bytes or cannot be computed.';

create or replace function rowcast.abbreviate(r record, source oid, redacted text[], max_value int,
	out row_json text, out cut text[])
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'iso' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1
set quote_all_identifiers = off set lc_monetary = 'C' as $f$
declare
	type oid;
	names text[];
	types oid[];
	columns text;
begin
	if r is not distinct from null then
		return;
	end if;
	-- Beyond this the row is not assembled: PostgreSQL can up to 1 GB only, and it takes several times the memory.
	if pg_column_size(r) not between 0 and 500000000 then
		select '{' || string_agg(to_json(attname)::text || ':' || to_json(rowcast.ellipsis())::text, ',' order by attnum) || '}', array_agg(attname order by attnum)
		into row_json, cut from pg_attribute where attrelid = source and attnum > 0 and not attisdropped;
		return;
	end if;
	if current_setting('transaction_isolation') = 'read committed' then
		-- A null of its type: the row itself would be copied.
		execute 'select pg_typeof($1)' into type using case when pg_column_size(r) is null then r end;
		perform rowcast.check_row(type, source);
		select array_agg(attname order by attnum), array_agg(atttypid order by attnum) into names, types
		from pg_attribute where attrelid = source and attnum > 0 and not attisdropped;
	else
		-- To the snapshot of the transaction, the catalogue may still have what the columns were before: asks the row itself.
		execute 'select array(select json_object_keys(row_to_json(n.*))) from (select (case when false then $1 end).*) n' into names using r;
		execute format('select array[%s]::oid[] from (select $1 as r offset 0) s',
			(select string_agg(format('pg_typeof((s.r).%I)', name), ', ' order by i) from unnest(names) with ordinality u(name, i)))
			into types using r;
	end if;
	select string_agg(
		case when redacted is null or a.attname = any (redacted) then format('(%s, %L, %L, null)', a.i, a.attname, '"[redacted]"')
		when v.attnum is not null then format('(%1$s, %2$L, rowcast.virtual_json(s.r, %3$s, %6$s::smallint, %4$s), %5$L)',
			a.i, a.attname, source, max_value, rowcast.ellipsis(), v.attnum)
		else format('(%1$s, %2$L, rowcast.%8$I((s.r).%3$I, %4$s), %5$s || %6$L || pg_column_size((s.r).%3$I) || %7$L)',
			a.i, a.attname, a.attname, max_value,
			case
				when t.typcategory = 'S' or t.oid = 'json'::regtype then format('left((s.r).%I::text, 1024)', a.attname)
				when t.oid = 'bytea'::regtype then format('substring((s.r).%I from 1 for 512)::text', a.attname)
				else '''''' end,
			rowcast.ellipsis() || ' (', ' bytes stored)', case
				when t.typnamespace = 'pg_catalog'::regnamespace or rowcast.plain(t.oid) then 'small_json'
				when rowcast.trusted(t.oid) then 'tried_json'
				else 'small_text' end)
		end, ', ')
	into columns
	from unnest(names, types) with ordinality a(attname, type, i) left join pg_type t on t.oid = a.type
	left join pg_attribute v on v.attrelid = source and v.attname = a.attname and v.attgenerated = 'v' and not v.attisdropped;

	-- "offset 0": otherwise the planner would copy the whole row for each mention of $1.
	execute 'select ''{'' || string_agg(to_json(name)::text || '':'' || coalesce(small, to_json(beginning)::text), '','' order by i)
			|| ''}'', array_agg(name order by i) filter (where small is null)
		from (select $1 as r offset 0) s cross join lateral (values ' || columns || ') c(i, name, small, beginning)'
	into row_json, cut using r;
end
$f$;
comment on function rowcast.abbreviate is 'A row as JSON text in which values larger than max_value bytes are cut to their beginning, redacted columns (null: all) are replaced and virtual ones computed, with the names of the cut ones. About 0.2 ms.';

create or replace function rowcast.redact_text(row_json text, names text[], positions int[]) returns text
language sql immutable security definer set search_path = pg_catalog, pg_temp as $$
	select case when count(*) filter (where key = names[array_position(positions, i::int)]) = cardinality(positions)
		then '{' || string_agg(to_json(key)::text || ':'
			|| case when i = any (positions) then '"[redacted]"' else value::text end, ',' order by i) || '}' end
	from json_each(row_json::json) with ordinality e(key, value, i)
$$;
comment on function rowcast.redact_text is 'The quick way to redact a small row, by the position of its columns; null where they are not what they were when the trigger was made, so that abbreviate() must do it.';

create or replace function rowcast.abbreviated_texts(old_row record, new_row record, source oid, args text[], max_value int,
	out b text, out a text, out extra jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
	redacted text[] := '{}';
	cut text[];
	r record;
begin
	if cardinality(args[1]::int[]) = 1600 then
		redacted := null;  -- every column, also those that an older snapshot does not show: see follow_table()
	elsif args[1] is not null then
		-- By number in the watched table: a rename keeps it, and a partition numbers its columns in its own way. By name
		-- too: in a restored dump the numbers may be others.
		-- Not its attname: a transaction with an older snapshot still reads the one from before a rename.
		redacted := array(select (pg_identify_object_as_address('pg_class'::regclass, c.attrelid, c.attnum)).object_names[3]
			from pg_attribute c where c.attnum = any (args[1]::int[]) and c.attrelid = coalesce(
				(select t.oid from rowcast.relation t where t.id = args[0]::int), pg_partition_root(source), source));
		-- Neither: renamed before the dump was made. It may be any.
		if redacted = '{}' and not args[2]::text[] <@ array(
			select attname::text from pg_attribute where attrelid = source and attnum > 0 and not attisdropped)
		then
			redacted := array(select attname::text from pg_attribute where attrelid = source and attnum > 0);
		end if;
		redacted := redacted || args[2]::text[];
	end if;
	r := rowcast.abbreviate(old_row, source, redacted, max_value);
	b := r.row_json;
	cut := r.cut;
	r := rowcast.abbreviate(new_row, source, redacted, max_value);
	a := r.row_json;
	cut := array(select unnest(cut) union select unnest(r.cut));
	if cardinality(cut) > 0 then
		extra := jsonb_build_object('cut', cut);
	end if;
end
$$;
comment on function rowcast.abbreviated_texts is 'As careful_texts(), value by value: runs no function of a type that is not trusted().';

drop function if exists rowcast.careful_texts(record, record, text, text, oid, text[], int);
create or replace function rowcast.careful_texts(old_row record, new_row record, source oid, args text[], max_value int,
	out b text, out a text, out extra jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
	r record;
	whole boolean := false;
begin
	if greatest(pg_column_size(old_row), pg_column_size(new_row)) < max_value then
		begin
			b := rowcast.json_of(old_row);
			a := rowcast.json_of(new_row);
			whole := coalesce(greatest(octet_length(b), octet_length(a)) <= max_value, true);
		exception when others then
			null;  -- abbreviate() does it
		end;
		if whole and args[1] is null then
			return;
		end if;
	end if;
	if whole and args[1] is not null then
		if args[4] is not null and args[1] = '{}' then
			b := rowcast.virtual_text(old_row, source, max_value);
			a := rowcast.virtual_text(new_row, source, max_value);
		-- JSON with an escape may be json that json_each cannot read (\u0000), and 8 kB nest at most 4,096 levels deep. With
		-- E, because a session without standard_conforming_strings reads a plain '...' in another way.
		elsif args[4] is null and greatest(octet_length(b), octet_length(a)) <= 8192
			and greatest(strpos(b, E'\\u'), strpos(a, E'\\u')) = 0 then
			b := rowcast.redact_text(b, args[2]::text[], args[3]::int[]);
			a := rowcast.redact_text(a, args[2]::text[], args[3]::int[]);
		else
			b := null;
			a := null;
		end if;
		if (b is null) = (old_row is not distinct from null) and (a is null) = (new_row is not distinct from null) then
			return;
		end if;
	end if;
	r := rowcast.abbreviated_texts(old_row, new_row, source, args, max_value);
	b := r.b;
	a := r.a;
	extra := r.extra;
end
$$;
comment on function rowcast.careful_texts is 'The rows of a change that is large or has redacted or virtual columns, as JSON text. args: those of the trigger, see trigger_arguments().';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

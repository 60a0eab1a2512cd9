-- Rowcast 006: filters. What the conditions of the filter language are made of; none of it raises an error on any row.
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

create or replace function rowcast.field_by_token(row_json text, column_name text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
	value text;
begin
	select string_agg(v.token, '' order by v.i) into value
	from (
		select m.*, min(i) filter (where depth = 1 and token = ':') over of_member as colon,
			bool_or(depth = 1 and token = to_json(column_name)::text) over of_member as wanted
		from (
			select d.*, count(*) filter (where depth = 1 and token = ',') over (order by i) as member
			from (
				select t[1] as token, i, sum(case when t[1] in ('{', '[') then 1 when t[1] in ('}', ']') then -1 else 0 end)
					over (order by i) as depth
				from regexp_matches(row_json, E'"(?:[^"\\\\]|\\\\.)*"|[][{},:]|[^][{},:"]+', 'g') with ordinality r(t, i)
			) d
		) m
		window of_member as (partition by member)
	) v
	where wanted and i > colon and depth > 0;
	value := btrim(value, E' \t\r\n');
	if value = 'null' then
		return null;
	elsif left(value, 1) = '"' then
		begin
			return value::json #>> '{}';
		exception when others then
			return substr(value, 2, length(value) - 2);
		end;
	end if;
	return value;
end
$$;
comment on function rowcast.field_by_token is 'As rowcast.field(), for JSON that PostgreSQL can write and not read. A string that no text can hold (it has \u0000 or half a surrogate pair) is returned with its escapes as they are.';

create or replace function rowcast.field_with_care(row_json text, column_name text) returns text
language plpgsql immutable as $$
begin
	return row_json::json operator(pg_catalog.->>) column_name;
exception when others then
	return rowcast.field_by_token(row_json, column_name);
end
$$;
comment on function rowcast.field_with_care is 'As rowcast.field(), for a row that may have escapes that PostgreSQL cannot read, or be nested too deep for it.';

create or replace function rowcast.field(row_json text, column_name text) returns text
language sql immutable as $$
	-- Escapes like \u0000 cannot be read, nor can 6,000 levels: 8 kB nest at most 4,096 levels deep.
	select case when octet_length(row_json) <= 8192 and strpos(row_json, E'\\u') = 0
		then row_json::json operator(pg_catalog.->>) column_name
		else rowcast.field_with_care(row_json, column_name) end
$$;
comment on function rowcast.field is 'The value of a column as text: a JSON string without its quotes, anything else as it is written; null for JSON''s null, for a column that is not there and for no row. Inlined by the planner.';

create or replace function rowcast.compare(a text, b text) returns int
language plpgsql immutable strict parallel safe as $$
declare
	-- What the filter language takes for a number; any of 15,000 characters fits PostgreSQL's numeric.
	number constant text := E'^[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d{1,3})?$';
begin
	if length(a) <= 15000 and length(b) <= 15000 and a ~ number and b ~ number then
		return pg_catalog.numeric_cmp(a::numeric, b::numeric);
	end if;
	return pg_catalog.bttextcmp(a collate "C", b collate "C");
end
$$;
comment on function rowcast.compare is 'Less than, equal to or greater than 0 as a is to b: as exact decimal numbers where both look like numbers, else as text by code point.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

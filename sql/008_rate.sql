-- Rowcast 008: rates. Tick counts summed over time, so that a day's rates read thousands of rows.
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

create table if not exists rowcast.rate (
	seconds smallint not null check (seconds in (1, 10, 60)),
	start timestamptz not null,
	relation int not null,
	op "char" not null,
	rows bigint not null,
	primary key (seconds, start, relation, op)
);
comment on table rowcast.rate is 'How many changes of each table and op the ticks of a second, of ten and of a minute have: rowcast.tick_count summed, exactly, over the ticks up to rowcast.state.rolled.';
comment on column rowcast.rate.seconds is 'How long the time is that begins at start: each change is counted once for each length.';

alter table rowcast.state add column if not exists rolled bigint not null default 0;
comment on column rowcast.state.rolled is 'The counts of every tick up to this one are in rowcast.rate.';

create or replace function rowcast.roll_up() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
	since bigint := (select greatest(rolled, oldest) from rowcast.state);
	until bigint;
	gone timestamptz;
begin
	-- Whole seconds, so that each is written once; and not too many at a time.
	select t.n into until from rowcast.tick t
		where t.at < (select date_trunc('second', h.at) from rowcast.tick h order by h.n desc limit 1)
		order by t.at desc, t.n desc limit 1;
	-- least() passes over a null: without a second that is whole there is nothing to add.
	until := least(coalesce(until, since), since + 10000);
	if until > since then
		insert into rowcast.rate as r
			select w.seconds, to_timestamp(floor(extract(epoch from t.at) / w.seconds) * w.seconds), c.relation, c.op, sum(c.rows)
			from rowcast.tick t join rowcast.tick_count c on c.tick = t.n
			cross join (values (1::smallint), (10::smallint), (60::smallint)) w(seconds)
			where t.n > since and t.n <= until group by 1, 2, 3, 4
			on conflict (seconds, start, relation, op) do update set rows = r.rows + excluded.rows;
		update rowcast.state set rolled = until;
	end if;
	-- Not the time of the oldest tick: where the clock was set back, later ones have earlier times.
	gone := (select min(t.at) from rowcast.tick t);
	delete from rowcast.rate where ctid = any (array(
		select r.ctid from (values (1), (10), (60)) w(seconds) cross join lateral (
			select ctid from rowcast.rate where seconds = w.seconds and start < gone - interval '1 minute' limit 10000) r));
end
$$;
comment on function rowcast.roll_up is 'Adds the counts of new ticks to rowcast.rate and removes those that are pruned, in pieces. Part of maintain().';

revoke all on all tables in schema rowcast from public;
do $$ begin perform rowcast.close_functions(); end $$;
commit;

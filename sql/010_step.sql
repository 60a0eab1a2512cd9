-- Rowcast 010: the leader's step. One round trip from a ring to the rows.
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

create or replace function rowcast.step(barrier xid8, max_changes int)
returns table (settled boolean, head bigint, changes bigint, at timestamptz, counts json, c rowcast.change)
language plpgsql security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off
set plan_cache_mode = force_generic_plan as $$
declare
	few rowcast.change[];
begin
	settled := pg_snapshot_xmin(pg_current_snapshot()) >= barrier;  -- before the tick's own snapshot
	select a.head, a.changes, a.at, a.few into head, changes, at, few from rowcast.advance(max_changes) a;
	if few is not null and changes > 0 then
		return query
			select step.settled, step.head, step.changes, step.at,
				(select json_agg(json_build_array(k.relation, k.op, k.rows,
						(select r.oid::regclass::text from rowcast.relation r where r.id = k.relation)) order by k.relation, k.op)
					from rowcast.tick_count k where k.tick = step.head), f
			from unnest(few) f order by f.lsn desc, f.xid desc;
	else
		at := null;
		return next;
	end if;
end
$$;
comment on function rowcast.step is 'Advances the tick and returns its changes, newest first, where there are 1 to max_changes; else one row without a change. counts: relation, op, rows, and what the table is called, by which a server notices that it was renamed; that takes 3 us of a step''s 400. settled: every transaction below the barrier has ended. The client has the rows before they are durable, and may use them once the statement has completed.';

do $$ begin perform rowcast.close_functions(); end $$;
commit;

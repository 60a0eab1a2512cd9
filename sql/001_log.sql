-- Rowcast 001: the log. Changes as the triggers record them, and the ticks that put them in order.
-- Runs as it is with `psql -f`, any number of times. Everything lives in schema rowcast; `select rowcast.uninstall()`
-- removes all of it.
begin;
set local client_min_messages = warning;
set local standard_conforming_strings = on;


-- The capture functions run with their owner's rights for every writer, so their owner must not be a superuser: where a
-- superuser installs, everything belongs to a role made for it, and they to another that can append to the log alone. What
-- may run somebody else's function belongs to a third that can do nothing.
do $$
declare
	wrong text;
begin
	perform pg_advisory_xact_lock(1920103279, 0);  -- one installer at a time
	if (select rolsuper from pg_roles where rolname = current_user) then
		begin
			create role rowcast_owner nologin;
			comment on role rowcast_owner is 'Owns schema rowcast. Removed by rowcast.uninstall().';
		exception when unique_violation or duplicate_object then
			null;  -- there already, perhaps for another database of this cluster
		end;
		begin
			create role rowcast_writer nologin;
			comment on role rowcast_writer is 'Owns the trigger functions of Rowcast, and can only append to its log. Removed by rowcast.uninstall().';
		exception when unique_violation or duplicate_object then
			null;
		end;
		begin
			create role rowcast_json nologin;
			comment on role rowcast_json is 'Owns rowcast.json_of() of Rowcast, which may run anybody''s function, and has no right at all. Removed by rowcast.uninstall().';
		exception when unique_violation or duplicate_object then
			null;
		end;
		-- Whoever made one of them before, to be let in by it, would own all this.
		select string_agg(quote_ident(rolname), ', ' order by rolname) into wrong from pg_roles r
		where rolname in ('rowcast_owner', 'rowcast_writer', 'rowcast_json') and (
			rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
			or exists (select from pg_auth_members m join pg_roles o on o.oid = m.member
				where r.oid in (m.roleid, m.member) and not o.rolsuper
					and (pg_get_userbyid(m.roleid), o.rolname) <> ('rowcast_writer', 'rowcast_owner')));
		if wrong is not null then
			raise exception 'Role % is not as Rowcast makes it: it can log in or has an attribute, a member or a membership', wrong
				using errcode = 'duplicate_object', hint = format('Find out who made it so; then drop it, or: alter role %s nologin nosuperuser nocreaterole nocreatedb noreplication nobypassrls, and revoke its memberships.', wrong);
		end if;
		-- So that the owner may write the trigger functions anew.
		if not pg_has_role('rowcast_owner', 'rowcast_writer', 'usage') then
			grant rowcast_writer to rowcast_owner;
		end if;
		if not exists (select from pg_namespace where nspname = 'rowcast') then
			create schema rowcast authorization rowcast_owner;
		end if;
		set local role rowcast_owner;
	else
		create schema if not exists rowcast;
	end if;
end
$$;
comment on schema rowcast is 'Rowcast: a log of row changes that can be followed live. Remove with rowcast.uninstall().';

create table if not exists rowcast.migration (
	name text primary key,
	checksum text not null,
	applied_at timestamptz not null default clock_timestamp()
);
comment on table rowcast.migration is 'Which files of sql/ the server has applied, by content.';

create table if not exists rowcast.setting (
	name text primary key,
	value text not null,
	about text not null
);
comment on table rowcast.setting is 'What an administrator may change; call rowcast.configure() rather than updating it.';
insert into rowcast.setting values
	('max_log', '1073741824', 'bytes that the change log may take; reaching it makes a gap, never an error in a write'),
	('retention', '24:00:00', 'interval for which changes are kept, also while no server runs'),
	('max_value', '16384', 'bytes of a column value beyond which it is abbreviated in the log')
on conflict do nothing;

create table if not exists rowcast.relation (
	id int generated always as identity primary key,
	oid oid not null,
	schema text not null,
	name text not null,
	watched boolean not null default true,
	"references" boolean not null default true,
	redacted int[] not null default '{}',
	unique (oid)
);
comment on table rowcast.relation is 'Every table that is or was watched. A change names it by id, which outlives a rename and tells a table from one that was dropped and made again. A partitioned table has one row, its partitions none.';
comment on column rowcast.relation.id is 'The argument of the table''s triggers.';
comment on column rowcast.relation."references" is 'Whether rows that reference a changed row of this table are announced.';
comment on column rowcast.relation.redacted is 'Numbers (attnum) of the columns whose values never reach the log.';

create table if not exists rowcast.state (
	only_row boolean primary key default true check (only_row),
	epoch uuid not null default gen_random_uuid(),
	cluster text not null default '',
	slot int not null default 0 check (slot between 0 and 7),
	captured bigint not null default 0,
	oldest bigint not null default 0,
	referenced bigint not null default 0
);
insert into rowcast.state default values on conflict do nothing;
comment on table rowcast.state is 'One row: where the log stands.';
comment on column rowcast.state.epoch is 'Changes whenever ticks or seqs may mean something else: a restored dump, a promotion, a new log.';
comment on column rowcast.state.cluster is 'System identifier, timeline and database that the epoch belongs to.';
comment on column rowcast.state.slot is 'The leaf of rowcast.change that writers append to.';
comment on column rowcast.state.captured is 'The newest tick at which the leaf in use was seen with room left: no change up to it was turned away.';
comment on column rowcast.state.oldest is 'Ticks up to and including this one are pruned.';
comment on column rowcast.state.referenced is 'References are announced for the changes of every tick up to this one.';

create table if not exists rowcast.leaf (
	slot int primary key check (slot between 0 and 7),
	opened_at timestamptz,
	closed_at timestamptz,
	closed_tick bigint
);
insert into rowcast.leaf
	select k, case when k = 0 then clock_timestamp() end from generate_series(0, 7) k on conflict do nothing;
comment on table rowcast.leaf is 'The leaves of rowcast.change: empty (never opened), open (one), or closed.';
comment on column rowcast.leaf.opened_at is 'When writers began to append to it; null while it is empty.';
comment on column rowcast.leaf.closed_at is 'When writers moved on; transactions then open may still append for a moment.';
comment on column rowcast.leaf.closed_tick is 'The newest tick at that time. Not found by time: clocks jump.';

create table if not exists rowcast.change (
	lsn pg_lsn not null,
	xid xid8 not null,
	at timestamptz not null,
	relation int not null,
	op "char" not null,
	before text,
	after text,
	extra jsonb
);
-- A publication for all tables has this one too: PostgreSQL then refuses to update what has no identity.
alter table rowcast.change add column if not exists old_tid tid, add column if not exists new_tid tid, replica identity full;
comment on table rowcast.change is 'One row''s insert (I), update (U) or delete (D), a truncate (T), or a row that references a changed row (R). Parent of a ring of eight leaves: writers append to one of them, and a leaf is emptied whole when all of it is too old, so pruning leaves no bloat.';
comment on column rowcast.change.lsn is 'Where the write-ahead log ended while the row was locked: orders each row''s history. Not a sequence, because nextval() in a trigger would change what the application''s lastval() returns. Two transactions may read the same position; (lsn, xid) is unique.';
comment on column rowcast.change.xid is 'The writing top-level transaction.';
comment on column rowcast.change.before is 'The row as JSON text, null for an insert. Text, so that numbers stay exact and nothing has to parse it.';
comment on column rowcast.change.op is 'I, U, D, T or R. No check constraint: PostgreSQL prepares one anew for every statement.';
comment on column rowcast.change.extra is 'Rare things: {"cut": [columns whose value is abbreviated]}; and for R {"via": {"seq", "relation", "constraint", "truncated"}}, the change that caused it and the foreign key that led from it.';
comment on column rowcast.change.old_tid is 'Where the version of the row lies that was updated or deleted (ctid). Of a truncate, how many changes its transaction then had made: see rowcast.capture_truncate().';
comment on column rowcast.change.new_tid is 'Where the new version lies, if it had been changed again when its trigger ran, or was locked: see rowcast.out_of_order().';

do $$
begin
	for k in 0..7 loop
		-- autovacuum has nothing to do in a leaf: its rows are truncated, and advance() seldom updates any.
		execute format('create table if not exists rowcast.change_%s () inherits (rowcast.change)
			with (autovacuum_enabled = off, toast.autovacuum_enabled = off)', k);
		execute format('alter table rowcast.change_%s replica identity full', k);
		execute format('create index if not exists change_%1$s_xid_lsn on rowcast.change_%1$s (xid, lsn)', k);
		execute format('comment on table rowcast.change_%s is %L', k, 'A leaf of rowcast.change.');
		execute format('comment on index rowcast.change_%s_xid_lsn is %L', k,
			'Finds the changes of a tick: ranges of transactions.');
	end loop;
end
$$;

create table if not exists rowcast.tick (
	n bigint primary key,
	at timestamptz not null,
	snapshot pg_snapshot not null
);
comment on table rowcast.tick is 'A durable, densely numbered step: all the changes that became visible since the tick before.';
comment on column rowcast.tick.snapshot is 'What was visible. The changes of tick n are those visible in its snapshot and not in that of n - 1.';
create index if not exists tick_at on rowcast.tick (at);
comment on index rowcast.tick_at is 'Finds the ticks of a time.';
insert into rowcast.tick
	select 0, clock_timestamp(), pg_current_snapshot() where not exists (select from rowcast.tick);

create table if not exists rowcast.tick_count (
	tick bigint not null,
	relation int not null,
	op "char" not null,
	rows bigint not null,
	primary key (tick, relation, op)
);
comment on table rowcast.tick_count is 'How many changes of each table and op a tick has, exactly.';
create index if not exists tick_count_relation on rowcast.tick_count (relation, tick);
comment on index rowcast.tick_count_relation is 'Finds the ticks in which a table changed.';

create table if not exists rowcast.gap (
	after bigint not null,
	until bigint not null,
	reason text not null check (reason in ('capture')),
	noticed_at timestamptz not null default clock_timestamp(),
	primary key (after, until)
);
comment on table rowcast.gap is 'Ranges of ticks in which changes may not have been captured, because the log was full or too old while no server ran, or a trigger was missing or disabled.';

create or replace function rowcast.seq(lsn pg_lsn, xid xid8) returns text
language sql immutable parallel safe as $$
	select (div(lsn - '0/0'::pg_lsn, 8) * 4294967296 + mod(xid::text::numeric, 4294967296))::text
$$;
comment on function rowcast.seq is 'The number that orders a row''s history on the wire: the log position in units of 8 bytes (positions are aligned to 8), then 32 bits of the transaction, which no two running ones share.';

create or replace function rowcast.close_functions() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	f regprocedure;
begin
	for f in select p.oid from pg_proc p where p.pronamespace = 'rowcast'::regnamespace and p.prorettype <> 'trigger'::regtype
		and pg_has_role(p.proowner, 'usage')
	loop
		execute format('revoke all on function %s from public', f);
	end loop;
end
$$;
comment on function rowcast.close_functions is 'Takes from everybody the right to call what is no trigger''s function. Those keep it, because whoever makes a partition of a watched table needs it; nobody can call them, nor name them without rights on the schema.';

revoke all on all tables in schema rowcast from public;
do $$ begin perform rowcast.close_functions(); end $$;
commit;

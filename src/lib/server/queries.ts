/** What is asked of the log, one constant a question. Their parameters are told where they are used, in reader.ts. */

const NAMES = 'n, lsn, xid, to_char, relation, op, before, after, extra';

const ISO = (expression: string) =>
	`to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const COLUMNS = `c.lsn, c.xid, ${ISO('c.at')}, c.relation, c.op, c.before, c.after, c.extra`;

/**
 * Relations by schema (null for any) and name, and by which of these: what is called so now, and what was when it was
 * dropped. Asked of the database: the catalogue may be a second old, and so may be the names that the log notes.
 */
export const NAMED = `
	with t as (select * from unnest($1::text[], $2::text[]) with ordinality t(schema, name, i))
	select r.id, t.i from t join pg_class c on c.relname = t.name
		join pg_namespace n on n.oid = c.relnamespace and n.nspname = coalesce(t.schema, n.nspname)
		join rowcast.relation r on r.oid = c.oid
	union all
	select r.id, t.i from t join rowcast.relation r on r.name = t.name and r.schema = coalesce(t.schema, r.schema)
	where not exists (select from pg_class c where c.oid = r.oid)`;

/** A table's schema and name, as regclass writes them where no schema is searched; null where it was dropped. */
const CALLED = `quote_ident(n.nspname) || '.' || quote_ident(c.relname)`;

/** Every relation: its number, its schema and name, now or when it was dropped. */
export const RELATIONS = `
	select r.id, coalesce(n.nspname, r.schema) as schema, coalesce(c.relname, r.name) as name,
		${CALLED} as called
	from rowcast.relation r left join pg_class c on c.oid = r.oid left join pg_namespace n on n.oid = c.relnamespace`;

export const BOUNDS = 'select s.epoch, (select max(n) from rowcast.tick), s.oldest from rowcast.state s';

/** Conditions on the scope's two parameters, $i (relations) and $i + 1 (ops). */
const scope = (i: number, of = 'c') =>
	`($${i}::int[] is null or ${of}.relation = any ($${i}::int[])) and ($${i + 1}::text[] is null or ${of}.op::text = any ($${i + 1}::text[]))`;

/**
 * Ticks with their counts and newest changes, newest first within each; about 2,000 changes in all. Of ticks with more
 * than $4 changes the counts alone, in a row without a change: finding the newest of a million takes a second. With the
 * first, what the tables of all are called now: 25 us a read, where the same with each count costs 7 us a tick.
 */
export const TICKS = `
	with due as (
		select t.n, t.at, t.snapshot, p.snapshot as before,
			sum(least(k.rows, $3)) over (order by t.n) - least(k.rows, $3) as so_far, k.rows, k.counts
		from (select * from rowcast.tick where n > $1 and n <= $2 order by n limit 100) t
		join rowcast.tick p on p.n = t.n - 1
		cross join lateral (
			select sum(rows) as rows, json_agg(json_build_array(relation, op, rows) order by relation, op) as counts
			from rowcast.tick_count where tick = t.n) k)
	select d.n, ${ISO('d.at')}, d.counts, ${COLUMNS}, case when d.n = $1 + 1 then (
		select json_agg(json_build_array(r.id, ${CALLED}))
		from rowcast.relation r join pg_class c on c.oid = r.oid join pg_namespace n on n.oid = c.relnamespace
		where r.id in (select relation from rowcast.tick_count where tick > $1 and tick <= least($2, $1 + 100))) end
	from due d left join lateral (
		select * from rowcast.between(d.before, d.snapshot) order by lsn desc, xid desc limit $3) c on d.rows <= $4
	where d.so_far < 2000
	order by d.n, c.lsn desc, c.xid desc`;

/**
 * The leader's tick, as TICKS answers it, behind three columns of its own. $1: transactions below it have ended;
 * $2: most changes that are read along.
 */
export const STEP = `
	select s.settled, s.head, s.changes, s.head, ${ISO('s.at')}, s.counts, ${COLUMNS.replaceAll('c.', '(s.c).')}
	from rowcast.step($1, $2) s`;

export const TIME_OF = `select ${ISO('at')} from rowcast.tick where n = $1`;

export const TICKS_WITH = (order: Order) => `
	select c.tick, sum(c.rows) from rowcast.tick_count c
	where c.tick > $1 and c.tick <= $2 and ${scope(3)}
	group by c.tick order by c.tick ${order} limit $5`;

type Order = 'asc' | 'desc';

/** Text of a change in octets: what is stored out of line is not fetched for it. */
const OCTETS = `coalesce(octet_length(q.before), 0) + coalesce(octet_length(q.after), 0)`;

/** The changes of a query up to the one with which their text reaches so many octets, but at least that many. */
export const BOUNDED = (query: string, order: Order, octets: number, least: number, also = '') => {
	const by = `n ${order}, lsn ${order}, xid ${order}`;
	return `
	select ${NAMES}, octets${also} from (
		select q.*, ${OCTETS} as own, sum(${OCTETS}) over w as octets, row_number() over w as i
		from (${query}) q window w as (order by ${by} rows unbounded preceding)) q
	where i <= ${least} or octets - own < ${octets} order by ${by}`;
};

/** `condition` may use parameters from $7. `offset 0` keeps the planner from walking all ticks between the chosen ones. */
export const CHANGES = (order: Order, condition: string) => `
	select t.n, ${COLUMNS}
	from unnest($1::bigint[]) u(n)
	cross join lateral (select * from rowcast.tick where n = u.n offset 0) t
	cross join lateral (select snapshot from rowcast.tick where n = u.n - 1 offset 0) p
	cross join lateral (
		select * from rowcast.between(p.snapshot, t.snapshot) c
		where ${scope(2)} and (t.n is distinct from $5::bigint or c.lsn ${order === 'asc' ? '>=' : '<='} $6::pg_lsn)
			and ${condition}
		order by c.lsn ${order}, c.xid ${order} limit $4) c
	order by t.n ${order}, c.lsn ${order}, c.xid ${order} limit $4`;

/**
 * As CHANGES, of one tick that is large because a few transactions were: $1, with these behind it. Each is walked in
 * the order of the index and no further than needed, so that a page costs the same wherever in the tick it lies.
 */
export const LARGE = (order: Order, condition: string) => `
	select ($1::text[])[1]::bigint as n, ${COLUMNS}
	from unnest(($1::text[])[2:]) w(xid)
	cross join lateral (
		select * from rowcast.change c
		where c.xid = w.xid::xid8 and ${scope(2)} and ($5::bigint is null or c.lsn ${order === 'asc' ? '>=' : '<='} $6::pg_lsn)
			and ${condition}
		order by c.lsn ${order} limit $4) c
	order by c.lsn ${order}, c.xid ${order} limit $4`;

/**
 * As LARGE, for a condition on values: of the next `most` changes of the tick those that match, and the last of them in
 * any case, with whether it matches, so that the search goes on behind it.
 */
export const LOOKED = (order: Order, condition: string, most: number) => `
	select ($1::text[])[1]::bigint as n, ${COLUMNS}, (${condition}) is true as matches, c.i = ${most} as last
	from (
		select c.*, row_number() over (order by c.lsn ${order}, c.xid ${order}) as i
		from unnest(($1::text[])[2:]) w(xid)
		cross join lateral (
			select * from rowcast.change c
			where c.xid = w.xid::xid8 and ${scope(2)} and ($5::bigint is null or c.lsn ${order === 'asc' ? '>=' : '<='} $6::pg_lsn)
			order by c.lsn ${order} limit ${most}) c
		order by c.lsn ${order}, c.xid ${order} limit ${most}) c
	where ${condition} or c.i = ${most}
	order by c.lsn ${order}, c.xid ${order} limit $4`;

/** Which transactions have changes in tick $1; at most $2. */
export const WRITERS = `
	select c.xid from rowcast.tick t join rowcast.tick p on p.n = t.n - 1
	cross join lateral (select distinct xid from rowcast.between(p.snapshot, t.snapshot) limit $2) c
	where t.n = $1`;

/** When tables $1 were last written in the ticks ($2, $3] by ops $4, where one of their newest 100 ticks tells. */
export const LAST = `
	select r.id, ${ISO('t.at')} from unnest($1::int[]) r(id)
	cross join lateral (
		select n.tick from (
			select tick, op from rowcast.tick_count where relation = r.id and tick > $2 and tick <= $3 order by tick desc limit 100) n
		where n.op <> 'R' and ($4::text[] is null or n.op::text = any ($4::text[]))
		order by n.tick desc limit 1) k
	join rowcast.tick t on t.n = k.tick`;

/** Whether transaction $2 alone has changes in tick $1: two looks into each index, however large it is. */
export const ALONE = `
	select not exists (select from rowcast.between(p.snapshot, t.snapshot) c where c.xid < $2::text::xid8)
		and not exists (select from rowcast.between(p.snapshot, t.snapshot) c where c.xid > $2::text::xid8)
	from rowcast.tick t join rowcast.tick p on p.n = t.n - 1 where t.n = $1`;

export const COUNTS = `
	select c.relation, c.op, sum(c.rows) from rowcast.tick_count c
	where c.tick > $1 and c.tick <= $2 and ${scope(3)} group by c.relation, c.op`;

/**
 * As CHANGES, of the ticks beyond the first of $1 up to its second: one walk over all of them, and the tick only of
 * what matches. 1 us a change; CHANGES takes 50 us a tick.
 */
export const RANGE = (order: Order, condition: string) => `
	select t.n, ${COLUMNS}
	from (
		select c.* from rowcast.tick a, rowcast.tick b, rowcast.between(a.snapshot, b.snapshot) c
		where a.n = ($1::bigint[])[1] and b.n = ($1::bigint[])[2] and ${scope(2)} and ${condition} offset 0) c
	cross join lateral (select rowcast.tick_of(c.xid, c.at) as n offset 0) t
	where (t.n is distinct from $5::bigint or c.lsn ${order === 'asc' ? '>=' : '<='} $6::pg_lsn)
	order by t.n ${order}, c.lsn ${order}, c.xid ${order} limit $4`;

/** One row's changes, newest first; up to the log position $4, if it is given. */
export const ROW = `
	select c.n, ${COLUMNS} from rowcast.changes_of_row($1::int[], $2::json, $3, $4) c order by c.lsn desc, c.xid desc`;

/** What matches, by table and op. `condition` may use parameters from $5. */
export const MATCHING = (condition: string) => `
	select c.relation, c.op, count(*)
	from rowcast.tick a, rowcast.tick b, rowcast.between(a.snapshot, b.snapshot) c
	where a.n = $1 and b.n = $2 and ${scope(3)} and ${condition} group by c.relation, c.op`;

/**
 * What matches of the ticks ($1, $2], by buckets of $6 ms from $5 on. A transaction is in the first tick that began
 * after it did, unless it was still running then: found by sorting both, 1 us each, where tick_of takes 60.
 * `condition` may use parameters from $7.
 */
export const RATES_MATCHING = (condition: string) => `
	with k as materialized (
		select c.relation, c.op, c.xid, max(c.at) as at, count(*) as rows
		from rowcast.tick a, rowcast.tick b, rowcast.between(a.snapshot, b.snapshot) c
		where a.n = $1 and b.n = $2 and ${scope(3)} and ${condition}
		group by c.relation, c.op, c.xid),
	sorted as (
		select u.*, min(u.n) over (order by u.xid desc, u.n nulls first rows unbounded preceding) as first
		from (
			select relation, op, xid, at, rows, null::bigint as n from k
			union all
			select null, null, pg_snapshot_xmax(snapshot), null, null, n from rowcast.tick where n > $1 and n <= $2) u)
	select s.relation, s.op, floor(extract(epoch from t.at - $5::timestamptz) * 1000 / $6::numeric)::int, sum(s.rows)
	from sorted s
	cross join lateral (select snapshot from rowcast.tick where n = s.first offset 0) f
	cross join lateral (
		select case when pg_visible_in_snapshot(s.xid, f.snapshot) then s.first else rowcast.tick_of(s.xid, s.at) end as n offset 0) o
	cross join lateral (select at from rowcast.tick where n = o.n offset 0) t
	where s.n is null
	group by 1, 2, 3`;

/**
 * The range of ticks of a time, at most up to $3; when the tick before the range was, when its last, and the newest of
 * all, at most $3. Where the clock was set back, a range up to now has ticks of other times, too, and begins with the
 * earliest that it has.
 */
export const RATES_BOUNDS = `
	select b.after, b.until, (select ${ISO('min(t.at)')} from (
		select at from rowcast.tick where n = b.after
		union all
		(select at - interval '1 microsecond' from rowcast.tick where n > b.after and at >= $1::timestamptz
			and at < (select at from rowcast.tick where n = b.after) order by at limit 1)) t),
		(select ${ISO('t.at')} from rowcast.tick t where t.n = b.until), b.head
	from (
		select greatest(s.oldest, (select n from rowcast.tick where at < $1::timestamptz order by at desc, n desc limit 1)) as after,
			least($3::bigint, coalesce(case when h.at < $2::timestamptz then h.n end,
				(select n from rowcast.tick where at < $2::timestamptz order by at desc, n desc limit 1), 0)) as until,
			least($3::bigint, h.n) as head
		from rowcast.state s, (select n, at from rowcast.tick order by n desc limit 1) h) b`;

/**
 * Counts of spans of time ($1 to $4: bucket, seconds, from, to), of the ticks up to $7; $8 and $9: start and ms of a
 * bucket; $10: end of all. By time alone, because the ticks of a time do not follow each other where the clock was set
 * back. `offset 0` keeps the planner from reading all ticks of the range for each span, 10 s instead of 30 ms.
 */
export const RATES = `
	with span as (select * from unnest($1::int[], $2::int[], $3::timestamptz[], $4::timestamptz[]) s(bucket, seconds, a, b))
	select k.relation, k.op, s.bucket, k.rows from span s cross join lateral (
		select c.relation, c.op, sum(c.rows) as rows from rowcast.rate c
		where c.seconds = s.seconds and c.start >= s.a and c.start < s.b and ${scope(5)}
		group by c.relation, c.op) k
	where s.seconds > 0
	union all
	select k.relation, k.op, s.bucket, k.rows from span s cross join lateral (
		select c.relation, c.op, sum(c.rows) as rows
		from (select n from rowcast.tick where at >= s.a and at < s.b offset 0) t join rowcast.tick_count c on c.tick = t.n
		where t.n > (select oldest from rowcast.state) and t.n <= (select least($7, rolled) from rowcast.state) and ${scope(5)}
		group by c.relation, c.op) k
	where s.seconds = 0
	union all
	select c.relation, c.op, floor(extract(epoch from t.at - $8::timestamptz) * 1000 / $9::numeric)::int, sum(c.rows)
	from rowcast.tick t cross join lateral (select * from rowcast.tick_count where tick = t.n offset 0) c
	where t.n > (select greatest(oldest, rolled) from rowcast.state) and t.n <= $7
		and t.at >= $8::timestamptz and t.at < $10::timestamptz and ${scope(5)}
	group by 1, 2, 3`;

export const GAPS = 'select after, until from rowcast.gap where until > $1 order by after';

/** What is asked of the log, one constant a question. Their parameters are told where they are used, in reader.ts. */

const ISO = (expression: string) =>
	`to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const COLUMNS = `c.lsn, c.xid, ${ISO('c.at')}, c.relation, c.op, c.before, c.after, c.extra`;

export const BOUNDS = 'select s.epoch, (select max(n) from rowcast.tick), s.oldest from rowcast.state s';

/** Conditions on the scope's two parameters, $i (relations) and $i + 1 (ops). */
const scope = (i: number, of = 'c') =>
	`($${i}::int[] is null or ${of}.relation = any ($${i}::int[])) and ($${i + 1}::text[] is null or ${of}.op::text = any ($${i + 1}::text[]))`;

/** Ticks with their counts and newest changes, newest first within each; about 2,000 changes in all. */
export const TICKS = `
	with due as (
		select t.n, t.at, t.snapshot, p.snapshot as before,
			sum(least(k.rows, $3)) over (order by t.n) - least(k.rows, $3) as so_far, k.counts
		from (select * from rowcast.tick where n > $1 and n <= $2 order by n limit 100) t
		join rowcast.tick p on p.n = t.n - 1
		cross join lateral (
			select sum(rows) as rows, json_agg(json_build_array(relation, op, rows) order by relation, op) as counts
			from rowcast.tick_count where tick = t.n) k)
	select d.n, ${ISO('d.at')}, d.counts, ${COLUMNS}
	from due d cross join lateral (
		select * from rowcast.between(d.before, d.snapshot) order by lsn desc, xid desc limit $3) c
	where d.so_far < 2000
	order by d.n, c.lsn desc, c.xid desc`;

export const TICKS_WITH = (order: 'asc' | 'desc') => `
	select c.tick, sum(c.rows) from rowcast.tick_count c
	where c.tick > $1 and c.tick <= $2 and ${scope(3)}
	group by c.tick order by c.tick ${order} limit $5`;

/** `condition` may use parameters from $7. */
export const CHANGES = (order: 'asc' | 'desc', condition: string) => `
	select t.n, ${COLUMNS}
	from unnest($1::bigint[]) u(n) join rowcast.tick t using (n) join rowcast.tick p on p.n = t.n - 1
	cross join lateral (
		select * from rowcast.between(p.snapshot, t.snapshot) c
		where ${scope(2)} and (t.n is distinct from $5::bigint or c.lsn ${order === 'asc' ? '>=' : '<='} $6::pg_lsn)
			and ${condition}
		order by c.lsn ${order}, c.xid ${order} limit $4) c
	order by t.n ${order}, c.lsn ${order}, c.xid ${order} limit $4`;

export const COUNTS = `
	select c.relation, c.op, sum(c.rows) from rowcast.tick_count c
	where c.tick > $1 and c.tick <= $2 and ${scope(3)} group by c.relation, c.op`;

/** `condition` may use parameters from $5. */
export const MATCHING = (condition: string) => `
	select count(*) from rowcast.tick a, rowcast.tick b, rowcast.between(a.snapshot, b.snapshot) c
	where a.n = $1 and b.n = $2 and ${scope(3)} and ${condition}`;

export const RATES_BOUNDS = `
	select greatest(s.oldest, coalesce((select max(n) from rowcast.tick where at < $1::timestamptz), 0)),
		coalesce((select max(n) from rowcast.tick where at < $2::timestamptz), 0)
	from rowcast.state s`;

export const RATES = `
	select c.relation, c.op, floor(extract(epoch from t.at - $1::timestamptz) * 1000 / $2::numeric)::int as bucket, sum(c.rows)
	from rowcast.tick_count c join rowcast.tick t on t.n = c.tick
	where c.tick > $3 and c.tick <= $4 and ${scope(5)}
	group by 1, 2, 3`;

export const GAPS = 'select after, until from rowcast.gap where until > $1 order by after';

/**
 * A long past without the hours that it takes: a day of a shop's changes, written straight into the log by SQL, with
 * ticks and counts as the ticker would have made them.
 */
import { withClient } from '../support/postgres.ts';
import { migrate } from '../../src/lib/server/migrate.ts';

export interface Past {
	changes: number;
	/** One transaction a tick, but for every fiftieth, which stays open for twenty ticks. */
	ticks: number;
}

/** Each with its share of the transactions, in thousandths; `voucher` is the rare one. */
const TABLES = ['book', 'order_line', 'stock', 'customer', 'voucher'];

export async function writePast(url: string, { changes, ticks }: Past): Promise<void> {
	await withClient(url, async (client) => {
		await migrate(client);
		for (const name of TABLES) {
			await client.query(`create table ${name} (id int primary key, title text, price numeric, author int,
				isbn text, discontinued boolean, updated_at timestamptz, note text)`);
			await client.query(`select rowcast.watch('${name}')`);
		}
		await client.query(
			`select rowcast.configure('max_log', '64000000000'), rowcast.configure('retention', '10 days')`
		);
		// Transactions that really were, for the ticks of a server that goes on from here.
		await client.query(`create table burnt ()`);
		await client.query(`do $$ begin for i in 1..${ticks + 1000} loop
			begin insert into burnt default values; exception when others then null; end; end loop; end $$`);
		await client.query('drop table burnt');
		const { rows } = await client.query(
			`select (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - ${ticks} - 10)::text as base`
		);
		const base = Number(rows[0].base);
		const each = Math.round(changes / ticks);
		for (let slot = 0; slot < 8; slot++) {
			const [from, to] = [Math.floor((ticks * slot) / 8) + 1, Math.floor((ticks * (slot + 1)) / 8)];
			await client.query(`
				insert into rowcast.change_${slot}
				select ('0/' || to_hex(16777216 + x * 1000 + i * 8))::pg_lsn, (${base} + x)::text::xid8,
					now() - interval '24 hours' + x * interval '24 hours' / ${ticks + 100}, r.id,
					case when h % 20 < 12 then 'U' when h % 20 < 17 then 'I' else 'D' end::"char",
					case when h % 20 < 12 or h % 20 >= 17 then row_to_json(b)::text end,
					case when h % 20 < 17 then row_to_json(a)::text end, null
				from generate_series(${from}, ${to}) x cross join generate_series(1, ${each}) i
				cross join lateral (select abs(hashint4(x * ${each} + i)) as h) h
				cross join lateral (select case when x % 5000 = 0 then 'voucher' when x % 10 < 6 then 'book'
					when x % 10 < 8 then 'order_line' when x % 10 < 9 then 'stock' else 'customer' end as name) t
				join rowcast.relation r on r.name = t.name
				cross join lateral (select h % 20000 as id, 'The ' || h % 977 || ' Gorillas' as title, h % 10000 / 100.0 as price,
					h % 500 as author, '978-' || h as isbn, h % 7 = 0 as discontinued, now() as updated_at, 'a line of ordinary length' as note) b
				cross join lateral (select b.id, b.title, b.price + 1 as price, b.author, b.isbn, b.discontinued, now() as updated_at, b.note) a`);
		}
		await client.query(`
			insert into rowcast.tick select n, now() - interval '24 hours' + n * interval '24 hours' / ${ticks + 100} + interval '1 ms',
				(select format('%s:%s:%s', ${base} + coalesce(min(x), n + 1), ${base} + n + 1, string_agg((${base} + x)::text, ',' order by x))
					from generate_series(greatest(n - 19, 1), n) x where x % 50 = 0)::pg_snapshot
			from generate_series(1, ${ticks}) n`);
		await client.query(`delete from rowcast.tick where n = 0`);
		await client.query(
			`insert into rowcast.tick values (0, now() - interval '24 hours', '${base}:${base}:')`
		);
		await client.query(`
			insert into rowcast.tick_count
			select case when x % 50 = 0 then least(x + 20, ${ticks}) else x end, relation, op, count(*)
			from (select xid::text::bigint - ${base} as x, relation, op from rowcast.change) c
			where x % 50 > 0 or x + 20 <= ${ticks} group by 1, 2, 3`);
		await client.query(`
			update rowcast.leaf set opened_at = now() - interval '24 hours' + slot * interval '3 hours',
				closed_at = case when slot < 7 then now() - interval '21 hours' + slot * interval '3 hours' end,
				closed_tick = case when slot < 7 then ${ticks}::bigint * (slot + 1) / 8 end`);
		await client.query(`update rowcast.state set slot = 7, captured = ${ticks}, referenced = ${ticks}`);
		await client.query('select rowcast.write_capture()');
		await client.query('vacuum analyze rowcast.tick, rowcast.tick_count');
	});
}

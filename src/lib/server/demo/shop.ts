/** What happens in the demo's shop: each deed is one transaction. */
import type pg from 'pg';
import type { Random } from './random.ts';
import { COUNTRIES, GENRES, WAREHOUSES, email, money, name, remark, title } from './words.ts';

interface Deed {
	/** How often it happens, relative to the others. */
	weight: number;
	run(db: pg.ClientBase, random: Random): Promise<unknown>;
}

/** Tables never grow past these numbers of rows, so that the demo can run for weeks. */
const KEEP = { books: 200, reviews: 1500, orders: 1000, views: 3000, events: 2000 };

const SESSIONS = 40;

/** A row by chance: the seed chooses a place in the order of the ids. */
async function someId(db: pg.ClientBase, random: Random, table: '"Book"' | '"User"' | 'customer') {
	const { rows } = await db.query<{ id: number }>(
		`select id from ${table} order by id offset floor($1::float8 * (select count(*) from ${table})) limit 1`,
		[random.next()]
	);
	return rows[0]!.id;
}

async function view(db: pg.ClientBase, random: Random, rows: number): Promise<void> {
	await db.query(
		`insert into page_view (session, path, milliseconds)
		 select 's' || $1::int, $2, $3::real + i from generate_series(1, $4::int) i`,
		[random.between(1, SESSIONS), `/books/${random.between(1, 120)}`, random.between(3, 250) / 2, rows]
	);
}

async function addAuthor(db: pg.ClientBase, random: Random): Promise<void> {
	const author = name(random);
	await db.query('insert into "User" (name, email, country, bio) values ($1, $2, $3, $4)', [
		author,
		email(author, random),
		random.pick(COUNTRIES),
		random.next() < 0.5 ? null : remark(random)
	]);
}

async function addBook(db: pg.ClientBase, random: Random): Promise<void> {
	await db.query(
		`with book as (
			insert into "Book" ("authorId", title, genre, price, details)
			values ($1, $2, $3, $4, jsonb_build_object('pages', $5::int, 'formats', $6::text[])) returning id
		 )
		 insert into stock (warehouse, book_id, quantity) select w, id, $7 from book, unnest($8::text[]) w`,
		[
			await someId(db, random, '"User"'),
			title(random),
			random.pick(GENRES),
			money(random, 5, 40),
			random.between(80, 900),
			random.pick([['paper'], ['paper', 'epub'], ['paper', 'epub', 'audio']]),
			random.between(5, 60),
			WAREHOUSES
		]
	);
}

async function order(db: pg.ClientBase, random: Random): Promise<void> {
	const warehouse = random.pick(WAREHOUSES);
	const { rows: lines } = await db.query<{ book_id: number; price: string; quantity: number }>(
		`select id as book_id, price, least(quantity, $3)::int as quantity from stock join "Book" on id = book_id
		 where warehouse = $1 and quantity > 0 and not discontinued order by abs(id - $2), id limit $4`,
		[warehouse, await someId(db, random, '"Book"'), random.between(1, 3), random.between(1, 4)]
	);
	if (!lines.length) return;
	const total = lines.reduce((sum, { price, quantity }) => sum + Number(price) * quantity, 0).toFixed(2);
	const { rows } = await db.query<{ id: string }>(
		'insert into orders (customer_id, total, note) values ($1, $2, $3) returning id',
		[await someId(db, random, 'customer'), total, random.next() < 0.1 ? 'A gift: please wrap it.' : null]
	);
	const id = rows[0]!.id;
	const columns = [lines.map((l) => l.book_id), lines.map((l) => l.quantity), lines.map((l) => l.price)];
	await db.query(
		`insert into order_line (order_id, line, book_id, quantity, price)
		 select $1, n, book, q, p from unnest($2::int[], $3::int[], $4::numeric[]) with ordinality t (book, q, p, n)`,
		[id, ...columns]
	);
	await db.query(
		`update stock set quantity = quantity - q from unnest($2::int[], $3::int[]) t (book, q)
		 where warehouse = $1 and book_id = book`,
		[warehouse, columns[0], columns[1]]
	);
	await db.query('insert into payment (order_id, amount, method) values ($1, $2, $3)', [
		id,
		total,
		random.pick(['card', 'card', 'transfer', 'voucher'])
	]);
}

/** Moves the orders that waited longest from one state on to the next. */
async function advance(db: pg.ClientBase, from: string, to: string, rows: number): Promise<unknown> {
	return db.query(
		`update orders set status = $2
		 where id in (select id from orders where status = $1 order by id limit $3)`,
		[from, to, rows]
	);
}

/** Books without a line in an order that is still kept may go, with their reviews and stock. */
async function tidy(db: pg.ClientBase): Promise<void> {
	await db.query(
		`delete from orders where id <= (select id from orders order by id desc offset ${KEEP.orders} limit 1)`
	);
	await db.query(
		`delete from page_view where at <= (select at from page_view order by at desc offset ${KEEP.views} limit 1)`
	);
	await db.query(
		`delete from event where id <= (select id from event order by id desc offset ${KEEP.events} limit 1)`
	);
	await db.query(
		`delete from "Review" where id <= (select id from "Review" order by id desc offset ${KEEP.reviews} limit 1)`
	);
	await db.query(
		`delete from "Book" b where discontinued and not exists (select from order_line where book_id = b.id)`
	);
	await db.query(
		`delete from "User" u where not exists (select from "Book" where "authorId" = u.id)
		 and "createdAt" < now() - interval '10 minutes'`
	);
}

export const DEEDS: readonly Deed[] = [
	{ weight: 30, run: (db, random) => view(db, random, random.pick([1, 1, 1, 1, 3])) },
	{
		weight: 14,
		run: (db, random) =>
			db.query('insert into event (source, kind, payload) values ($1, $2, $3)', [
				random.pick(['web', 'web', 'app', 'till']),
				random.pick(['search', 'basket', 'login', 'scan']),
				JSON.stringify({ session: `s${random.between(1, SESSIONS)}`, items: [random.between(1, 120)] })
			])
	},
	{ weight: 10, run: order },
	{
		// A payment is captured, and its order paid.
		weight: 9,
		run: (db) =>
			db.query(
				`with paid as (
					update payment set state = 'captured', at = now()
					where id = (select p.id from payment p join orders o on o.id = order_id
						where state = 'authorised' and status = 'pending' order by order_id limit 1)
					returning order_id
				 )
				 update orders set status = 'paid' where id = (select order_id from paid)`
			)
	},
	{ weight: 7, run: (db) => advance(db, 'paid', 'shipped', 1) },
	{
		// A parcel service reports many at once.
		weight: 0.6,
		run: (db, random) => advance(db, 'shipped', 'delivered', random.between(5, 30))
	},
	{
		weight: 7,
		run: async (db, random) =>
			db.query('update "Book" set price = $2, "updatedAt" = now() where id = $1', [
				await someId(db, random, '"Book"'),
				money(random, 5, 40)
			])
	},
	{
		// The book keeps the mean of its ratings, as JSON.
		weight: 5,
		run: async (db, random) => {
			const book = await someId(db, random, '"Book"');
			await db.query('insert into "Review" ("bookId", reviewer, rating, body) values ($1, $2, $3, $4)', [
				book,
				name(random),
				random.pick([2, 3, 4, 4, 5, 5]),
				remark(random)
			]);
			await db.query(
				`update "Book" set details = details || (select jsonb_build_object('rating', round(avg(rating), 2))
					from "Review" where "bookId" = $1) where id = $1`,
				[book]
			);
		}
	},
	{
		weight: 3,
		run: async (db, random) =>
			db.query('update "User" set country = $2, bio = $3, "updatedAt" = now() where id = $1', [
				await someId(db, random, '"User"'),
				random.pick(COUNTRIES),
				remark(random)
			])
	},
	{
		weight: 2,
		run: async (db, random) =>
			db.query(
				`update customer set tier = $2, preferences = preferences || jsonb_build_object('genre', $3::text)
				 where id = $1`,
				[
					await someId(db, random, 'customer'),
					random.pick(['standard', 'silver', 'gold']),
					random.pick(GENRES)
				]
			)
	},
	{
		// A delivery fills up what runs low.
		weight: 1.5,
		run: (db, random) =>
			db.query('update stock set quantity = quantity + $1 where quantity < 5 and warehouse = $2', [
				random.between(20, 60),
				random.pick(WAREHOUSES)
			])
	},
	{
		// A cancelled order gives its books back.
		weight: 1.5,
		run: async (db, random) => {
			const { rows } = await db.query<{ id: string }>(
				`update orders set status = 'cancelled'
				 where id = (select id from orders where status in ('pending', 'paid') order by id desc limit 1)
				 returning id`
			);
			if (!rows[0]) return;
			await db.query(
				`update stock s set quantity = s.quantity + l.quantity from order_line l
				 where order_id = $1 and s.book_id = l.book_id and warehouse = $2`,
				[rows[0].id, random.pick(WAREHOUSES)]
			);
			await db.query('delete from payment where order_id = $1', [rows[0].id]);
		}
	},
	{ weight: 1, run: addBook },
	{ weight: 0.3, run: addAuthor },
	{
		// More go out of print, the fuller the shelves are.
		weight: 2,
		run: async (db, random) =>
			db.query(
				`update "Book" set discontinued = true
				 where id = $1 and $2::float8 * ${KEEP.books / 2} < (select count(*) from "Book" where not discontinued)`,
				[await someId(db, random, '"Book"'), random.next() * 2]
			)
	},
	{
		weight: 0.8,
		run: (db, random) =>
			db.query(
				`delete from "Review" where id = (select id from "Review" where rating < 3
					order by id offset $1 limit 1)`,
				[random.between(0, 20)]
			)
	},
	{
		// A sale of one genre; the next one ends it.
		weight: 0.3,
		run: (db, random) =>
			db.query(
				`update "Book" set price = case when price > 15 then round(price * 0.8, 2) else round(price * 1.3, 2) end,
				 "updatedAt" = now() where genre = $1`,
				[random.pick(GENRES)]
			)
	},
	{
		weight: 0.12,
		run: (db, random) =>
			db.query('update stock set counted_at = now() where warehouse = $1', [random.pick(WAREHOUSES)])
	},
	{ weight: 0.15, run: (db, random) => view(db, random, random.between(100, 300)) },
	{
		weight: 0.15,
		run: async (db) => {
			await db.query('truncate bestseller');
			await db.query(
				`insert into bestseller select row_number() over (order by sum(quantity) desc, book_id), book_id, sum(quantity)
				 from order_line group by book_id order by 1 limit 10`
			);
		}
	},
	{ weight: 0.4, run: tidy }
];

/** Fills an empty shop; a shop that has authors is left as it is. */
export async function stockShop(db: pg.ClientBase, random: Random): Promise<void> {
	const { rows } = await db.query<{ empty: boolean }>('select not exists (select from "User") as empty');
	if (!rows[0]!.empty) return;
	for (let i = 0; i < 30; i++) await addAuthor(db, random);
	for (let i = 0; i < 60; i++) {
		const person = name(random);
		await db.query('insert into customer (name, email) values ($1, $2)', [person, email(person, random)]);
	}
	for (let i = 0; i < 90; i++) await addBook(db, random);
}

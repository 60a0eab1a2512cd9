/**
 * One sitting at the screen: the connection, the view that is asked for, and what feeds the board.
 *
 * A view is loaded in one way, at the start, when it changes, and after an absence: `rates` and `history` say what was,
 * and name the tick they end with; the subscription goes on after exactly that tick.
 */

import { noTallies, type Buckets, type Tallies } from '../buckets.ts';
import { tableKey, tableLabel } from '../change.ts';
import { connect, Refused, type Client, type Link, type Subscription } from '../client/index.ts';
import { Delay } from '../delay.ts';
import { clockTime, duration } from '../format.ts';
import { differences } from '../schema.ts';
import { MAX_CHANGES, OPS } from '../protocol.ts';
import type {
	Change,
	Count,
	Gap,
	Hello,
	History,
	Position,
	Rates,
	State,
	TableInfo,
	TableName,
	TickMessage
} from '../protocol.ts';
import { filterOf, formatView, missingTables, parseView, type View } from '../view.ts';
import { fillable, oldestOf, type Transaction } from '../feed.ts';
import { Board, RATE_STEP_MS, RATE_STEPS } from './board.svelte.ts';
import { Counting } from './counting.svelte.ts';
import { Ledger } from './ledger.svelte.ts';
import { Player } from './player.svelte.ts';

/** Rows of the past that the ledger starts with. */
const PAGE = 200;
/** Numbers change this often: as fast as one can read them. */
const BEAT_MS = 250;
const RETRY_MS = 3000;
/** Pages of the log that are looked through for what one transaction did. */
const UNDO_PAGES = 20;
/** Pages that are looked through for one of a transaction. */
const FILL_PAGES = 5;
/** After a longer absence the view is loaded afresh, so that the chart has each row at its time. */
const BRIEF_MS = 3000;

export class Session {
	readonly board = new Board();
	readonly ledger = new Ledger(this.board, (card) => void this.#fill(card));
	readonly counting = new Counting(() => this.#client!);
	readonly player: Player;

	hello: Hello | null = $state.raw(null);
	tables: TableInfo[] = $state.raw([]);
	state: State | null = $state.raw(null);
	link: Link = $state.raw({ up: false, since: Date.now() });
	/** What the screen is asked to show. */
	view: View = $state.raw(parseView(new URLSearchParams()));
	/** Whether the past has been loaded for this view. */
	ready = $state(false);
	/** Why the view cannot be shown as asked; the last good one stays. */
	problem: string | null = $state(null);
	/** Ticks with the seconds; for what tells how long ago something was. */
	clock = $state(Date.now());
	/** The row that the address asks for, until it is open. */
	wanted: Position | null = null;
	/** The row that the address asked for cannot be had. */
	lost = $state(false);
	delay: { p50: number; p95: number } | null = $state.raw(null);

	#client: Client | null = null;
	#subscription: Subscription | null = null;
	#delay = new Delay();
	#round = 0;
	#beat: ReturnType<typeof setInterval> | undefined;
	#retry: ReturnType<typeof setTimeout> | undefined;

	constructor() {
		this.player = new Player(
			this.board,
			this.ledger,
			this.counting,
			() => this.#client!,
			() => this.filter
		);
	}

	/** The filter of the view, as the server takes it; without its text where the server does not. */
	get filter() {
		return filterOf(this.problem === null ? this.view : { ...this.view, where: '' }, this.tables);
	}

	/** Where what is shown can be had as a file: of the view, what can be shown of it. */
	exportAddress(format: string): string {
		const known = this.tables.map(tableKey);
		const there = (table: TableName) => known.includes(tableKey(table));
		const { tables, without, where } = this.view;
		const shown = formatView({
			...this.view,
			tables: tables.filter(there),
			without: without.filter(there),
			where: this.problem === null ? where : '',
			row: null,
			then: null
		});
		return `/export?format=${format}${shown.replace('?', '&')}`;
	}

	/** What of the view cannot be shown, in one sentence; null where all of it is. */
	get notice(): string | null {
		const missing = missingTables(this.view, this.tables).map(tableLabel);
		if (missing.length > 0) return `This database has no table ${missing.join(', ')}: showing the rest`;
		if (this.lost) return 'The log no longer holds the row of this link';
		if (this.player.stretch && this.player.empty) return 'The log holds nothing of this time';
		if (this.player.stretch && this.player.since)
			return `The log begins at ${clockTime(Date.parse(this.player.since))}`;
		return null;
	}

	/** Whether what is shown is the present and known to be whole. */
	get following(): boolean {
		return this.link.up && this.state?.database !== 'disconnected';
	}

	/** Milliseconds of the database's clock. */
	now(): number {
		return Date.now() - this.#delay.skew;
	}

	/** Connects; gives what ends the sitting. */
	start(): () => void {
		this.#client = connect('', {
			hello: (hello) => this.#welcome(hello),
			tables: (tables) => this.#tablesChanged(tables),
			state: (state) => (this.state = state),
			link: (link) => this.#linked(link)
		});
		this.#beat = setInterval(() => this.#tock(), BEAT_MS);
		return () => {
			clearInterval(this.#beat);
			clearTimeout(this.#retry);
			this.counting.stop();
			this.player.leave();
			this.#client?.close();
		};
	}

	/** Shows another view: one that filters otherwise or spans another time is loaded. */
	show(view: View): void {
		const before = JSON.stringify([this.filter, this.view.span.label]);
		if (view.where !== this.view.where) this.problem = null;
		this.view = view;
		if (!this.hello) return;
		const past = view.past;
		if (past) {
			if (before !== JSON.stringify([this.filter, view.span.label]) || !this.player.shows(past)) {
				this.#reload();
			}
			return;
		}
		const wasPast = this.player.stretch !== null;
		this.player.leave();
		if (wasPast || before !== JSON.stringify([this.filter, view.span.label])) void this.load();
	}

	/** Opens the row that the address asks for, as soon as the view is there; null closes the one that is open. */
	async openRow(row: Position | null): Promise<void> {
		this.wanted = row;
		this.lost = false;
		if (!row) return this.ledger.close();
		if (!this.ready) return;
		try {
			const after = { tick: row.tick, seq: String(BigInt(row.seq) - 1n) };
			const { changes } = await this.#client!.history({ after, order: 'asc', limit: 1 });
			if (this.wanted !== row) return;
			const [change] = changes;
			if (change?.tick === row.tick && change.seq === row.seq) this.ledger.show(change);
			else this.lost = true;
		} catch {
			this.lost = true;
		}
		if (this.wanted === row) this.wanted = null;
	}

	/** Fetches a row's life, newest first; the newest `limit` of it. */
	async life(change: { schema: string; table: string; key: Record<string, string | null> }, limit = 200) {
		const { schema, table, key } = change;
		return (await this.#client!.row({ schema, table, key, limit })).changes;
	}

	/** Fetches a page of what was done to a table, newest first; of what came before a position where one is given. */
	tablePast({ schema, table }: TableName, before: Position | null): Promise<History> {
		const ops = OPS.filter((op) => op !== 'REFERENCE');
		const filter = { tables: [{ schema, table }], ops };
		return this.#client!.history({
			filter,
			...(before ? { before } : {}),
			limit: MAX_CHANGES,
			order: 'desc'
		});
	}

	/**
	 * Fetches what a change's transaction did, whatever the view leaves out, in the order in which it was done; not
	 * `whole` where that is more than a script is read for, or no longer all in the log.
	 */
	async transaction({ tick, tx, seq }: Change): Promise<{ changes: Change[]; whole: boolean }> {
		const changes: Change[] = [];
		let next: Position | null = { tick, seq: '0' };
		for (let pages = 0; next?.tick === tick && pages < UNDO_PAGES; pages++) {
			const page: History = await this.#client!.history({ after: next, order: 'asc', limit: MAX_CHANGES });
			changes.push(...page.changes.filter((change) => change.tick === tick && change.tx === tx));
			next = page.changes.at(-1)?.tick === tick || page.changes.length === 0 ? page.next : null;
		}
		return { changes, whole: next?.tick !== tick && changes.some((change) => change.seq === seq) };
	}

	/** Loads older history below what the ledger holds; false where there is none. */
	async older(): Promise<boolean> {
		const oldest = this.board.feed.oldest();
		if (!oldest || !this.#client) return false;
		const { changes } = await this.#client.history({ filter: this.filter, before: oldest, limit: PAGE });
		this.ledger.extend(changes.toReversed());
		return changes.length > 0;
	}

	/** Loads a page of what a transaction's card leaves out; what others wrote in the same tick is passed over. */
	async #fill(card: Transaction): Promise<void> {
		if (!fillable(card)) return;
		const { feed } = this.board;
		const mark = (loading: boolean) => {
			card.loading = loading;
			card.lines = null;
			this.board.touch();
		};
		mark(true);
		try {
			const held = card.changes.length;
			for (let pages = 0; pages < FILL_PAGES && card.omitted > 0 && card.changes.length === held; pages++) {
				const before = card.next ?? oldestOf(card);
				const page = await this.#client!.history({ filter: this.filter, before, limit: MAX_CHANGES });
				feed.fill(card, page.changes.toReversed(), page.next);
			}
		} catch {
			// The offer stands; asking again tries again.
		} finally {
			mark(false);
		}
	}

	/** Loads the present. `keep` leaves what the ledger holds and adds what is new. */
	async load(keep = false): Promise<void> {
		const client = this.#client!;
		const epoch = this.hello!.epoch;
		const round = ++this.#round;
		clearTimeout(this.#retry);
		this.#subscription?.close();
		this.counting.stop();
		const { filter } = this;
		const sums = { ...filter, where: undefined };
		const { ms, stepMs } = this.view.span;
		const now = this.now();
		const to = (Math.floor(now / stepMs) + 1) * stepMs;
		try {
			const [rates, recent, history] = await Promise.all([
				client.rates({ from: iso(to - ms), to: iso(to), buckets: ms / stepMs, filter: sums }),
				client.rates({
					from: iso(now - RATE_STEP_MS * RATE_STEPS),
					to: iso(now),
					buckets: RATE_STEPS,
					filter: sums
				}),
				client.history({ filter, limit: PAGE, order: 'desc' })
			]);
			if (round !== this.#round) return;
			const { board } = this;
			board.clear(stepMs, ms / stepMs, now);
			const end = BigInt(rates.tick);
			const counted = history.changes.filter(({ tick }) => BigInt(tick) <= end).reverse();
			if (keep) board.feed.catchUp(counted, performance.now());
			else {
				board.feed.reset(counted);
				this.ledger.follow();
			}
			this.#becomeReady();
			this.#follow({ epoch, tick: rates.tick }, filter);
			board.touch();
			const put = (buckets: Buckets) => (counts: Rates) => {
				buckets.fill(Date.parse(counts.from), counts.stepMs, counts.series);
				board.beat++;
			};
			const jobs = [[recent, put(board.recent)] as const, [rates, put(board.window)] as const];
			if (filter.where === undefined) for (const [counts, put] of jobs) put(counts);
			else void this.counting.count(filter, rates.tick, ...jobs);
		} catch (error) {
			if (round !== this.#round) return;
			this.#failed(error);
		}
	}

	/** Loads the view anew, present or past. */
	#reload(): void {
		const { past } = this.view;
		if (!past) return void this.load();
		this.#subscription?.close();
		this.player.open(past).then(
			() => this.#becomeReady(),
			(error: unknown) => this.#failed(error)
		);
	}

	#becomeReady(): void {
		this.ready = true;
		if (this.wanted) void this.openRow(this.wanted);
	}

	#failed(error: unknown): void {
		const refused = error instanceof Refused ? error.code : 'UNAVAILABLE';
		if (refused === 'BAD_REQUEST' && this.view.where && this.problem === null) {
			this.problem = (error as Error).message;
			return this.#reload();
		}
		if (refused === 'BAD_REQUEST' || refused === 'NOT_FOUND') this.problem = (error as Error).message;
		else this.#retry = setTimeout(() => this.hello && this.link.up && void this.load(true), RETRY_MS);
		// The present needs no past: it is followed meanwhile.
		if (!this.view.past && this.hello && refused !== 'BAD_REQUEST')
			this.#follow({ epoch: this.hello.epoch, tick: this.hello.head }, this.filter);
	}

	#follow(after: { epoch: string; tick: string }, filter: ReturnType<typeof filterOf>): void {
		this.#subscription = this.#client!.subscribe(
			{ filter, after },
			{
				tick: (message) => this.#receive(message),
				gap: (gap) => this.#missed(gap),
				error: (error) => (this.problem = error.message)
			}
		);
	}

	#receive(message: TickMessage): void {
		const last = message.changes.findLast(({ op }) => op !== 'REFERENCE');
		if (message.counts.length > 0)
			this.#delay.note(Date.parse(message.at), last ? Date.parse(last.at) : null, Date.now());
		const matched = message.matched ?? message.counts;
		this.board.apply({ ...message, counts: matched });
		for (const { op, rows } of matched) this.#summary[op] += rows;
		this.ledger.await(rowsOf(message.counts), rowsOf(matched));
	}

	#welcome(hello: Hello): void {
		const before = this.hello;
		this.hello = hello;
		this.tables = hello.tables;
		if (!before) {
			return this.#reload();
		}
		const away = Date.now() - this.#lost;
		const sameLog = before.epoch === hello.epoch;
		if (!sameLog)
			this.#note(
				'gap',
				'Another log: the database was restored, failed over, or installed anew. Starting afresh.'
			);
		else if (away > BRIEF_MS) this.#note('quiet', `Connected again after ${duration(away)}`);
		else return;
		if (!this.view.past) void this.load(sameLog);
	}

	/** Rows by op since this was last asked. */
	takeSummary(): Tallies {
		const taken = this.#summary;
		this.#summary = noTallies();
		return taken;
	}

	#summary = noTallies();

	#tablesChanged(tables: TableInfo[]): void {
		for (const text of differences(this.tables, tables)) this.#note('quiet', text);
		const before = JSON.stringify(this.filter);
		this.tables = tables;
		// Leaving a table out means asking for all others: there may be others now.
		if (this.ready && !this.view.past && JSON.stringify(this.filter) !== before) void this.load(true);
	}

	/** When the connection broke. */
	#lost = Date.now();

	#linked(link: Link): void {
		// While it stays down, attempts that fail change nothing about since when.
		if (link.up || this.link.up) this.link = link;
		else this.link = { ...this.link, reason: link.reason };
		if (!link.up && this.link.since === link.since) this.#lost = link.since;
	}

	#missed(gap: Gap): void {
		const texts = {
			pruned: 'Changes from here on back are no longer kept: some are missing.',
			epoch: 'Another log: what happened in between cannot be shown.',
			capture: 'Some changes could not be captured.'
		};
		this.#note('gap', texts[gap.reason]);
	}

	#note(tone: 'gap' | 'quiet', text: string): void {
		this.board.feed.note(tone, text, iso(this.now()), performance.now());
		this.board.touch();
	}

	#tock(): void {
		if (Date.now() - this.clock >= 1000) this.clock = Math.floor(Date.now() / 1000) * 1000;
		const p50 = this.#delay.percentile(0.5);
		if (p50 !== null) this.delay = { p50, p95: this.#delay.percentile(0.95)! };
		// Of a time in which nothing could be heard, nothing is known: the chart waits.
		if (this.ready && !this.view.past && this.following) this.board.advance(this.now());
	}

	/** How things stand, in one sentence. */
	status(now: number): string {
		if (this.link.reason === 'UNAUTHORIZED') return 'The server asks for a token';
		if (!this.hello) return 'Connecting';
		if (!this.link.up) return `Server away for ${duration(now - this.link.since)}, reconnecting`;
		const since = duration(Math.max(0, now - Date.parse(this.state?.since ?? '')) || 0);
		if (this.state?.database === 'disconnected') return `Database away for ${since}, reconnecting`;
		if (this.player.stretch)
			return `Replaying ${clockTime(this.player.stretch.from)} to ${clockTime(this.player.stretch.to)}`;
		if (this.state?.database === 'catching-up') return `Catching up for ${since}`;
		return 'Following';
	}
}

/** Rows that were written, of these counts. */
function rowsOf(counts: readonly Count[]): number {
	return counts.reduce((sum, { op, rows }) => (op === 'REFERENCE' ? sum : sum + rows), 0);
}

function iso(ms: number): string {
	return new Date(ms).toISOString();
}

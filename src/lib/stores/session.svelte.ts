/**
 * One sitting at the screen: the connection, the view that is asked for, and who puts it on the board.
 *
 * A view is loaded in one way, at the start, when it changes, and after an absence: by `Present` or, where it names a
 * stretch of the past, by `Player`.
 */

import { tableKey } from '../change.ts';
import { connect, Refused, type Client, type Link } from '../client/index.ts';
import { duration, iso } from '../format.ts';
import {
	STOPPED,
	type Gap,
	type Hello,
	type Position,
	type State,
	type TableInfo,
	type TableName
} from '../protocol.ts';
import { differences, renames } from '../schema.ts';
import { filterOf, formatView, missingTables, parseView, type View } from '../view.ts';
import { Archive } from './archive.ts';
import { Board } from './board.svelte.ts';
import { Counting, RETRY_MS } from './counting.svelte.ts';
import { Ledger } from './ledger.svelte.ts';
import { Player } from './player.svelte.ts';
import { Present } from './present.ts';
import { absence } from './standing.ts';

/** Numbers change this often: as fast as one can read them. */
const BEAT_MS = 250;
/** After a longer absence the view is loaded afresh, so that the chart has each row at its time. */
const BRIEF_MS = 3000;

export class Session {
	readonly board = new Board();
	readonly archive: Archive;
	readonly ledger: Ledger;
	readonly counting: Counting;
	readonly player: Player;
	readonly present: Present;

	hello: Hello | null = $state.raw(null);
	tables: TableInfo[] = $state.raw([]);
	state: State | null = $state.raw(null);
	link: Link = $state.raw({ up: false, since: Date.now() });
	/** What the screen is asked to show. */
	view: View = $state.raw(parseView(new URLSearchParams()));
	/** Whether the past has been loaded for this view. */
	ready = $state(false);
	/** The view is asked for and not there yet; what is shown is of the one before. */
	unloaded = $state(false);
	/** The view could not be loaded: it is asked for again and again. */
	failing = $state(false);
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
	/** What the board holds is of another view or log: nothing of it is kept. */
	#stale = true;
	/** What is told above the view that is on its way. */
	#news: [tone: 'gap' | 'quiet', text: string][] = [];
	/** When the connection broke. */
	#lost = Date.now();
	#beat: ReturnType<typeof setInterval> | undefined;
	#retry: ReturnType<typeof setTimeout> | undefined;

	constructor() {
		const client = () => this.#client!;
		const filter = () => this.filter;
		this.archive = new Archive(this.board, client, filter);
		this.ledger = new Ledger(this.board, (card) => this.archive.fill(card));
		this.counting = new Counting(client);
		this.player = new Player(this.board, this.ledger, this.counting, client, filter);
		this.present = new Present(this.board, this.ledger, this.counting, client, {
			gap: (gap) => this.#missed(gap),
			refused: (error) => (this.problem = error.message)
		});
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

	/** Whether what is shown is the present and known to be whole. */
	get following(): boolean {
		return absence(this) === null;
	}

	/** Whether the board holds something of what is asked for: of a stretch of the past nothing until it is loaded. */
	get loaded(): boolean {
		return this.ready && !(this.unloaded && this.player.stretch);
	}

	/** The server is there, and has come to ask for a token. */
	get locked(): boolean {
		return this.link.reason === 'UNAUTHORIZED';
	}

	/** Rows a second just now, of what `rows` picks; null while nothing can be heard. */
	rate(rows: number): number | null {
		return this.loaded && (this.player.stretch || this.following) ? this.board.rate(rows) : null;
	}

	/** Connects; gives what ends the sitting. */
	start(): () => void {
		this.#client = connect('', {
			hello: (hello) => this.#welcome(hello),
			tables: (tables) => this.#tablesChanged(tables),
			state: (state) => this.#stateChanged(state),
			link: (link) => this.#linked(link)
		});
		this.#beat = setInterval(() => this.#tock(), BEAT_MS);
		return () => {
			clearInterval(this.#beat);
			clearTimeout(this.#retry);
			this.present.leave();
			this.player.leave();
			this.#client?.close();
		};
	}

	/** Shows another view: one that filters otherwise or spans another time is loaded. */
	show(view: View): void {
		const before = JSON.stringify([this.filter, this.view.span.label]);
		if (view.where !== this.view.where) this.problem = null;
		const stays = JSON.stringify(view.past) === JSON.stringify(this.view.past);
		this.view = view;
		if (!this.hello) return;
		const past = view.past;
		if (past) {
			if (before !== JSON.stringify([this.filter, view.span.label]) || !this.player.shows(past)) {
				this.#ask();
				this.#reload(stays ? this.player.here(past) : past);
			}
			return;
		}
		const wasPast = this.player.stretch !== null;
		this.player.leave();
		if (!wasPast && before === JSON.stringify([this.filter, view.span.label])) return;
		this.#ask();
		void this.load();
	}

	#ask(): void {
		this.#stale = true;
		this.ledger.ask();
	}

	/** Comes to an address: of it, what the screen else moves by itself, the playhead and the row that is open. */
	async arrive(view: View): Promise<void> {
		const { past, row } = view;
		this.wanted = row;
		this.show(view);
		if (past && this.player.shows(past)) await this.player.moveTo(past);
		await this.openRow(row);
	}

	/** Opens the row that the address asks for, as soon as the view is there; null closes the one that is open. */
	async openRow(row: Position | null): Promise<void> {
		this.wanted = row;
		this.lost = false;
		if (!row) return this.ledger.close();
		// Of a view that is not there yet, it is opened with it.
		if (!this.ready || this.unloaded) return;
		try {
			const change = await this.archive.change(row);
			if (this.wanted !== row) return;
			if (change) this.ledger.show(change);
			else this.lost = true;
		} catch {
			this.lost = true;
		}
		if (this.wanted === row) this.wanted = null;
	}

	/** Loads the present; adds what is new to what the ledger holds, where that is of the same view. */
	async load(): Promise<void> {
		clearTimeout(this.#retry);
		this.unloaded = true;
		try {
			const loaded = this.present.load(this.hello!, this.filter, this.view.span, !this.#stale);
			if (await loaded) this.#becomeReady();
		} catch (error) {
			this.#failed(error);
		}
	}

	/** Loads the view anew, present or past. */
	#reload(past = this.view.past): void {
		if (!past) return void this.load();
		this.unloaded = true;
		this.present.leave();
		this.player.open(past).then(
			() => this.#becomeReady(),
			(error: unknown) => this.#failed(error)
		);
	}

	#becomeReady(): void {
		this.ready = true;
		this.unloaded = this.failing = this.#stale = false;
		for (const [tone, text] of this.#news) this.#note(tone, text);
		this.#news = [];
		if (this.wanted) void this.openRow(this.wanted);
	}

	#failed(error: unknown): void {
		const refused = error instanceof Refused ? error.code : 'UNAVAILABLE';
		if (refused === 'BAD_REQUEST' && this.view.where && this.problem === null) {
			this.problem = (error as Error).message;
			this.#stale = true;
			return this.#reload();
		}
		if (refused === 'BAD_REQUEST' || refused === 'NOT_FOUND') this.problem = (error as Error).message;
		else {
			this.failing = true;
			this.#retry = setTimeout(() => this.hello && this.link.up && this.#reload(), RETRY_MS);
		}
		// The present needs no past: it is followed meanwhile.
		if (!this.view.past && this.hello && refused !== 'BAD_REQUEST')
			this.present.goOn({ epoch: this.hello.epoch, tick: this.hello.head }, this.filter);
	}

	#welcome(hello: Hello): void {
		const { hello: before, tables: known } = this;
		this.hello = hello;
		this.tables = this.board.feed.tables = hello.tables;
		if (!before) return this.#reload();
		const away = Date.now() - this.#lost;
		if (before.epoch !== hello.epoch) {
			const text = 'Another log: the database was restored, failed over, or installed anew. Starting afresh.';
			this.#news = [['gap', text]];
			this.#ask();
			// A position means another one there.
			const { past } = this.view;
			if (past) this.view = { ...this.view, past: { ...past, place: null } };
			return this.#reload();
		}
		if (renames(known, hello.tables).length > 0) {
			this.#news.push(['quiet', `Connected again after ${duration(away)}`]);
			return this.#renew(known);
		}
		if (away > BRIEF_MS) this.#note('quiet', `Connected again after ${duration(away)}`);
		else if (!this.unloaded) return;
		if (this.unloaded) this.#reload();
		else if (!this.view.past) void this.load();
	}

	#stateChanged(state: State): void {
		if (state.message === STOPPED) return;
		const before = this.state;
		this.state = state;
		if (!before || (before.database === 'disconnected') === (state.database === 'disconnected')) return;
		const since = Date.parse(state.since) - Date.parse(before.since);
		if (state.database === 'disconnected') this.#note('quiet', 'The database is away');
		else this.#note('quiet', `The database is back after ${duration(since)}`);
	}

	#tablesChanged(tables: TableInfo[]): void {
		const known = this.tables;
		const before = JSON.stringify(this.filter);
		const missing = () => JSON.stringify(missingTables(this.view, this.tables));
		const lacked = missing();
		this.tables = this.board.feed.tables = tables;
		if (renames(known, tables).length > 0) return this.#renew(known);
		for (const text of differences(known, tables)) this.#note('quiet', text);
		// Leaving a table out means asking for all others: there may be others now.
		// Where a chosen table went or came, what is shown is of another filter.
		// Also where that is still on its way: what is on its way would be taken for what was asked for.
		if (this.view.past || JSON.stringify(this.filter) === before) return;
		if (missing() !== lacked) this.#stale = true;
		void this.load();
	}

	/** Loads what is shown anew, because it goes by other names; what is read and where it plays stay. */
	#renew(known: TableInfo[]): void {
		for (const text of differences(known, this.tables)) this.#news.push(['quiet', text]);
		const { past } = this.view;
		const { open } = this.ledger;
		if (open) this.wanted = { tick: open.tick, seq: open.seq };
		this.#stale = true;
		this.ledger.stay();
		this.#reload(past && this.player.here(past));
	}

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
		this.board.feed.note(tone, text, iso(this.present.now()), performance.now());
		this.board.touch();
	}

	#tock(): void {
		if (Date.now() - this.clock >= 1000) this.clock = Math.floor(Date.now() / 1000) * 1000;
		const { delay } = this.present;
		const p50 = delay.percentile(0.5);
		if (p50 !== null) this.delay = { p50, p95: delay.percentile(0.95)! };
		// Of a time in which nothing could be heard, nothing is known: the chart waits.
		if (this.ready && !this.view.past && this.following) this.board.advance(this.present.now());
	}
}

/**
 * Replay: a playhead over a stretch of the past that feeds the board as the present would.
 *
 * The counts of the whole stretch are fetched at once, in fine steps; changes come in pages ahead of the playhead. Where
 * more happens than anyone could read at this speed, the playhead does not wait: the newest before it are shown, the
 * rest told as left out. Counters and chart stay exact either way.
 */

import type { Client } from '../client/index.ts';
import type { Change, Count, Filter, Position, Rates } from '../protocol.ts';
import type { Stretch } from '../view.ts';
import { addSeries } from '../pieces.ts';
import type { Board } from './board.svelte.ts';
import type { Counting } from './counting.svelte.ts';
import type { Ledger } from './ledger.svelte.ts';

export const SPEEDS = [0.5, 1, 5, 20, 60] as const;

/** Fine steps of a stretch, and the coarser ones of the chart. */
const STEPS = 900;
const BARS = 150;
const PAGE = 1000;
/** Fetch ahead when fewer changes than this are left. */
const LOW = 400;
/** Above so many changes a second of the player's time, they are sampled. */
const READABLE = 800;
const SAMPLE = 100;
const SAMPLE_EVERY_MS = 600;
const SEEK_SETTLES_MS = 120;
/** So much of the player's time is left of a silence that is passed over. */
const QUIET_LEAD_MS = 500;

export class Player {
	/** The stretch that is open; null while the present is shown. */
	stretch: { from: number; to: number } | null = $state.raw(null);
	/** The moment of the playhead, milliseconds of the database's clock. */
	at = $state(0);
	playing = $state(false);
	speed: number = $state(1);
	loading = $state(false);
	/** Whether the log holds no tick of the stretch: it was pruned, or the log is younger. */
	empty = $state(false);
	/** When what the log holds begins, where that is within the stretch. */
	since: string | null = $state(null);
	/** Counts single steps: two of them may stand at the same moment. */
	moves = $state(0);
	/** Whether stretches in which nothing happens are passed over. */
	skipsQuiet = $state(false);
	/** Told where the playhead came to rest. */
	onrest: (at: number) => void = () => {};
	/** The stretch that is opened next begins to play. */
	playWhenOpen = false;
	/** The playhead goes to this change in the stretch that is opened next. */
	goToWhenOpen: Change | null = null;

	/** What the filter matches; where that has a condition on values, as far as it is counted. */
	#rates: Rates | null = null;
	/** The same of its tables and ops. */
	#all: Rates | null = null;
	/** Fine steps whose counts are on the board. */
	#applied = 0;
	#queue: { position: number; change: Change }[] = [];
	#next: Position | null = null;
	/** What stands before this has been shown. */
	#shown: Position = { tick: '0', seq: '0' };
	/** The playhead stands at `#shown`, within a tick it may be, rather than at a moment. */
	#stepped = false;
	#fetching = false;
	#sampledAt = 0;
	#round = 0;
	/** Openings, of which the last counts. */
	#opened = 0;
	#frame = 0;
	#last = 0;
	#settle: ReturnType<typeof setTimeout> | undefined;

	constructor(
		readonly board: Board,
		readonly ledger: Ledger,
		readonly counting: Counting,
		readonly client: () => Client,
		readonly filter: () => Filter
	) {}

	/** Whether this stretch is the one that is open. */
	shows({ from, to }: Stretch): boolean {
		return this.stretch?.from === from && this.stretch.to === to;
	}

	/** Opens a stretch with the playhead at its `at`, standing still. */
	async open({ from, to, at }: Stretch): Promise<void> {
		const wasPlaying = this.playing && this.shows({ from, to, at });
		this.pause();
		const opening = ++this.#opened;
		this.#round++;
		this.counting.stop();
		this.loading = true;
		this.stretch = { from, to };
		this.at = at;
		try {
			const filter = this.filter();
			const all = await this.client().rates({
				from: iso(from),
				to: iso(to),
				buckets: STEPS,
				filter: { ...filter, where: undefined }
			});
			if (opening !== this.#opened) return;
			this.#all = all;
			this.#rates = filter.where === undefined ? all : { ...all, series: [] };
			this.empty = all.after === all.tick;
			this.since = all.since ?? null;
			const wanted = this.goToWhenOpen;
			this.goToWhenOpen = null;
			if (wanted) await this.goTo(wanted);
			else await this.#place(this.playWhenOpen ? this.#firstActivity() : at);
			if (opening !== this.#opened) return;
			if (filter.where !== undefined)
				void this.counting.count(filter, all.tick, [all, (piece) => this.#found(piece)]);
			if (wanted) return;
			if (wasPlaying || this.playWhenOpen) this.play();
			this.playWhenOpen = false;
		} finally {
			if (opening === this.#opened) this.loading = false;
		}
	}

	/** Gives the board back to the present. */
	leave(): void {
		this.pause();
		this.#round++;
		this.#opened++;
		this.counting.stop();
		clearTimeout(this.#settle);
		this.stretch = null;
		this.#rates = null;
		this.#queue = [];
	}

	play(): void {
		if (!this.stretch || this.playing) return;
		if (this.at >= this.stretch.to) void this.#place(this.stretch.from);
		this.playing = true;
		this.#stepped = false;
		this.#last = performance.now();
		this.#frame = requestAnimationFrame((now) => this.#advance(now));
	}

	/** Where the playhead stands in the log: all that comes before this has happened. */
	async position(): Promise<Position> {
		if (this.#stepped) return this.#shown;
		if (this.at <= this.stretch!.from) return { tick: String(BigInt(this.#rates!.after) + 1n), seq: '0' };
		return { tick: String((await this.#tickAt(this.at)) + 1n), seq: '0' };
	}

	pause(): void {
		this.playing = false;
		cancelAnimationFrame(this.#frame);
	}

	toggle(): void {
		if (this.playing) {
			this.pause();
			this.onrest(Math.round(this.at));
		} else this.play();
	}

	/** Moves the playhead: the numbers at once, the ledger as soon as the hand rests. */
	seek(to: number): void {
		if (!this.stretch || !this.#rates) return;
		this.at = Math.max(this.stretch.from, Math.min(this.stretch.to, to));
		this.#stepped = false;
		this.#count();
		clearTimeout(this.#settle);
		this.#round++;
		this.#settle = setTimeout(() => {
			void this.#place(this.at);
			if (!this.playing) this.onrest(Math.round(this.at));
		}, SEEK_SETTLES_MS);
	}

	/**
	 * Moves to the next change of the stretch, or the one before, alone or with those beside it of the same transaction
	 * (back: at most a page of them).
	 */
	async step(by: 1 | -1, what: 'change' | 'transaction'): Promise<void> {
		if (!this.stretch || !this.#rates || this.loading) return;
		this.pause();
		const detailed = this.ledger.open !== null;
		if (this.ledger.stance !== 'live') this.ledger.follow();
		const newest = by > 0 ? await this.#forward(what) : await this.#back(what);
		if (!newest) return;
		this.#stepped = true;
		this.moves++;
		this.board.recent.advance(this.at);
		this.board.beat++;
		// An open detail goes along.
		if (detailed) this.ledger.open = newest;
		this.onrest(Math.round(this.at));
	}

	/** Moves to just after a change of the stretch, and opens it. */
	async goTo(change: Change): Promise<void> {
		if (!this.stretch || !this.#rates) return;
		this.pause();
		clearTimeout(this.#settle);
		const round = ++this.#round;
		const { tick, seq } = change;
		const before = { tick, seq: String(BigInt(seq) + 1n) };
		const page = await this.client().history({ filter: this.filter(), before, limit: 200, order: 'desc' });
		if (round !== this.#round) return;
		this.ledger.follow();
		this.at = Math.max(this.stretch.from, Math.min(this.stretch.to, Date.parse(change.at)));
		this.#rewind(
			page.changes.filter((held) => BigInt(held.tick) > BigInt(this.#rates!.after)),
			before,
			{ tick, seq }
		);
		this.#stepped = true;
		this.moves++;
		this.ledger.open = change;
		this.board.recent.advance(this.at);
		this.board.beat++;
		this.onrest(Math.round(this.at));
	}

	/** Shows these changes, newest first; what comes before `shown` has been shown, `next` is where reading goes on. */
	#rewind(changes: Change[], shown: Position, next: Position): void {
		this.#count();
		this.#queue = [];
		this.#shown = shown;
		this.#next = next;
		this.board.feed.reset(changes.toReversed());
		this.board.touch();
	}

	async #forward(what: 'change' | 'transaction'): Promise<Change | undefined> {
		if (this.#queue.length < 2) await this.#fetch();
		const first = this.#queue[0];
		if (!first) return;
		const run = what === 'change' ? 1 : runOf(this.#queue.map(({ change }) => change));
		const changes = this.#queue.splice(0, run).map(({ change }) => change);
		this.at = Math.min(this.stretch!.to, Math.max(this.at, first.position));
		this.#applyCounts();
		this.#push(changes, 0);
		return changes.at(-1);
	}

	async #back(what: 'change' | 'transaction'): Promise<Change | undefined> {
		const round = ++this.#round;
		const page = await this.client().history({
			filter: this.filter(),
			before: this.#shown,
			limit: PAGE,
			order: 'desc'
		});
		if (round !== this.#round) return;
		const held = page.changes.filter(({ tick }) => BigInt(tick) > BigInt(this.#rates!.after));
		const run = what === 'change' ? 1 : runOf(held);
		const first = held[run - 1];
		if (!first) return;
		const left = held.slice(run, run + 200);
		const newest = left[0];
		const last = Math.max(this.stretch!.from, Date.parse(newest?.at ?? '') || 0);
		this.at = Math.min(this.at, last);
		const { tick, seq } = first;
		this.#rewind(left, { tick, seq }, { tick, seq: String(BigInt(seq) - 1n) });
		return newest;
	}

	/** The stretch's rows of an op in the chart's steps, beyond the playhead too. */
	outline(): number[] {
		const rows = new Array<number>(this.board.window.size).fill(0);
		const { stepMs, size, from } = this.board.window;
		for (const series of this.#rates?.series ?? []) {
			if (series.op === 'REFERENCE') continue;
			series.rows.forEach((value, i) => {
				const bar = Math.floor((Date.parse(this.#rates!.from) + i * this.#rates!.stepMs - from) / stepMs);
				if (bar >= 0 && bar < size) rows[bar]! += value;
			});
		}
		return rows;
	}

	/** Just before the first change of the stretch: nobody wants to watch the silence before it. */
	#firstActivity(): number {
		const { series, stepMs, from } = this.#all!;
		const first = Math.min(
			...series.map(({ rows }) => rows.findIndex((value) => value > 0)).filter((i) => i >= 0)
		);
		const start = this.stretch!.from;
		return Number.isFinite(first) ? Math.max(start, Date.parse(from) + first * stepMs - 500) : start;
	}

	/** Shows everything as it was at `at`. */
	async #place(at: number): Promise<void> {
		const rates = this.#rates!;
		const round = ++this.#round;
		this.at = at;
		this.#stepped = false;
		this.#count();
		this.#queue = [];
		this.#next = this.#shown = { tick: String(BigInt(rates.after) + 1n), seq: '0' };
		this.ledger.follow();
		let shown: Change[] = [];
		if (at > this.stretch!.from) {
			const tick = await this.#tickAt(at);
			if (round !== this.#round) return;
			const before = { tick: String(tick + 1n), seq: '0' };
			const page = await this.client().history({ filter: this.filter(), before, limit: 200, order: 'desc' });
			if (round !== this.#round) return;
			shown = page.changes.filter((change) => BigInt(change.tick) > BigInt(rates.after)).reverse();
			this.#next = this.#shown = before;
		}
		this.board.feed.reset(shown);
		this.board.touch();
		this.board.beat++;
	}

	/** Takes a piece of what matches. */
	#found(piece: Rates): void {
		addSeries(this.#rates!.series, this.#rates!, piece);
		this.#count();
		this.board.beat++;
	}

	/** Counts the stretch up to the playhead anew. */
	#count(): void {
		const { from, to } = this.stretch!;
		const { board } = this;
		const stepMs = Math.max(1, Math.ceil((to - from) / BARS));
		// The window's steps are counted from 1970: aligned to them, the stretch lies within one more than BARS.
		board.clear(stepMs, Math.floor((to - 1) / stepMs) - Math.floor(from / stepMs) + 1, to - 1, this.at);
		this.#applied = 0;
		this.#applyCounts();
	}

	/** Puts the fine steps that end before the playhead on the board. */
	#applyCounts(): void {
		const { series, stepMs, from } = this.#rates!;
		const start = Date.parse(from);
		const until = this.at >= this.stretch!.to ? STEPS : Math.floor((this.at - start) / stepMs);
		for (; this.#applied < until; this.#applied++) {
			const i = this.#applied;
			const counts: Count[] = [];
			for (const { schema, table, op, rows } of series)
				if (rows[i]) counts.push({ schema, table, op, rows: rows[i] });
			if (counts.length === 0) continue;
			this.board.window.add(start + i * stepMs, counts);
			this.board.recent.add(start + i * stepMs, counts);
		}
		this.board.now = this.at;
	}

	#advance(now: number): void {
		if (!this.playing || !this.stretch) return;
		const passed = Math.min(250, now - this.#last);
		this.#last = now;
		const dense = this.#density() > READABLE;
		const waits = !dense && this.#queue.length === 0 && this.#fetching;
		if (!waits && !this.loading) this.at = Math.min(this.stretch.to, this.at + passed * this.speed);
		if (this.skipsQuiet && !dense && !this.#fetching && !this.loading) this.#skip();
		this.#applyCounts();
		if (dense) void this.#takeSample(now);
		else {
			this.#deliver();
			void this.#fetch();
		}
		if (Math.floor(now / 200) !== Math.floor((now - passed) / 200)) {
			this.board.recent.advance(this.at);
			this.board.feed.settle(performance.now());
			this.board.beat++;
		}
		const over =
			this.at >= this.stretch.to && (dense || (this.#queue.length === 0 && !this.#next && !this.#fetching));
		if (over) {
			this.board.beat++;
			this.pause();
		} else this.#frame = requestAnimationFrame((later) => this.#advance(later));
	}

	/** Changes a second of the player's time that lie ahead. */
	#density(): number {
		const { series, stepMs, from } = this.counting.since === null ? this.#rates! : this.#all!;
		const first = Math.floor((this.at - Date.parse(from)) / stepMs);
		const steps = Math.max(1, Math.ceil((this.speed * 1000) / stepMs));
		let rows = 0;
		for (const { rows: counts } of series) for (let i = first; i < first + steps; i++) rows += counts[i] ?? 0;
		return rows / ((steps * stepMs) / (this.speed * 1000));
	}

	/** Hands over the changes that the playhead has passed, whole ticks at a time. */
	#deliver(): void {
		let due = 0;
		while (due < this.#queue.length && (this.#queue[due]!.position <= this.at || this.at >= this.stretch!.to))
			due++;
		if (due === 0) return;
		const changes = this.#queue.splice(0, due).map(({ change }) => change);
		this.#push(changes, 0);
	}

	/** Over a silence to just before what comes next. */
	#skip(): void {
		const next = this.#queue[0]?.position ?? (this.#next ? this.at : this.stretch!.to);
		const lead = QUIET_LEAD_MS * this.speed;
		if (next - this.at > 2 * lead) this.at = next - lead;
	}

	#push(changes: Change[], omitted: number): void {
		const last = changes.at(-1);
		if (last) this.#shown = { tick: last.tick, seq: String(BigInt(last.seq) + 1n) };
		this.board.feed.push({ at: iso(this.at), changes, omitted }, performance.now());
		this.ledger.await(changes.length + omitted, changes.length + omitted);
		this.board.touch();
	}

	async #fetch(): Promise<void> {
		if (this.#fetching || !this.#next || this.#queue.length > LOW) return;
		this.#fetching = true;
		const round = this.#round;
		const last = BigInt(this.#rates!.tick);
		try {
			const page = await this.client().history({
				filter: this.filter(),
				after: this.#next,
				order: 'asc',
				limit: PAGE
			});
			if (round !== this.#round) return;
			const changes = page.changes.filter(({ tick }) => BigInt(tick) <= last);
			this.#next = changes.length < page.changes.length ? null : page.next;
			let position = this.#queue.at(-1)?.position ?? -Infinity;
			const added = changes.map((change) => ({
				position: (position = Math.max(position, Date.parse(change.at))),
				change
			}));
			// A tick became visible at once: all of it stands where its last change does.
			for (let i = added.length - 2; i >= 0; i--)
				if (added[i]!.change.tick === added[i + 1]!.change.tick) added[i]!.position = added[i + 1]!.position;
			this.#queue.push(...added);
		} finally {
			this.#fetching = false;
		}
	}

	/** Shows the newest before the playhead and goes on from there. */
	async #takeSample(now: number): Promise<void> {
		if (this.#fetching || now - this.#sampledAt < SAMPLE_EVERY_MS) return;
		this.#fetching = true;
		this.#sampledAt = now;
		const round = this.#round;
		try {
			const tick = await this.#tickAt(this.at);
			const before = { tick: String(tick + 1n), seq: '0' };
			const page = await this.client().history({
				filter: this.filter(),
				before,
				limit: SAMPLE,
				order: 'desc'
			});
			if (round !== this.#round) return;
			const fresh = page.changes.filter((change) => BigInt(change.tick) > this.board.feed.tick).reverse();
			this.#queue = [];
			this.#next = this.#shown = before;
			this.#push(
				fresh,
				fresh.length === SAMPLE
					? Math.max(0, Math.round((this.#density() * SAMPLE_EVERY_MS) / 1000) - SAMPLE)
					: 0
			);
		} finally {
			this.#fetching = false;
		}
	}

	/** The last tick at or before a moment of the stretch. */
	async #tickAt(at: number): Promise<bigint> {
		const { from, to } = this.stretch!;
		if (at >= to) return BigInt(this.#rates!.tick);
		const { tick } = await this.client().rates({ from: iso(from), to: iso(at), buckets: 1, filter: {} });
		return BigInt(tick);
	}
}

/** How many of the changes, from the first on, one transaction wrote. */
function runOf(changes: readonly Change[]): number {
	const [first] = changes;
	const other = changes.findIndex(({ tick, tx }) => tick !== first!.tick || tx !== first!.tx);
	return other < 0 ? changes.length : other;
}

function iso(ms: number): string {
	return new Date(ms).toISOString();
}

/**
 * Replay: a playhead over a stretch of the past that feeds the board as the present would.
 *
 * The counts of the whole stretch are fetched at once, in fine steps; changes come in pages ahead of the playhead.
 * Counters and chart are exact, however many of the changes can be shown.
 */

import type { Client } from '../client/index.ts';
import { iso } from '../format.ts';
import type { Change, Filter, Position, Rates } from '../protocol.ts';
import type { Stretch } from '../view.ts';
import type { Board } from './board.svelte.ts';
import { RETRY_MS, type Counting } from './counting.svelte.ts';
import type { Ledger } from './ledger.svelte.ts';
import { Projector } from './projector.ts';
import { after, Reel, SHOWN } from './reel.ts';
import { STEPS, StretchCounts, type Extent } from './stretch.ts';

export const SPEEDS = [0.5, 1, 5, 20, 60] as const;

const SEEK_SETTLES_MS = 120;

export class Player {
	/** The stretch that is open; null while the present is shown. */
	stretch: Extent | null = $state.raw(null);
	/** The moment of the playhead, milliseconds of the database's clock. */
	at = $state(0);
	playing = $state(false);
	speed: number = $state(1);
	loading = $state(false);
	/** The log cannot be read: what is shown is of where the playhead stood. It is asked again. */
	stuck = $state(false);
	/** Whether the log holds nothing of the stretch: it was pruned, or the log is younger. */
	empty = $state(false);
	/** When what the log holds begins, where that is within the stretch. */
	since: string | null = $state(null);
	/** Counts single steps: two of them may stand at the same moment. */
	moves = $state(0);
	/** Whether stretches in which nothing happens are passed over. */
	skipsQuiet = $state(false);
	/** Told where the playhead came to rest; `place`: the position it stands at, where that is at a change. */
	onrest: (at: number, place: Position | null) => void = () => {};
	/** The stretch that is opened next begins to play. */
	playWhenOpen = false;
	/** The playhead goes to this change in the stretch that is opened next. */
	goToWhenOpen: Change | null = null;

	/** Of the stretch, once it is loaded. */
	#projector: Projector | null = null;
	/** The playhead stands at a change, within a tick it may be, rather than at a moment. */
	#stepped = false;
	/** The moving that is under way: what the reel holds is not for now. */
	#placing = -1;
	/** Movings, of which the last counts; and openings. */
	#round = 0;
	#opened = 0;
	#frame = 0;
	#last = 0;
	#settle: ReturnType<typeof setTimeout> | undefined;
	#retry: ReturnType<typeof setTimeout> | undefined;
	/** Movings that were asked for, of which the last is asked for again. */
	#moving = 0;

	constructor(
		readonly board: Board,
		readonly ledger: Ledger,
		readonly counting: Counting,
		readonly client: () => Client,
		readonly filter: () => Filter
	) {}

	/** Whether this stretch is the one that is open. */
	shows({ from, to }: Extent): boolean {
		return this.stretch?.from === from && this.stretch.to === to;
	}

	/** Opens a stretch with the playhead at its `at`, or its `place`, standing still. */
	async open({ from, to, at, place }: Stretch): Promise<void> {
		const wasPlaying = this.playing && this.shows({ from, to });
		this.leave();
		const opening = this.#opened;
		this.loading = true;
		const extent = { from, to };
		this.stretch = extent;
		this.at = at;
		const filter = this.filter();
		const whole = filter.where === undefined;
		try {
			const time = { from: iso(from), to: iso(to), buckets: STEPS };
			const all = await this.client().rates({ ...time, filter: { ...filter, where: undefined } });
			if (opening !== this.#opened) return;
			const counts = new StretchCounts(this.board, extent, all, whole);
			const reel = new Reel(this.client(), filter, extent, all);
			this.#projector = new Projector(
				counts,
				reel,
				(changes, omitted) => {
					this.#push(changes, omitted);
					// A sample that was on its way.
					if (!this.playing) void this.#count(true);
				},
				(read) => (this.stuck = !read)
			);
			this.since = all.since ?? null;
			this.empty = this.since !== null && Date.parse(this.since) >= to;
			const wanted = this.goToWhenOpen;
			this.goToWhenOpen = null;
			const sought = this.at !== at;
			if (wanted) await this.goTo(wanted);
			else
				await this.#comeTo(
					this.playWhenOpen && !sought ? counts.firstActivity() : this.at,
					sought ? null : place
				);
			if (opening !== this.#opened) return;
			if (sought && !wanted) this.#rested();
			if (!whole) void this.#match(counts, filter);
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
		this.#unsettle();
		this.#moving++;
		clearTimeout(this.#retry);
		this.stuck = false;
		this.stretch = null;
		this.#projector = null;
	}

	play(): void {
		if (!this.stretch || !this.#projector || this.playing) return;
		const over = this.at >= this.stretch.to;
		if (over) {
			this.at = this.stretch.from;
			this.ledger.ask();
		}
		if (over || this.stuck) this.#placeHere();
		this.playing = true;
		this.#stepped = false;
		this.#last = performance.now();
		this.#frame = requestAnimationFrame((now) => this.#advance(now));
	}

	pause(): void {
		this.playing = false;
		cancelAnimationFrame(this.#frame);
	}

	toggle(): void {
		if (this.playing) {
			this.pause();
			this.#rested();
			if (this.stuck) this.#placeHere();
			else void this.#count();
		} else this.play();
	}

	/** The position that it stands at, where that is at a change. */
	get #stands(): Position | null {
		return this.#stepped ? this.#projector!.reel.shown : null;
	}

	/** Where the playhead stands in the log: all that comes before this has happened. */
	async position(): Promise<Position> {
		return this.#stands ?? this.#projector!.reel.endOf(this.at);
	}

	/** The rows that the stretch has in the chart's steps, beyond the playhead too. */
	outline(): number[] | null {
		return this.#projector?.counts.outline() ?? null;
	}

	/** Goes back to where it stood in this stretch. */
	async moveTo({ at, place }: Stretch): Promise<void> {
		if (!this.#projector || this.playing) return;
		if (JSON.stringify([at, place]) === JSON.stringify([Math.floor(this.at), this.#stands])) return;
		this.#unsettle();
		this.ledger.ask();
		await this.#move(() => this.#comeTo(at, place));
	}

	/** Moves the playhead: the numbers at once, the ledger as soon as the hand rests. */
	seek(to: number): void {
		if (!this.stretch) return;
		this.ledger.ask();
		this.at = this.#within(to);
		// A stretch that is being loaded opens there.
		if (!this.#projector) return;
		this.#stepped = false;
		this.#projector.counts.restart(this.at);
		this.#unsettle();
		this.#round++;
		this.#settle = setTimeout(() => {
			this.#settle = undefined;
			this.#placeHere();
			if (!this.playing) this.#rested();
		}, SEEK_SETTLES_MS);
	}

	/**
	 * Moves to the next change of the stretch, or the one before, alone or with those beside it of the same transaction (as
	 * many as a card holds).
	 */
	async step(by: 1 | -1, what: 'change' | 'transaction'): Promise<void> {
		if (!this.stretch || !this.#projector || this.loading || this.#placing === this.#round) return;
		this.pause();
		const settling = this.#settle !== undefined;
		this.#unsettle();
		await this.#move(async () => {
			if (settling || this.stuck) await this.#place(this.at);
			await this.#step(by, what);
		});
	}

	async #step(by: 1 | -1, what: 'change' | 'transaction'): Promise<void> {
		const detailed = this.ledger.open !== null;
		if (this.ledger.stance !== 'live') this.ledger.follow();
		const newest = by > 0 ? await this.#forward(what) : await this.#back(what);
		// An open detail goes along.
		if (newest !== undefined) await this.#stoodAt(detailed ? newest : null);
	}

	/** Moves to just after a change of the stretch, and opens it. */
	async goTo(change: Change): Promise<void> {
		if (!this.stretch || !this.#projector) return;
		this.pause();
		this.#unsettle();
		await this.#move(() => this.#stand(Date.parse(change.at), after(change), change));
	}

	#placeHere(): void {
		void this.#move(() => this.#place(this.at));
	}

	/** Moves by what the log holds; where it cannot be read, again and again until it can, or it is moved otherwise. */
	async #move(move: () => Promise<void>): Promise<void> {
		clearTimeout(this.#retry);
		const moving = ++this.#moving;
		try {
			await move();
			if (moving === this.#moving) this.stuck = false;
		} catch {
			if (moving !== this.#moving) return;
			this.stuck = true;
			this.#retry = setTimeout(() => void this.#move(move), RETRY_MS);
		}
	}

	/** To a moment, or to a position where the stretch holds one. */
	#comeTo(at: number, place: Position | null): Promise<void> {
		return place && this.#projector!.reel.holds(place) ? this.#stand(at, place) : this.#place(at);
	}

	/** Stands at a position, as at the change before it. */
	async #stand(at: number, place: Position, open: Change | null = null): Promise<void> {
		const round = ++this.#round;
		const changes = await this.#projector!.reel.before(place);
		if (round !== this.#round) return;
		this.ledger.follow();
		this.at = this.#within(at);
		this.#rewind(changes, place);
		await this.#stoodAt(open);
	}

	async #stoodAt(open: Change | null): Promise<void> {
		this.#stepped = true;
		this.moves++;
		if (open) this.ledger.open = open;
		this.#rested();
		await this.#count();
	}

	#unsettle(): void {
		clearTimeout(this.#settle);
		this.#settle = undefined;
	}

	/** Not rounded up: what the playhead has not reached has not passed. */
	#rested(): void {
		this.onrest(Math.floor(this.at), this.#stands);
	}

	/** The change that it came to; undefined where there is none. */
	async #forward(what: 'change' | 'transaction'): Promise<Change | undefined> {
		const { counts, reel } = this.#projector!;
		const { at, changes } = await reel.step(what);
		if (changes.length === 0) return;
		this.at = this.#within(Math.max(this.at, at));
		counts.advance(this.at);
		this.board.feed.append(changes);
		this.#passed(changes, 0);
		return changes.at(-1);
	}

	/** The change that it came to, null before the first; undefined where it stood there. */
	async #back(what: 'change' | 'transaction'): Promise<Change | null | undefined> {
		const { reel } = this.#projector!;
		const round = ++this.#round;
		const led = await reel.back(what);
		if (round !== this.#round || !led) return;
		const newest = led.left[0] ?? null;
		this.at = Math.min(this.at, this.#within(Date.parse(newest?.at ?? '') || 0));
		this.#rewind(led.left, led.to);
		return newest;
	}

	/** Shows these changes, newest first, which stand before a position. */
	#rewind(changes: Change[], { tick, seq }: Position): void {
		const { counts, reel } = this.#projector!;
		counts.restart(this.at);
		reel.wind({ tick, seq });
		this.board.feed.reset(changes.toReversed());
		this.board.touch();
	}

	/** Shows everything as it was at `at`. */
	async #place(at: number): Promise<void> {
		const { counts, reel } = this.#projector!;
		const round = (this.#placing = ++this.#round);
		this.at = at;
		this.#stepped = false;
		counts.restart(at);
		try {
			const shown = await reel.jump(at, SHOWN);
			if (round !== this.#round) return;
			this.ledger.renew(() => this.board.feed.reset(shown ?? []));
			this.board.touch();
		} finally {
			if (round === this.#placing) this.#placing = -1;
		}
		await this.#count();
	}

	/** Counts what is shown, once what matches is counted; `anew` also where the board counts something exactly. */
	async #count(anew = false): Promise<void> {
		const { counts, reel } = this.#projector!;
		const { shown } = reel;
		try {
			if ((counts.exact && !anew) || !counts.counted) return;
			const { series, part } = await reel.counts(counts);
			if (reel.shown === shown && counts === this.#projector?.counts) counts.show(this.at, series, part);
		} catch {
			// The steps that have passed are counted: less fine, and as true.
		} finally {
			this.board.recent.advance(this.at);
			this.board.beat++;
		}
	}

	/** Counts what matches the condition, beside everything else. */
	async #match(counts: StretchCounts, filter: Filter): Promise<void> {
		const put = (piece: Rates) => {
			counts.add(piece);
			counts.restart(this.at);
			this.board.beat++;
		};
		counts.counted = await this.counting.count(filter, counts.all.tick, [counts.all, put]);
		if (counts === this.#projector?.counts && !this.playing) await this.#count();
	}

	#advance(now: number): void {
		const projector = this.#projector;
		if (!this.playing || !projector) return;
		const moving = this.#placing === this.#round;
		const passed = Math.min(250, now - this.#last);
		this.#last = now;
		if (!this.loading) this.at = projector.move(this.at, passed, this.speed, this.skipsQuiet && !moving);
		projector.counts.advance(this.at);
		if (!moving) projector.show(this.at, this.speed, now);
		if (Math.floor(now / 200) !== Math.floor((now - passed) / 200)) {
			this.board.recent.advance(this.at);
			this.board.feed.settle(performance.now());
			this.board.beat++;
		}
		if (projector.over(this.at, this.speed)) {
			this.board.recent.advance(this.at);
			this.board.beat++;
			this.pause();
			this.#rested();
			if (this.stuck) this.#placeHere();
		} else this.#frame = requestAnimationFrame((later) => this.#advance(later));
	}

	#push(changes: Change[], omitted: number): void {
		this.board.feed.push({ at: iso(this.at), changes, omitted }, performance.now());
		this.#passed(changes, omitted);
	}

	#passed(changes: Change[], omitted: number): void {
		this.#projector!.counts.pass(this.at, changes);
		this.ledger.await(changes.length + omitted, changes.length + omitted);
		this.board.touch();
	}

	#within(at: number): number {
		return Math.max(this.stretch!.from, Math.min(this.stretch!.to, at));
	}
}

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
import type { Counting } from './counting.svelte.ts';
import type { Ledger } from './ledger.svelte.ts';
import { Mover } from './mover.svelte.ts';
import { Projector } from './projector.ts';
import { after, Reel } from './reel.ts';
import { Stage } from './stage.ts';
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
	/** While it is loaded: it plays then. */
	plays = $state(false);
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
	#stage: Stage | null = null;
	#projector: Projector | null = null;
	readonly #mover = new Mover();
	/** While it is loaded: the playhead goes to where something begins to happen. */
	#begins = false;
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

	constructor(
		readonly board: Board,
		readonly ledger: Ledger,
		readonly counting: Counting,
		readonly client: () => Client,
		readonly filter: () => Filter
	) {}

	/** The log cannot be read: what is shown is of where the playhead stood. It is asked again. */
	get stuck(): boolean {
		return this.#mover.stuck;
	}

	/** Whether this stretch is the one that is open. */
	shows({ from, to }: Extent): boolean {
		return this.stretch?.from === from && this.stretch.to === to;
	}

	/** A stretch with where the playhead stands by now, if it is open: the address tells where it rested last. */
	here(past: Stretch): Stretch {
		if (!this.shows(past)) return past;
		const at = Math.floor(this.at);
		const place = at === past.at ? past.place : null;
		return { ...past, at, place: this.#stage ? this.#stands : place };
	}

	/** Opens a stretch with the playhead at its `at`, or its `place`, standing still. */
	async open({ from, to, at, place }: Stretch): Promise<void> {
		const again = this.shows({ from, to });
		const plays = again && (this.playing || this.plays);
		const begins = again && this.#begins;
		this.leave();
		this.plays = this.playWhenOpen || plays;
		this.#begins = this.playWhenOpen || begins;
		this.playWhenOpen = false;
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
			const stage = new Stage(this, this.board, this.ledger, counts, reel);
			this.#stage = stage;
			this.#projector = new Projector(
				counts,
				reel,
				(changes, omitted) => {
					stage.push(changes, omitted);
					// A sample that was on its way.
					if (!this.playing) void stage.count(true);
				},
				(read) => stage.left || (this.#mover.stuck = !read)
			);
			this.#noteBeginning(all);
			const wanted = this.goToWhenOpen;
			this.goToWhenOpen = null;
			const sought = this.at !== at;
			if (sought) this.#rested();
			if (wanted) await this.goTo(wanted);
			else
				await this.#comeTo(this.#begins && !sought ? counts.firstActivity() : this.at, sought ? null : place);
			if (opening !== this.#opened) return;
			if (!whole) void this.#match(stage, filter);
			if (!wanted && this.plays) this.play();
			this.plays = this.#begins = false;
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
		this.#mover.stop();
		this.plays = this.#begins = false;
		this.stretch = null;
		if (this.#stage) this.#stage.left = true;
		this.#stage = this.#projector = null;
	}

	play(): void {
		if (!this.stretch || !this.#stage || this.playing) return;
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
		if (this.loading || !this.#stage) this.plays = !this.plays;
		else if (this.playing) {
			this.pause();
			this.#rested();
			if (this.stuck) this.#placeHere();
			else void this.#stage.count();
		} else this.play();
	}

	/** The position that it stands at, where that is at a change. */
	get #stands(): Position | null {
		return this.#stepped ? this.#stage!.reel.shown : null;
	}

	/** Where the playhead stands in the log: all that comes before this has happened. */
	async position(): Promise<Position> {
		return this.#stands ?? this.#stage!.reel.endOf(this.at);
	}

	/** The rows that the stretch has in the chart's steps, beyond the playhead too. */
	outline(): number[] | null {
		return this.#stage?.counts.outline() ?? null;
	}

	/** Goes back to where it stood in this stretch. */
	async moveTo({ at, place }: Stretch): Promise<void> {
		if (!this.#stage || this.playing) return;
		if (JSON.stringify([at, place]) === JSON.stringify([Math.floor(this.at), this.#stands])) return;
		this.#unsettle();
		this.ledger.ask();
		await this.#mover.move(() => this.#comeTo(at, place));
	}

	/** Moves the playhead: the numbers at once, the ledger as soon as the hand rests. */
	seek(to: number): void {
		if (!this.stretch) return;
		this.ledger.ask();
		this.#begins = false;
		this.at = this.#within(to);
		// A stretch that is being loaded opens there.
		if (!this.#stage) return;
		this.#stepped = false;
		this.#stage.counts.restart(this.at);
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
		if (!this.#stage || this.loading || this.#placing === this.#round) return;
		this.pause();
		const settling = this.#settle !== undefined;
		this.#unsettle();
		await this.#mover.move(async () => {
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
		else void this.#askBeginning();
	}

	/** Moves to just after a change of the stretch, and opens it. */
	async goTo(change: Change): Promise<void> {
		if (!this.#stage) return;
		this.pause();
		this.#unsettle();
		await this.#mover.move(() => this.#stand(Date.parse(change.at), after(change), change));
	}

	#placeHere(): void {
		void this.#mover.move(() => this.#place(this.at));
	}

	/** To a moment, or to a position where the stretch holds one. */
	#comeTo(at: number, place: Position | null): Promise<void> {
		return place && this.#stage!.reel.holds(place) ? this.#stand(at, place) : this.#place(at);
	}

	/** Stands at a position, as at the change before it. */
	async #stand(at: number, place: Position, open: Change | null = null): Promise<void> {
		const round = ++this.#round;
		const changes = await this.#stage!.reel.before(place);
		if (round !== this.#round) return;
		this.ledger.follow();
		this.at = this.#within(at);
		this.#stage!.rewind(changes, place);
		await this.#stoodAt(open);
	}

	async #stoodAt(open: Change | null): Promise<void> {
		this.#stepped = true;
		this.moves++;
		if (open) this.ledger.open = open;
		this.#rested();
		await this.#stage!.count();
	}

	#unsettle(): void {
		clearTimeout(this.#settle);
		this.#settle = undefined;
	}

	/** The log may have been pruned since the stretch was opened. */
	async #askBeginning(): Promise<void> {
		const [{ from, to }, opened] = [this.stretch!, this.#opened];
		try {
			const rates = await this.client().rates({ from: iso(from), to: iso(to), buckets: 1 });
			if (opened === this.#opened) this.#noteBeginning(rates);
		} catch {
			// What could be told before stands.
		}
	}

	#noteBeginning({ since }: Rates): void {
		this.since = since ?? null;
		this.empty = this.since !== null && Date.parse(this.since) >= this.stretch!.to;
	}

	/** Not rounded up: what the playhead has not reached has not passed. */
	#rested(): void {
		this.onrest(Math.floor(this.at), this.#stands);
	}

	/** The change that it came to; undefined where there is none. */
	async #forward(what: 'change' | 'transaction'): Promise<Change | undefined> {
		const stage = this.#stage!;
		const { at, changes } = await stage.reel.step(what);
		if (changes.length === 0) return;
		this.at = this.#within(Math.max(this.at, at));
		stage.append(changes);
		return changes.at(-1);
	}

	/** The change that it came to, null before the first; undefined where it stood there. */
	async #back(what: 'change' | 'transaction'): Promise<Change | null | undefined> {
		const stage = this.#stage!;
		const round = ++this.#round;
		const led = await stage.reel.back(what);
		if (round !== this.#round || !led) return;
		const newest = led.left[0] ?? null;
		this.at = Math.min(this.at, this.#within(Date.parse(newest?.at ?? '') || 0));
		stage.rewind(led.left, led.to);
		return newest;
	}

	/** Shows everything as it was at `at`. */
	async #place(at: number): Promise<void> {
		const stage = this.#stage!;
		const round = (this.#placing = ++this.#round);
		this.at = at;
		this.#stepped = false;
		try {
			await stage.place(at, () => round === this.#round);
		} finally {
			if (round === this.#placing) this.#placing = -1;
		}
		if (round !== this.#round) return;
		void this.#askBeginning();
		await stage.count();
	}

	/** Counts what matches the condition, beside everything else. */
	async #match(stage: Stage, filter: Filter): Promise<void> {
		const { counts } = stage;
		const put = (piece: Rates) => {
			counts.add(piece);
			counts.restart(this.at);
			this.board.beat++;
		};
		counts.counted = await this.counting.count(filter, counts.all.tick, [counts.all, put]);
		if (!stage.left && !this.playing) await stage.count();
	}

	#advance(now: number): void {
		const [stage, projector] = [this.#stage, this.#projector];
		if (!this.playing || !stage || !projector) return;
		const moving = this.#placing === this.#round;
		const passed = Math.min(250, now - this.#last);
		this.#last = now;
		if (!this.loading) this.at = projector.move(this.at, passed, this.speed, this.skipsQuiet && !moving);
		stage.counts.advance(this.at);
		if (!moving) projector.show(this.at, this.speed, now);
		if (Math.floor(now / 200) !== Math.floor((now - passed) / 200)) {
			this.board.feed.settle(performance.now());
			stage.beat();
		}
		if (projector.over(this.at, this.speed)) {
			stage.beat();
			this.pause();
			this.#rested();
			if (this.stuck) this.#placeHere();
		} else this.#frame = requestAnimationFrame((later) => this.#advance(later));
	}

	#within(at: number): number {
		return Math.max(this.stretch!.from, Math.min(this.stretch!.to, at));
	}
}

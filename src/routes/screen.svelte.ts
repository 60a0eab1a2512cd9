/** What a person does to the view. The address is the view: each of these writes an address, and that is shown. */

import { goto } from '$app/navigation';
import { withOp, withTable, type How } from '$lib/choice';
import { indexOf } from '$lib/lines';
import { negated, withTerm } from '$lib/filter/edit';
import { split } from '$lib/filter/scope';
import { OPS, type Change, type Op, type TableName } from '$lib/protocol';
import { Picks } from '$lib/stores/picks.svelte';
import { SavedViews } from '$lib/stores/saved.svelte';
import { Session } from '$lib/stores/session.svelte';
import { ThemeChoice } from '$lib/stores/theme.svelte';
import { formatView, includes, parseView, SPANS, type View } from '$lib/view';

/** So much of the past is opened before and after a change. */
const AROUND_MS = 150_000;

export class Screen {
	readonly session = new Session();
	readonly theme = new ThemeChoice();
	readonly picks = new Picks();
	readonly saved = new SavedViews();
	tablesSheet = $state(false);
	wall = $state(false);

	/** Begins; gives what ends it. */
	start(): () => void {
		const { player } = this.session;
		player.onrest = (at, place) => {
			const { past } = this.session.view;
			if (past) this.show({ past: { ...past, at, place } }, true);
		};
		const stops = [this.theme.start(), this.session.start()];
		return () => stops.forEach((stop) => stop());
	}

	show(change: Partial<View>, replaceState = false): void {
		// What is chosen of the changes is chosen to be seen, and not beneath a table.
		const chosen = (['tables', 'without', 'ops', 'where'] as const).some((part) => part in change);
		const view = { ...this.session.view, ...(chosen && { then: null }), ...change };
		void goto(`/${formatView(view)}`, { keepFocus: true, noScroll: true, replaceState });
	}

	/** Opens a saved view, with the row that was open in it and where its playhead stood. */
	async openView(address: string): Promise<void> {
		await goto(`/${address}`, { keepFocus: true, noScroll: true });
		await this.session.arrive(parseView(new URLSearchParams(address)));
	}

	/** Writes the row that is open to the address. */
	writeRow(): void {
		const { session } = this;
		if (!session.ready || session.wanted) return;
		const { open } = session.ledger;
		const { row } = session.view;
		if (open?.seq === row?.seq && open?.tick === row?.tick) return;
		this.show({ row: open && { tick: open.tick, seq: open.seq } }, row !== null);
	}

	choose(table: TableName | null, how: How): void {
		this.tablesSheet = false;
		this.show(table ? withTable(this.session.view, table, how) : { tables: [], without: [] });
	}

	chooseOp(op: Op, how: How): void {
		this.show({ ops: withOp(this.session.view.ops, op, how) });
	}

	/** Opens a table as it was at the playhead, or as it is. */
	openTable({ schema, table }: TableName): void {
		this.tablesSheet = false;
		this.show({ then: { schema, table } });
	}

	/**
	 * A table or an op by itself is chosen as by its own switch, but never undone by a second click; all else goes into the
	 * filter's text.
	 */
	narrow(term: string, how: 'only' | 'not' = 'only'): void {
		const { view, tables } = this.session;
		const said = split(term, tables);
		if (said.ok && said.filter.where === undefined) {
			const { tables: [table] = [], ops: [op] = [] } = said.filter;
			if (
				table &&
				(how === 'not' ? includes(view, table) : view.tables.length !== 1 || !includes(view, table))
			)
				return this.choose(table, how);
			const shown = view.ops.length > 0 ? view.ops : OPS;
			if (op && (how === 'not' ? shown.includes(op) : view.ops.length !== 1 || !shown.includes(op)))
				return this.chooseOp(op, how);
			if (table || op) return;
		}
		this.show({ where: withTerm(view.where, how === 'not' ? negated(term) : term) });
	}

	moveSpan(by: number): void {
		const span = SPANS[SPANS.indexOf(this.session.view.span) + by];
		if (span) this.show({ span, past: null });
	}

	replayLast(ms: number): void {
		const { player, present } = this.session;
		const to = Math.floor(present.now());
		this.show({ past: { from: to - ms, to, at: to - ms, place: null } }, player.stretch !== null);
		player.playWhenOpen = true;
	}

	toggleReplay(): void {
		const { player, view } = this.session;
		if (player.stretch) this.show({ past: null });
		else this.replayLast(Math.min(view.span.ms, 15 * 60_000));
	}

	/** Sets the playhead to just after a change; a stretch around it is opened where none holds it. */
	playFrom(change: Change): void {
		const { player, present } = this.session;
		const at = Date.parse(change.at);
		const { stretch } = player;
		if (stretch && at >= stretch.from && at <= stretch.to) return void player.goTo(change);
		player.goToWhenOpen = change;
		const from = at - AROUND_MS;
		const to = Math.max(at + 1, Math.min(at + AROUND_MS, Math.floor(present.now())));
		this.show({ past: { from, to, at, place: null } });
	}

	goLive(): void {
		const { player, ledger } = this.session;
		ledger.follow();
		if (player.stretch) this.show({ past: null });
	}

	/** Follows what plays, as the pill does; what is followed already is left for the present. */
	follow(): void {
		const { ledger } = this.session;
		if (ledger.stance === 'live') this.goLive();
		else ledger.follow();
	}

	/** Picks the line that the keyboard stands on, or all from the one picked last to it. */
	pick(range: boolean): void {
		const { ledger } = this.session;
		const index = ledger.selected === null ? -1 : indexOf(ledger.entries, ledger.selected);
		const line = index < 0 ? undefined : ledger.lines(index, 1)[0];
		if (!line) return;
		if (range) this.picks.extend(line, ledger.entries);
		else this.picks.toggle(line);
	}

	/** Leaves what was opened last. */
	escape(): void {
		const { ledger, player, view } = this.session;
		if (this.tablesSheet) this.tablesSheet = false;
		// On the wall nothing of the rest is seen.
		else if (this.wall) this.wall = false;
		else if (ledger.open) ledger.close();
		// It covers the feed and what is picked there.
		else if (view.then) this.show({ then: null });
		else if (this.picks.chosen.size > 0) this.picks.clear();
		else if (player.stretch) this.show({ past: null });
		else if (ledger.stance === 'reading') ledger.follow();
	}
}

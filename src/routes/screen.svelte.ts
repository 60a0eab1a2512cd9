/** What a person does to the view. The address is the view: each of these writes an address, and that is shown. */

import { goto } from '$app/navigation';
import { tableKey } from '$lib/change';
import { indexOf } from '$lib/lines';
import { negated, withTerm } from '$lib/filter/edit';
import { split } from '$lib/filter/scope';
import { OPS, type Change, type Op, type TableName } from '$lib/protocol';
import { Picks } from '$lib/stores/picks.svelte';
import { SavedViews } from '$lib/stores/saved.svelte';
import { Session } from '$lib/stores/session.svelte';
import { ThemeChoice } from '$lib/stores/theme.svelte';
import { formatView, includes, parseView, SPANS, toggled, type View } from '$lib/view';

/** So much of the past is opened before and after a change. */
const AROUND_MS = 150_000;

const same = (a: TableName, b: TableName) => tableKey(a) === tableKey(b);

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

	choose(table: TableName | null, how: 'only' | 'also' | 'not'): void {
		this.tablesSheet = false;
		const { view } = this.session;
		if (!table) return this.show({ tables: [], without: [] });
		const name = { schema: table.schema, table: table.table };
		if (how === 'not') {
			// Alt-click takes a table out; again brings it back.
			if (view.tables.length > 0)
				return this.show({ tables: toggled(view.tables, name, same).filter((t) => !same(t, name)) });
			return this.show({ without: toggled(view.without, name, same) });
		}
		if (how === 'also') return this.show({ tables: toggled(view.tables, name, same), without: [] });
		const alone = view.tables.length === 1 && includes(view, table);
		this.show({ tables: alone ? [] : [name], without: [] });
	}

	chooseOp(op: Op, how: 'only' | 'also' | 'not'): void {
		const { ops } = this.session.view;
		if (how === 'also') return this.show({ ops: toggled(ops, op) });
		if (how === 'only') return this.show({ ops: ops.length === 1 && ops[0] === op ? [] : [op] });
		const shown = ops.length > 0 ? ops : OPS;
		this.show({ ops: shown.filter((other) => other !== op) });
	}

	/** Opens a table as it was at the playhead, or as it is. */
	openTable({ schema, table }: TableName): void {
		this.tablesSheet = false;
		this.show({ then: { schema, table } });
	}

	/** A table or an op by itself is chosen as by its own switch; all else goes into the filter's text. */
	narrow(term: string, how: 'only' | 'not' = 'only'): void {
		const { view, tables } = this.session;
		const said = split(term, tables);
		if (said.ok && said.filter.where === undefined) {
			const { tables: [table] = [], ops: [op] = [] } = said.filter;
			if (table) return this.choose(table, how);
			if (op) return this.chooseOp(op, how);
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
		if (player.stretch) this.show({ past: null });
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
		else if (ledger.open) ledger.close();
		else if (this.picks.chosen.size > 0) this.picks.clear();
		else if (view.then) this.show({ then: null });
		else if (this.wall) this.wall = false;
		else if (player.stretch) this.show({ past: null });
		else if (ledger.stance === 'reading') ledger.follow();
	}
}

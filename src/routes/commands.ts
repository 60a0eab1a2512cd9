/** Everything there is to do: by name for the palette, by key for whoever knows it. */

import { OP_SIGNS, tableLabel } from '$lib/change';
import { copied } from '$lib/components/copy';
import { EXPORTS } from '$lib/components/Export.svelte';
import type { Command } from '$lib/components/Palette.svelte';
import { OPS } from '$lib/protocol';
import { THEMES } from '$lib/stores/theme.svelte';
import { SPANS, toggled } from '$lib/view';
import type { Screen } from './screen.svelte';

/** What opens over the page. */
export interface Dialogs {
	help: { open(): void };
	palette: { open(): void };
	exporter: { open(format?: (typeof EXPORTS)[number]['format']): void };
	picked: { open(): void };
	views: { open(): void };
	/** A table that is open over the feed. */
	then: { walk(by: 1 | -1): void } | null;
}

/** What an export holds, in words. */
export function exported({ session }: Screen): string {
	const whole = session.view.past ? 'this stretch' : 'all that is kept';
	return Object.keys(session.filter).length > 0 ? `what matches, of ${whole}` : whole;
}

export function commandsOf(screen: Screen, dialogs: Dialogs): Command[] {
	const { session, saved, theme } = screen;
	const { view, ledger } = session;
	saved.read();
	/** In replay, the key follows the playhead first. */
	const pressed = !view.past || ledger.stance === 'live';
	return [
		{ name: 'Go live', ...(pressed ? { keys: '.' } : {}), run: () => screen.goLive() },
		{
			name: ledger.stance !== 'paused' ? 'Pause' : view.past ? 'To the playhead' : 'Follow',
			...(view.past ? {} : { keys: 'Space' }),
			run: () => ledger.togglePause()
		},
		...[1, 5, 15].map((minutes) => ({
			name: `Replay the last ${minutes} min`,
			run: () => screen.replayLast(minutes * 60_000)
		})),
		...SPANS.map((span) => ({
			name: `Show the last ${span.label}`,
			run: () => screen.show({ span, past: null })
		})),
		...OPS.map((op) => ({
			name: `${view.ops.includes(op) ? 'Stop showing' : 'Show'} only ${OP_SIGNS[op].word}s`,
			run: () => screen.show({ ops: toggled(view.ops, op) })
		})),
		{
			name: 'Show all tables and operations',
			run: () => screen.show({ tables: [], without: [], ops: [], where: '' })
		},
		{ name: 'Filter', keys: '/', run: focusFilter },
		...THEMES.map((name) => ({ name: `Theme: ${name}`, run: () => theme.choose(name) })),
		{
			name: screen.wall ? 'Leave the wall screen' : 'Wall screen',
			keys: 'w',
			run: () => (screen.wall = !screen.wall)
		},
		{ name: 'Copy a link to this view', tells: () => copied(location.href, 'a link to this view') },
		...EXPORTS.map(({ format, name }) => ({
			name: `Export ${exported(screen)} as ${name}`,
			run: () => dialogs.exporter.open(format)
		})),
		...(screen.picks.chosen.size > 0
			? [{ name: 'SQL that would undo what is picked', run: () => void dialogs.picked.open() }]
			: []),
		...saved.list.map(({ name, address }) => ({
			name: `View: ${name}`,
			run: () => void screen.openView(address)
		})),
		{ name: 'Save this view, rename or delete one', keys: 'v', run: () => dialogs.views.open() },
		{ name: 'Keys', keys: '?', run: () => dialogs.help.open() },
		...session.tables.map((table) => ({
			name: `Only table ${tableLabel(table)}`,
			run: () => screen.show({ tables: [{ schema: table.schema, table: table.table }], without: [] })
		})),
		...session.tables.map((table) => ({
			name: `Open table ${tableLabel(table)} as it ${view.past ? 'was' : 'is'}`,
			run: () => screen.openTable(table)
		}))
	];
}

/** What a key does, outside of fields and dialogs. */
export function keysOf(screen: Screen, dialogs: Dialogs): Record<string, () => void> {
	const { player, ledger } = screen.session;
	const { then } = dialogs;
	const walk = (by: 1 | -1) => () => (then ? then.walk(by) : move(by));
	const move = (by: number) => {
		// The line takes the focus from anywhere but the row that is open.
		const { activeElement: at } = document;
		if (at instanceof HTMLElement && !at.closest('#changes, .detail')) at.blur();
		ledger.move(by);
	};
	/** The feed is beneath a table that is open, and out of sight on the wall. */
	const seen = !then && !screen.wall;
	return {
		...(!screen.wall && {
			j: walk(1),
			ArrowDown: walk(1),
			k: walk(-1),
			ArrowUp: walk(-1),
			'/': focusFilter
		}),
		...(seen && {
			Enter: () => ledger.activateSelected(),
			x: () => screen.pick(false),
			X: () => screen.pick(true)
		}),
		// Without a chosen line they scroll.
		...(seen &&
			ledger.selected !== null && {
				PageDown: () => move(ledger.page),
				PageUp: () => move(-ledger.page),
				End: () => move(Infinity),
				Home: () => move(-Infinity)
			}),
		Escape: () => screen.escape(),
		' ': () => (player.stretch ? player.toggle() : ledger.togglePause()),
		'.': () => screen.follow(),
		'?': () => dialogs.help.open(),
		v: () => dialogs.views.open(),
		r: () => screen.toggleReplay(),
		n: () => void player.step(1, 'change'),
		p: () => void player.step(-1, 'change'),
		N: () => void player.step(1, 'transaction'),
		P: () => void player.step(-1, 'transaction'),
		'[': () => screen.moveSpan(-1),
		']': () => screen.moveSpan(1),
		t: () => screen.theme.next(),
		w: () => (screen.wall = !screen.wall)
	};
}

const MOVES = /^(Arrow(Up|Down|Left|Right)|Page(Up|Down)|Home|End)$/;

/** The key's deed, where the key is not for what has the focus. */
export function actOf(event: KeyboardEvent, screen: Screen, dialogs: Dialogs): (() => void) | undefined {
	if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k')
		return () => dialogs.palette.open();
	if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
	// Where a button of a dialog was disabled, the page has the focus.
	if (document.querySelector('dialog[open]')) return;
	const at = event.target as HTMLElement;
	if (at.closest('input:not([type=range], [type=checkbox]), textarea')) return;
	// A control's own keys stay its own, and so do those that scroll.
	const key = event.key;
	if (MOVES.test(key) && at.closest('input, select, [role=tabpanel], .then [role=region]')) return;
	if (/^(Enter| )$/.test(key) && at.closest('button, a, summary, select, [type=checkbox], [role=tab]'))
		return;
	if (/^\w$/.test(key) && at.closest('select')) return;
	return keysOf(screen, dialogs)[event.key];
}

function focusFilter(): void {
	document.querySelector<HTMLInputElement>('[data-filter]')?.focus();
}

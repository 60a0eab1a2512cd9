/** How things stand, in words: of the connection, of the view that is asked for, of the feed. */

import { tableLabel } from '../change.ts';
import { duration, stretchOf, when } from '../format.ts';
import { missingTables } from '../view.ts';
import type { Session } from './session.svelte.ts';

const STANCES = { live: 'Live', reading: 'Reading', paused: 'Paused' };

/** Why nothing can be heard just now; null while it can. */
export function absence({ locked, link, state }: Session): string | null {
	if (locked) return 'The server asks for a token';
	if (!link.up) return 'The server is away';
	return state?.database === 'disconnected' ? 'The database is away' : null;
}

/** In one sentence, at `now` in milliseconds. */
export function status({ locked, hello, link, state, player }: Session, now: number): string {
	if (locked) return 'The server asks for a token';
	if (!hello) return 'Connecting';
	if (!link.up) return `Server away for ${duration(now - link.since)}, reconnecting`;
	const since = duration(Math.max(0, now - Date.parse(state?.since ?? '')) || 0);
	if (state?.database === 'disconnected') return `Database away for ${since}, reconnecting`;
	const { stretch } = player;
	if (stretch) return `Replaying ${stretchOf(stretch.from, stretch.to)}`;
	return state?.database === 'catching-up' ? `Catching up for ${since}` : 'Following';
}

/** In a word or two: what the feed shows, and whether it moves. */
export function stance({ locked, hello, link, state, player, ledger }: Session): string {
	if (locked) return 'Token needed';
	if (!link.up) return hello ? 'Server away' : 'Connecting';
	if (state?.database === 'disconnected') return 'Database away';
	return player.stretch && ledger.stance === 'live' ? 'Replay' : STANCES[ledger.stance];
}

/** What of the view cannot be shown, in one sentence; null where all of it is. */
export function notice(session: Session): string | null {
	const { ready, unloaded, failing, link, view, tables, player } = session;
	const why = absence(session) ?? 'The database did not answer in time';
	if (ready && unloaded && (failing || !link.up)) return `${why}: what is shown is of the view before`;
	if (player.stuck) return `${why}: the changes shown are of where the replay stood`;
	const missing = missingTables(view, tables).map(tableLabel);
	if (missing.length > 0) return `This database has no table ${missing.join(', ')}: showing the rest`;
	if (view.unread) return view.unread;
	if (session.lost) return 'The log no longer holds the row of this link';
	if (player.stretch && player.empty) return 'The log holds nothing of this time';
	return player.stretch && player.since ? `The log begins at ${when(Date.parse(player.since))}` : null;
}

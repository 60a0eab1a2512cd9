/** What differs inside a document, path by path: `dim.h`, `tags.2`. */

import { kindOf, members, valuesOf } from './json.ts';

/** One value inside two versions of a document; a side is null where it has none. */
export interface PathChange {
	path: string;
	/** JSON text, exactly as it was written. */
	before: string | null;
	after: string | null;
	changed: boolean;
}

/** Deeper than so many levels, a value is told as a whole. */
const DEEPEST = 12;

/**
 * The values inside two versions of a JSON document, down to where they differ, at most `deepest` levels; what did not
 * change is told as a whole. None where they are no documents of one kind, or differ in nothing but how they are written.
 */
export function pathChanges(before: string | null, after: string | null, deepest = DEEPEST): PathChange[] {
	const paths = before === null || after === null ? [] : inside(before, after, '', deepest);
	return paths.some(({ changed }) => changed) ? paths : [];
}

function inside(before: string, after: string, path: string, levels: number): PathChange[] {
	const kind = kindOf(before);
	if ((kind !== 'object' && kind !== 'array') || kindOf(after) !== kind || levels === 0) return [];
	return (kind === 'object' ? byName : byPlace)(before, after).flatMap((pair) => {
		const whole = { ...pair, path: path + pair.path, changed: pair.before !== pair.after };
		if (!whole.changed || pair.before === null || pair.after === null) return whole;
		const parts = inside(pair.before, pair.after, `${whole.path}.`, levels - 1);
		return parts.some(({ changed }) => changed) ? parts : whole;
	});
}

type Pair = Omit<PathChange, 'changed'>;

function byName(before: string, after: string): Pair[] {
	const [from, to] = [before, after].map(valuesOf);
	return [...new Set([...to!.keys(), ...from!.keys()])].map((path) => ({
		path,
		before: from!.get(path) ?? null,
		after: to!.get(path) ?? null
	}));
}

/** One item put in or taken out moves all behind it: what both begin and end with is the same. */
function byPlace(before: string, after: string): Pair[] {
	const [from, to] = [before, after].map((text) => members(text).map(({ text }) => text)) as [
		string[],
		string[]
	];
	const least = Math.min(from.length, to.length);
	let start = 0;
	while (start < least && from[start] === to[start]) start++;
	let end = 0;
	while (end < least - start && from.at(-1 - end) === to.at(-1 - end)) end++;
	const removed = from.slice(start, from.length - end);
	const added = to.slice(start, to.length - end);
	const changed = removed.length > added.length ? removed : added;
	const unchanged = (text: string, path: number) => ({ path: String(path), before: text, after: text });
	return [
		...to.slice(0, start).map((text, i) => unchanged(text, i)),
		...changed.map((_, i) => ({
			path: String(start + i),
			before: removed[i] ?? null,
			after: added[i] ?? null
		})),
		...to.slice(to.length - end).map((text, i) => unchanged(text, to.length - end + i))
	];
}

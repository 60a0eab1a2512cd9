/** Where two texts differ, for a person who would have to compare them sign by sign. */

/** Shorter ones are compared at a glance. */
const GLANCE = 12;

/** How many characters two texts begin alike with; never half a character. */
export function alike(a: string, b: string): number {
	const most = Math.min(a.length, b.length);
	let same = 0;
	while (same < most && a.charCodeAt(same) === b.charCodeAt(same)) same++;
	return same > 0 && /[\ud800-\udbff]/.test(a[same - 1]!) ? same - 1 : same;
}

/** The part of a text that another one has otherwise; null where they are short, or have little in common. */
export function differing(text: string, other: string): { from: number; to: number } | null {
	const shorter = Math.min(text.length, other.length);
	const from = alike(text, other);
	let end = 0;
	while (
		end < shorter - from &&
		text.charCodeAt(text.length - 1 - end) === other.charCodeAt(other.length - 1 - end)
	)
		end++;
	if (end > 0 && /[\udc00-\udfff]/.test(text[text.length - end]!)) end--;
	if (Math.max(text.length, other.length) < GLANCE || (from + end) * 2 < shorter) return null;
	return { from, to: text.length - end };
}

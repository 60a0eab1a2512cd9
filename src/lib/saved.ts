/** Views by name, as they are kept in the browser. */

import * as v from 'valibot';

/** A name, and the address that `formatView` gave. */
const savedView = v.object({
	name: v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(80)),
	address: v.pipe(v.string(), v.maxLength(8000), v.regex(/^(\?.*)?$/))
});
export type SavedView = v.InferOutput<typeof savedView>;

/** As many as a menu has room for. */
export const MOST_VIEWS = 50;

/** Reads what is kept: anything may stand there, what is no view is passed over, and of one name the first counts. */
export function parseSaved(text: string | null): SavedView[] {
	let list: unknown;
	try {
		list = JSON.parse(text ?? '[]');
	} catch {
		return [];
	}
	const found: SavedView[] = [];
	for (const item of Array.isArray(list) ? list : []) {
		const view = v.safeParse(savedView, item);
		if (view.success && !found.some(({ name }) => name === view.output.name)) found.push(view.output);
	}
	return found.slice(0, MOST_VIEWS);
}

/** The list with a view by this name: the one that had it is replaced, a new one comes last. */
export function withView(list: readonly SavedView[], name: string, address: string): SavedView[] {
	const view = { name, address };
	const known = list.some((other) => other.name === name);
	return known ? list.map((other) => (other.name === name ? view : other)) : [...list, view];
}

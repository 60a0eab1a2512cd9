/**
 * The primary key of a change, taken from the row's JSON text without parsing the row: a row may nest thousands of
 * levels deep, and its numbers must stay exact.
 */

/** The values of these top-level names as text; null for JSON's null and for a name that is not there. */
export function keyOf(row: string, names: string[]): Record<string, string | null> {
	const wanted = new Set(names);
	const found = new Map<string, string | null>();
	let at = 1;
	while (at < row.length && found.size < wanted.size) {
		const open = row.indexOf('"', at);
		if (open < 0) break;
		const close = endOfString(row, open);
		const start = close + 2; // row_to_json writes no space around the colon
		const end = endOfValue(row, start);
		const name = JSON.parse(row.slice(open, close + 1)) as string;
		if (wanted.has(name)) found.set(name, textOf(row.slice(start, end)));
		at = end + 1;
	}
	return Object.fromEntries(names.map((name) => [name, found.get(name) ?? null]));
}

function textOf(value: string): string | null {
	if (value === 'null') return null;
	return value.startsWith('"') ? (JSON.parse(value) as string) : value;
}

/** The index of the quote that ends the string which begins at `open`. */
function endOfString(text: string, open: number): number {
	for (let i = open + 1; i < text.length; i++) {
		const char = text.charCodeAt(i);
		if (char === BACKSLASH) i++;
		else if (char === QUOTE) return i;
	}
	return text.length;
}

/** The index after the value that begins at `start`. */
function endOfValue(text: string, start: number): number {
	let depth = 0;
	for (let i = start; i < text.length; i++) {
		const char = text.charCodeAt(i);
		if (char === QUOTE) i = endOfString(text, i);
		else if (char === OPEN_BRACE || char === OPEN_BRACKET) depth++;
		else if (depth === 0 && (char === COMMA || char === CLOSE_BRACE)) return i;
		else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--;
	}
	return text.length;
}

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;

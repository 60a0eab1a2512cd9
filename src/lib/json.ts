/**
 * Rows as they are: JSON text taken apart without turning a number into a double.
 *
 * A row's text is only ever cut into slices (`9007199254740993` stays these sixteen digits, `0.10` keeps its zero), one
 * level at a time and without recursion, so a document of 6,000 levels costs no stack.
 */

/** One member of an object or array; `text` is its value's JSON, exactly as it was written. */
export interface Member {
	/** The object's key, or the array's index. */
	name: string;
	text: string;
}

const QUOTE = 34;
const BACKSLASH = 92;

/** Where the string that opens at `start` ends (just past its closing quote). */
function endOfString(text: string, start: number): number {
	let i = start + 1;
	while (i < text.length) {
		const code = text.charCodeAt(i);
		if (code === BACKSLASH) i += 2;
		else if (code === QUOTE) return i + 1;
		else i++;
	}
	return text.length;
}

/** Where the value that starts at `start` ends. */
function endOfValue(text: string, start: number): number {
	let depth = 0;
	let i = start;
	while (i < text.length) {
		const char = text[i];
		if (char === '"') {
			i = endOfString(text, i);
			if (depth === 0) return i;
			continue;
		}
		if (char === '{' || char === '[') depth++;
		else if (char === '}' || char === ']') {
			if (depth === 0) return i;
			if (--depth === 0) return i + 1;
		} else if (char === ',' && depth === 0) return i;
		i++;
	}
	return i;
}

/** What a JSON text is, told from its first character. */
export type Kind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

export function kindOf(text: string): Kind {
	switch (text.trimStart()[0]) {
		case '{':
			return 'object';
		case '[':
			return 'array';
		case '"':
			return 'string';
		case 't':
		case 'f':
			return 'boolean';
		case 'n':
			return 'null';
		default:
			return 'number';
	}
}

/** The members of an object or array, in their order, duplicates and `__proto__` included; none of anything else. */
export function members(source: string | null): Member[] {
	const text = source?.trim() ?? '';
	const isObject = text[0] === '{';
	if (!isObject && text[0] !== '[') return [];
	const found: Member[] = [];
	let i = 1;
	while (i < text.length) {
		while (i < text.length && /[\s,]/.test(text[i]!)) i++;
		if (i >= text.length || text[i] === '}' || text[i] === ']') break;
		let name = String(found.length);
		if (isObject) {
			const end = endOfString(text, i);
			name = unquote(text.slice(i, end));
			i = text.indexOf(':', end) + 1;
			if (i === 0) break;
			while (i < text.length && /\s/.test(text[i]!)) i++;
		}
		const end = endOfValue(text, i);
		found.push({ name, text: text.slice(i, end).trim() });
		i = Math.max(end, i + 1);
	}
	return found;
}

/** A JSON string's characters; the text itself where it is no valid JSON string. */
export function unquote(text: string): string {
	try {
		const value: unknown = JSON.parse(text);
		return typeof value === 'string' ? value : text;
	} catch {
		return text;
	}
}

/** A value as a person reads it: strings without their quotes, everything else as PostgreSQL wrote it. */
export function plain(text: string): string {
	return kindOf(text) === 'string' ? unquote(text) : text;
}

/** Where a pretty-printed document stops going deeper and stays on one line. */
const DEEPEST = 12;

/** JSON text over several lines, every number as it was written. */
export function pretty(text: string, depth = 0): string {
	const kind = kindOf(text);
	if ((kind !== 'object' && kind !== 'array') || depth >= DEEPEST) return text;
	const inside = members(text);
	if (inside.length === 0) return text;
	const pad = '  '.repeat(depth + 1);
	const lines = inside.map(
		({ name, text: value }) =>
			pad + (kind === 'object' ? `${JSON.stringify(name)}: ` : '') + pretty(value, depth + 1)
	);
	const [open, close] = kind === 'object' ? ['{', '}'] : ['[', ']'];
	return `${open}\n${lines.join(',\n')}\n${'  '.repeat(depth)}${close}`;
}

/** The values of an object, such as a row, as JSON text by name. */
export function valuesOf(text: string | null): Map<string, string> {
	return new Map(members(text).map(({ name, text }) => [name, text]));
}

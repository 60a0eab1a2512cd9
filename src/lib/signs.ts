/**
 * Characters that cannot be seen, or that move others about, as signs: two different values look different. And none is
 * cut in half.
 */

/** A stretch of a text: as it is, or one character with the sign for it. */
export interface Piece {
	text: string;
	sign: string | null;
}

/**
 * Blanks at an edge; control characters but a line break inside; blanks other than a space; what has no width or turns the
 * direction. Joiners stay between letters of the scripts, and the emoji, that need them.
 */
const UNSEEN =
	/^[ \n]+|[ \n]+$|(?!\n)\p{Cc}|[\xa0\xad\u061c\u1680\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]|(?<!\P{ASCII})[\u200c\u200d]|[\u200c\u200d](?!\P{ASCII})/gu;

const SIGNS: Record<string, string> = { ' ': '␣', '\n': '⏎', '\t': '⇥', '\u007f': '␡', '\u00a0': '⍽' };

function signOf(char: string): string {
	const code = char.charCodeAt(0);
	if (SIGNS[char]) return SIGNS[char];
	if (code < 32) return String.fromCharCode(0x2400 + code);
	return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** A text in pieces; null where all of it is seen as it is. */
export function piecesOf(text: string): Piece[] | null {
	// Nearly all are, and this is a tenth of the work.
	if (text.search(UNSEEN) < 0) return null;
	const pieces: Piece[] = [];
	let from = 0;
	for (const { 0: found, index } of text.matchAll(UNSEEN)) {
		if (index > from) pieces.push({ text: text.slice(from, index), sign: null });
		for (const char of found) pieces.push({ text: char, sign: signOf(char) });
		from = index + found.length;
	}
	if (from < text.length) pieces.push({ text: text.slice(from), sign: null });
	return pieces;
}

/** Whether a text reads as something that is no text: `null`, `true`, `12.50`. */
export function looksOther(text: string): boolean {
	return /^(null|true|false|-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?)$/i.test(text);
}

/** Where a text can be cut: at `at`, or before the character that this would halve. */
export function wholeAt(text: string, at: number): number {
	return (text.codePointAt(at - 1) ?? 0) > 0xffff ? at - 1 : at;
}

/** A text of no more than `most` characters, the last of them an ellipsis where there were more. */
export function shortened(text: string, most: number): string {
	return text.length > most ? `${text.slice(0, wholeAt(text, most - 1))}…` : text;
}

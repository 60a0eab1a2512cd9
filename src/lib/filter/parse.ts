/** From text to a filter, or to what is wrong with the text, where, and what to do. */
import {
	isNumber,
	MAX_LENGTH,
	type ColumnRef,
	type Comparison,
	type Leaf,
	type Parsed,
	type Term,
	type Value
} from '../filter.ts';
import { OPS } from '../protocol.ts';
import { nameSlip, signSlip } from './slips.ts';

const MAX_DEPTH = 40;
const MAX_TERMS = 100;

/** Reads a filter. The error of one that cannot be read says what to do, and where. */
export function parse(text: string): Parsed {
	try {
		return { ok: true, filter: new Parser(text).filter() };
	} catch (error) {
		if (error instanceof Problem)
			return { ok: false, at: error.at, length: error.length, message: error.message };
		throw error;
	}
}

class Problem extends Error {
	constructor(
		readonly at: number,
		readonly length: number,
		message: string
	) {
		super(message);
	}
}

class Parser {
	#at = 0;
	#terms = 0;

	constructor(readonly text: string) {
		if (text.length > MAX_LENGTH)
			throw new Problem(
				MAX_LENGTH,
				text.length - MAX_LENGTH,
				`Shorten this: ${MAX_LENGTH} characters are the most.`
			);
		const zero = text.indexOf('\0');
		if (zero >= 0)
			throw new Problem(zero, 1, 'Take this character out: no text in PostgreSQL can contain it.');
	}

	filter(): Term {
		const term = this.#or(0);
		if (this.#at < this.text.length)
			throw new Problem(
				this.#at,
				1,
				/[:=<>~]\s*[[(][^\s]*$/.test(this.text.slice(0, this.#at))
					? 'Put a value with brackets in double quotes, like during:"[1,5)".'
					: 'Take this parenthesis out, or open it further to the left.'
			);
		return term;
	}

	#or(depth: number): Term {
		const terms = [this.#and(depth)];
		while (this.#word('or')) {
			const [at, length] = [this.#at - 2, 2];
			const last = terms.at(-1)!;
			if (last.kind === 'and' && last.terms.length === 0)
				throw new Problem(at, length, 'Write a term before "or", like op:insert or op:delete.');
			terms.push(this.#and(depth));
			const next = terms.at(-1)!;
			if (next.kind === 'and' && next.terms.length === 0)
				throw new Problem(at, length, 'Write a term after "or", like op:insert or op:delete.');
		}
		return terms.length === 1 ? terms[0]! : { kind: 'or', terms, at: terms[0]!.at, end: terms.at(-1)!.end };
	}

	#and(depth: number): Term {
		const terms: Term[] = [];
		const start = this.#at;
		while (this.#atTerm()) {
			const and = terms.length > 0 && this.#word('and') ? this.#at - 3 : null;
			if (and !== null && (!this.#atTerm() || this.#looksAt('and')))
				throw new Problem(and, 3, 'Write a term after "and", or leave it out: a blank means and.');
			terms.push(this.#unary(depth));
		}
		if (terms.length === 1) return terms[0]!;
		return { kind: 'and', terms, at: terms[0]?.at ?? start, end: terms.at(-1)?.end ?? start };
	}

	#unary(depth: number): Term {
		const at = this.#at;
		if (depth > MAX_DEPTH)
			throw new Problem(at, 1, `Write this with less nesting: ${MAX_DEPTH} levels are the most.`);
		if (this.text[at] === '-') {
			this.#at++;
			if (!this.text[this.#at] || /[\s)]/.test(this.text[this.#at]!))
				throw new Problem(at, 1, 'Write - right before what it excludes, like -op:delete.');
			const term = this.#unary(depth + 1);
			return { kind: 'not', term, at, end: term.end };
		}
		if (this.text[at] === '(') {
			this.#at++;
			const term = this.#or(depth + 1);
			if (this.text[this.#at] !== ')') throw new Problem(at, 1, 'Close this parenthesis.');
			this.#at++;
			if (term.kind === 'and' && term.terms.length === 0)
				throw new Problem(at, this.#at - at, 'Write a term between the parentheses, or take them out.');
			return { ...term, at, end: this.#at };
		}
		if (++this.#terms > MAX_TERMS) throw new Problem(at, 1, `Use fewer terms: ${MAX_TERMS} are the most.`);
		return { ...this.#leaf(), at, end: this.#at };
	}

	#leaf(): Leaf {
		const at = this.#at;
		const quoted = this.text[at] === '"';
		const name = this.#name();
		const word = quoted ? '' : name.toLowerCase();
		const row = word === 'before' || word === 'after' ? word : null;
		const column: ColumnRef =
			row && this.text[this.#at] === '.'
				? (this.#at++, { kind: 'column', row, name: this.#name() })
				: { kind: 'column', row: null, name };
		const end = this.#at;
		this.#skip();
		const comparison = this.#comparison();
		if (!comparison)
			throw new Problem(at, end - at, nameSlip(this.text.slice(at, end), this.text.slice(end)));
		const operator = { at: this.#at - comparison.length, length: comparison.length };
		if (column.row === null && ['table', 'op', 'tx', 'changed'].includes(word)) {
			if (comparison !== ':' && comparison !== '=')
				throw new Problem(operator.at, operator.length, `Write ${word}: here, and -${word}: to exclude.`);
			this.#skip();
			this.#needValue(this.text.slice(at, this.#at).trimEnd());
			return this.#special(word as 'table' | 'op' | 'tx' | 'changed');
		}
		this.#skip();
		this.#needValue(this.text.slice(at, this.#at).trimEnd());
		const valueAt = this.#at;
		const value = this.#value();
		const is = comparison === ':' ? '=' : comparison;
		if (value.kind === 'null' && is !== '=' && is !== '!=')
			throw new Problem(valueAt, 4, 'Compare null with : or != only; nothing is larger or smaller than it.');
		if (value.kind === 'column' && is === '~')
			throw new Problem(valueAt, this.#at - valueAt, 'Write a pattern after ~, like "*part*".');
		const pattern =
			is === '~' && value.kind === 'number' ? { kind: 'text' as const, text: value.text } : value;
		return { kind: 'compare', column, comparison: is as Comparison, value: pattern };
	}

	#special(word: 'table' | 'op' | 'tx' | 'changed'): Leaf {
		const at = this.#at;
		switch (word) {
			case 'table': {
				const parts = [this.#part()];
				while (this.text[this.#at] === '.') {
					this.#at++;
					this.#needValue('table:schema.');
					parts.push(this.#part());
				}
				this.#endOfTerm();
				if (parts.length > 2)
					throw new Problem(
						at,
						this.#at - at,
						'Write a table as name or schema.name; put a name with a point in double quotes.'
					);
				const table = parts.pop()!;
				return { kind: 'table', schema: parts[0] ?? null, table };
			}
			case 'changed': {
				const column = this.#name();
				this.#endOfTerm();
				return { kind: 'changed', column };
			}
			case 'op': {
				const text = this.#plainWord();
				const op = OPS.find((op) => op === text.toUpperCase());
				if (!op)
					throw new Problem(
						at,
						this.#at - at,
						`Write one of ${OPS.map((op) => op.toLowerCase()).join(', ')}.`
					);
				return { kind: 'op', op };
			}
			case 'tx': {
				const text = this.#plainWord();
				if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 2n ** 64n)
					throw new Problem(at, this.#at - at, 'Write the number of a transaction.');
				return { kind: 'tx', tx: BigInt(text).toString() };
			}
		}
	}

	/** A column's name: a plain word, or anything in double quotes. */
	#name(): string {
		if (this.text[this.#at] === '"') return this.#quoted();
		const [word] = /^[\p{L}\p{N}_$]+/u.exec(this.text.slice(this.#at)) ?? [];
		if (word === undefined) {
			const char = this.text[this.#at];
			const slip = signSlip(this.text.slice(this.#at));
			if (slip) throw new Problem(this.#at, slip.length, slip.message);
			throw new Problem(
				Math.min(this.#at, this.text.length),
				char === undefined ? 0 : 1,
				char !== undefined && /[:=!<>~]/.test(char)
					? `Write a column before ${char}, like price${char === '!' ? '!=' : char}10.`
					: 'Write a column, like price>10; put a name with other characters in double quotes.'
			);
		}
		this.#at += word.length;
		return word;
	}

	/** A part of a table's name: all but blanks, points and parentheses, or anything in double quotes. */
	#part(): string {
		if (this.text[this.#at] === '"') return this.#quoted();
		const [word] = /^[^\s().":=!<>~]+/.exec(this.text.slice(this.#at)) ?? [];
		if (word === undefined)
			throw new Problem(this.#at, 1, 'Write the name of a table here, like table:Book.');
		this.#at += word.length;
		return word;
	}

	#value(): Value | ColumnRef {
		const at = this.#at;
		if (this.text[at] === '"') {
			const value: Value = { kind: 'text', text: this.#quoted() };
			this.#endOfTerm();
			return value;
		}
		const [, row] = /^(before|after)\.(?=["\p{L}\p{N}_$])/iu.exec(this.text.slice(at)) ?? [];
		if (row) {
			this.#at += row.length + 1;
			const column: ColumnRef = {
				kind: 'column',
				row: row.toLowerCase() as 'before' | 'after',
				name: this.#name()
			};
			if (!/[^\s()]/.test(this.text[this.#at] ?? ' ')) return column;
			throw new Problem(
				at,
				this.#at - at,
				'Put a value that begins like a column (before. or after.) in double quotes.'
			);
		}
		if (/[:=<>~]/.test(this.text[at]!))
			throw new Problem(
				at,
				1,
				`Take this out, or put a value that begins with ${this.text[at]} in double quotes.`
			);
		const text = this.#plainWord();
		if (/^null$/i.test(text)) return { kind: 'null' };
		return { kind: isNumber(text) ? 'number' : 'text', text };
	}

	#plainWord(): string {
		const [word] = /^[^\s()"]*/.exec(this.text.slice(this.#at))!;
		this.#at += word.length;
		this.#endOfTerm();
		return word;
	}

	#quoted(): string {
		const at = this.#at;
		const [whole] = /^"(?:[^"\\]|\\[^])*"/.exec(this.text.slice(at)) ?? [];
		if (whole === undefined) throw new Problem(at, this.text.length - at, 'Close these quotes.');
		this.#at += whole.length;
		return whole.slice(1, -1).replace(/\\(["\\])/g, '$1');
	}

	#comparison(): string | undefined {
		const [found] = /^(!=|<=|>=|[:=<>~])/.exec(this.text.slice(this.#at)) ?? [];
		if (found) this.#at += found.length;
		return found;
	}

	#needValue(before: string): void {
		if (this.text[this.#at] !== undefined && !/[\s()]/.test(this.text[this.#at]!)) return;
		throw new Problem(this.#at, 0, `Write a value after ${before} ("" is the empty text, null is no value).`);
	}

	#endOfTerm(): void {
		const char = this.text[this.#at];
		if (char !== undefined && !/[\s()]/.test(char))
			throw new Problem(this.#at, 1, 'Put a blank here, or the whole value in double quotes.');
	}

	/** Over blanks; is there anything more? */
	#skip(): boolean {
		while (/\s/.test(this.text[this.#at] ?? '')) this.#at++;
		return this.#at < this.text.length;
	}

	/** Over blanks; does a term of an "and" stand there? */
	#atTerm(): boolean {
		return this.#skip() && this.text[this.#at] !== ')' && !this.#looksAt('or');
	}

	/** Is the next word this one, and no column of that name? */
	#looksAt(word: string): boolean {
		return new RegExp(`^${word}(?=[\\s()-]|$)(?!\\s*(!=|[:=<>~]))`, 'i').test(this.text.slice(this.#at));
	}

	#word(word: string): boolean {
		this.#skip();
		if (!this.#looksAt(word)) return false;
		this.#at += word.length;
		return true;
	}
}

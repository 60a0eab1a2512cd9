/** The shapes of what clients may send; everything inbound passes here first. */
import * as v from 'valibot';
import { DEFAULT_LIMIT, MAX_CHANGES, OPS, type Filter } from '../protocol.ts';
import { RequestError } from './errors.ts';
import { microsOf } from './spans.ts';

/** Most characters that a message may have as JSON. */
const MAX_SIZE = 64_000;
/** Stands for a message that was not read, because of its size. */
export const TOO_LARGE = Object.freeze({});
const MAX_TABLES = 1000;
const MAX_BIGINT = 2n ** 63n - 1n;

/** valibot would take an array for an object. */
const object = <const E extends v.ObjectEntries>(entries: E) =>
	v.pipe(
		v.custom<v.InferInput<v.ObjectSchema<E, undefined>>>(
			(given) => !Array.isArray(given),
			'must be an object'
		),
		v.object(entries)
	);
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(63));
const bigint = v.pipe(
	v.string(),
	v.regex(/^(0|[1-9]\d{0,18})$/, 'must be a whole number in decimal digits, as a string'),
	v.check((text) => BigInt(text) <= MAX_BIGINT, 'is too large')
);
/** A seq may be longer than 64 bits. */
const seq = v.pipe(
	v.string(),
	v.regex(/^(0|[1-9]\d{0,38})$/, 'must be a whole number in decimal digits, as a string')
);
const time = v.pipe(
	v.string(),
	v.regex(
		/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/,
		'must be a time like 2026-01-31T12:00:00.000000Z'
	),
	// Date.parse takes 30 February for 1 March, and years and zones that PostgreSQL does not have.
	v.check((text) => {
		const day = Date.parse(`${text.slice(0, 10)}T00:00:00Z`);
		const exists =
			!Number.isNaN(Date.parse(text)) && new Date(day).toISOString().startsWith(text.slice(0, 10));
		// In UTC, too, a year has four digits.
		const years = [text, exists ? new Date(text).toISOString() : ''].every((each) =>
			/^(?!0000)\d{4}-/.test(each)
		);
		return exists && years && !/[+-](1[6-9]|2\d):\d\d$/.test(text);
	}, 'is no time that exists')
);
const limit = v.pipe(
	v.number('must be a number'),
	v.integer('must be a whole number'),
	v.minValue(1, 'must be at least 1'),
	v.maxValue(MAX_CHANGES, `must be at most ${MAX_CHANGES}`)
);

const tableName = { schema: name, table: name };
const filter = object({
	tables: v.optional(
		v.pipe(v.array(object(tableName)), v.maxLength(MAX_TABLES, `must name at most ${MAX_TABLES} tables`))
	),
	ops: v.optional(
		v.pipe(v.array(v.picklist(OPS, `must be one of ${OPS.join(', ')}`)), v.maxLength(OPS.length))
	),
	where: v.optional(v.pipe(v.string(), v.maxLength(4000, 'must have at most 4000 characters')))
});
const position = object({ tick: bigint, seq });

export const subscribe = object({
	filter: v.optional(filter, {}),
	after: v.optional(v.nullable(object({ epoch: v.pipe(v.string(), v.maxLength(100)), tick: bigint }))),
	mode: v.optional(v.picklist(['feed', 'stream'], 'must be feed or stream'), 'feed'),
	limit: v.optional(limit, DEFAULT_LIMIT)
});

export const unsubscribe = v.optional(v.nullable(object({})));

export const history = object({
	filter: v.optional(filter, {}),
	before: v.optional(v.nullable(position)),
	after: v.optional(v.nullable(position)),
	limit: v.optional(limit, DEFAULT_LIMIT),
	order: v.optional(v.picklist(['asc', 'desc'], 'must be asc or desc'))
});

export const rates = v.pipe(
	object({
		from: time,
		to: time,
		buckets: limit,
		filter: v.optional(filter, {}),
		until: v.optional(bigint)
	}),
	v.check(({ from, to }) => microsOf(from) < microsOf(to), '`from` must lie before `to`')
);

export const row = object({
	...tableName,
	key: v.pipe(
		v.custom<Record<string, string | null>>(
			(key) =>
				typeof key === 'object' &&
				key !== null &&
				!Array.isArray(key) &&
				Object.values(key).every((value) => typeof value === 'string' || value === null),
			'must be an object of the primary key columns and their values as text'
		),
		v.check((key) => Object.keys(key).length > 0, 'names no column'),
		v.check((key) => Object.keys(key).length <= 32, 'names more columns than a key can have')
	),
	before: v.optional(v.nullable(position)),
	limit: v.optional(limit, DEFAULT_LIMIT)
});

/** The checked message, or a BAD_REQUEST that says which part is wrong and how. */
export function parse<S extends v.GenericSchema>(schema: S, message: unknown): v.InferOutput<S> {
	if (message !== undefined && message !== null && (typeof message !== 'object' || Array.isArray(message)))
		throw new RequestError('BAD_REQUEST', 'The message must be an object.');
	if (message === TOO_LARGE || sizeOf(message) > MAX_SIZE)
		throw new RequestError('BAD_REQUEST', `The message is too large: at most ${MAX_SIZE} characters.`);
	const result = v.safeParse(schema, message ?? {}, { abortEarly: true });
	if (result.success) return result.output;
	const issue = result.issues[0];
	const where = v.getDotPath(issue);
	const what = /^(must|is|names)/.test(issue.message)
		? issue.message
		: issue.expected && issue.received === 'undefined'
			? 'is missing'
			: issue.message.replace(/^Invalid \w+: /, 'is wrong: ');
	throw new RequestError('BAD_REQUEST', where ? `\`${clip(where)}\` ${clip(what)}.` : `${clip(what)}.`);
}

/** One text for filters that mean the same, so that they share a room. */
export function filterKey({ tables, ops, where }: Filter): string {
	const names =
		tables && [...new Set(tables.map(({ schema, table }) => JSON.stringify([schema, table])))].sort();
	return JSON.stringify([names, ops && OPS.filter((op) => ops.includes(op)), where?.trim() || undefined]);
}

function sizeOf(message: unknown): number {
	try {
		return JSON.stringify(message)?.length ?? 0;
	} catch {
		return Infinity; // nested too deep
	}
}

function clip(text: string): string {
	return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

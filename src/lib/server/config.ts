/** The only reader of the environment. */
import { isIP } from 'node:net';
import * as v from 'valibot';
import type { TableName } from '../protocol.ts';
import { ConfigError } from './errors.ts';
import type { Config, RedactedColumn } from './types.ts';

const MINUTE = 60_000;
const TIMES = {
	ms: 1,
	s: 1000,
	m: MINUTE,
	min: MINUTE,
	h: 60 * MINUTE,
	d: 24 * 60 * MINUTE,
	w: 7 * 24 * 60 * MINUTE
};
const SIZES = { B: 1, kB: 2 ** 10, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };

/** Each variable with the shape of its value; one that is unset or empty takes the default. */
const ENVIRONMENT = v.object({
	DATABASE_URL: v.optional(
		v.pipe(v.string(), v.check(isDatabaseUrl, 'must be like postgres://user:password@host:5432/database'))
	),
	HOST: v.optional(v.pipe(v.string(), v.check(isHost, 'must be an IP address or a host name')), '127.0.0.1'),
	PORT: v.optional(port(), '3000'),
	PGPORT: v.optional(port()),
	ROWCAST_WATCH: v.optional(parsed((text) => (text === 'all' ? 'all' : parseTables(text)))),
	ROWCAST_TOKEN: v.optional(
		v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces'))
	),
	ROWCAST_ORIGINS: v.optional(parsed(parseOrigins), ''),
	ROWCAST_REDACT: v.optional(parsed(parseColumns), ''),
	ROWCAST_RETENTION: v.optional(
		parsed((text) => parseAmount(text, TIMES, '24h', TIMES.s, 3650 * TIMES.d)),
		'24h'
	),
	ROWCAST_MAX_LOG: v.optional(
		parsed((text) => parseAmount(text, SIZES, '1GB', SIZES.MB, 2 ** 50)),
		'1GB'
	)
});

/** Reads and checks every setting; throws a ConfigError of one line that names the variable. */
export function readConfig(env: Record<string, string | undefined>, version: string): Config {
	const given = Object.fromEntries(
		Object.entries(env).flatMap(([name, value]) => (value?.trim() ? [[name, value.trim()]] : []))
	);
	const result = v.safeParse(ENVIRONMENT, given, { abortEarly: true });
	if (!result.success) {
		const { path, message } = result.issues[0];
		throw new ConfigError(`${path?.[0].key} ${message}.`);
	}
	const settings = result.output;
	const host = settings.HOST.replace(/^\[(.*)\]$/, '$1');
	const token = settings.ROWCAST_TOKEN ?? null;
	if (token === null && !isLoopback(host))
		throw new ConfigError(
			`HOST ${host} can be reached by others: set ROWCAST_TOKEN to a secret that viewers must show, or leave HOST at 127.0.0.1.`
		);
	return {
		database: whichDatabase(settings.DATABASE_URL, given),
		host,
		port: settings.PORT,
		watch: settings.ROWCAST_WATCH ?? null,
		token,
		origins: settings.ROWCAST_ORIGINS,
		redact: settings.ROWCAST_REDACT,
		retentionMs: settings.ROWCAST_RETENTION,
		maxLogBytes: settings.ROWCAST_MAX_LOG,
		version
	};
}

/** Is it a host name or address that only this machine can connect to? */
export function isLoopback(host: string): boolean {
	return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function whichDatabase(url: string | undefined, given: Record<string, string>): Config['database'] {
	if (url !== undefined) {
		// pg takes the weaker modes for this one, and says so in ten lines.
		const strict = url.includes('uselibpqcompat=true')
			? url
			: url.replace(/([?&]sslmode=)(prefer|require|verify-ca)(?=&|#|$)/g, '$1verify-full');
		return { connectionString: strict };
	}
	const named = ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGPASSWORD'].some((name) => name in given);
	return named ? {} : 'embedded';
}

function isDatabaseUrl(text: string): boolean {
	// A socket's folder as the host (`postgres://user@/database`) is no valid URL, but pg takes it.
	const url = text.replace(/@\//, '@localhost/');
	return /^postgres(ql)?:\/\//.test(url) && URL.canParse(url);
}

function isHost(text: string): boolean {
	return (
		isIP(text.replace(/^\[(.*)\]$/, '$1')) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)
	);
}

function port() {
	return parsed((text) => {
		if (!/^\d{1,5}$/.test(text) || Number(text) > 65535)
			throw new Error(`must be a port from 0 to 65535, not ${quote(text)}`);
		return Number(text);
	});
}

/** A string that `parse` turns into the value, or refuses with the end of a sentence. */
function parsed<T>(parse: (text: string) => T) {
	return v.pipe(
		v.string(),
		v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
			try {
				return parse(dataset.value);
			} catch (error) {
				addIssue({ message: (error as Error).message });
				return NEVER;
			}
		})
	);
}

function parseAmount(
	text: string,
	units: Record<string, number>,
	example: string,
	least: number,
	most: number
): number {
	const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text) ?? [];
	const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined;
	if (factor === undefined)
		throw new Error(
			`must be a number and a unit (${Object.keys(units).join(', ')}) like ${example}, not ${quote(text)}`
		);
	const amount = Math.round(Number(digits) * factor);
	if (amount < least) throw new Error(`is too small: ${quote(text)}`);
	if (amount > most) throw new Error(`is too large: ${quote(text)}`);
	return amount;
}

function parseOrigins(text: string): string[] {
	return split(text).map((item) => {
		const url = URL.canParse(item) ? new URL(item) : undefined;
		if (
			!url ||
			!/^https?:$/.test(url.protocol) ||
			url.pathname !== '/' ||
			url.search ||
			url.hash ||
			url.username
		)
			throw new Error(`must list origins like https://example.org, not ${quote(item)}`);
		return url.origin;
	});
}

/** `schema.table, "odd.schema"."Table"`: names are taken as they are written, case included. */
function parseTables(text: string): TableName[] {
	return split(text).map((item) => {
		const [schema, table, ...rest] = parseName(item);
		if (!schema || !table || rest.length > 0)
			throw new Error(`must be "all" or list tables as schema.table, not ${quote(item)}`);
		return { schema, table };
	});
}

function parseColumns(text: string): RedactedColumn[] {
	return split(text).map((item) => {
		const [schema, table, column, ...rest] = parseName(item);
		if (!schema || !table || !column || rest.length > 0)
			throw new Error(`must list columns as schema.table.column (* for any), not ${quote(item)}`);
		return { schema, table, column };
	});
}

/** The items of a comma-separated list; a comma within double quotes separates nothing. */
function split(text: string): string[] {
	if (text === '') return [];
	const items = text.match(/(?:"(?:[^"]|"")*"|[^",])+|(?<=,|^)(?=,|$)|"/g) ?? [];
	return items.map((item) => item.trim());
}

/** The parts of a dotted name, each plain or in double quotes (doubled within); none where it is malformed. */
function parseName(text: string): string[] {
	if (!/^(?:"(?:[^"]|"")+"|[^".]+)(?:\.(?:"(?:[^"]|"")+"|[^".]+))*$/.test(text)) return [];
	const parts = text.match(/"(?:[^"]|"")+"|[^".]+/g) ?? [];
	return parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.trim()));
}

function quote(text: string): string {
	return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

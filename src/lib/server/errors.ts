/** What can go wrong, in one clear sentence each. */
import type { ErrorCode, Failure } from '../protocol.ts';

/** A request that fails for a reason its sender may know. */
export class RequestError extends Error {
	constructor(
		readonly code: ErrorCode,
		message: string,
		options?: ErrorOptions
	) {
		super(message, options);
	}
}

/** A setting with a bad value; the message names the variable and fits one line. */
export class ConfigError extends Error {}

/** Why Rowcast cannot start or go on; the message is one sentence on what to do. */
export class StartError extends Error {}

/**
 * For people: what happened and what to do, without row data or a secret. By SQLSTATE, else by its class (the first two
 * characters), else by the system's error code.
 */
const KNOWN: Record<string, string> = {
	'28P01': 'The database refused the password; check DATABASE_URL or PGPASSWORD.',
	'28000': 'The database does not let this role in; check the role and pg_hba.conf.',
	'3D000': 'There is no such database on this server; check DATABASE_URL or PGDATABASE.',
	'42501': 'The role lacks a right that Rowcast needs; connect as the owner of the watched tables.',
	'55000': 'The database takes no connections just now.',
	'25006': 'The database is read-only (a standby?); connect to the primary.',
	'53300': 'The database has no free connection; raise max_connections or close some.',
	'53100': 'The disk of the database is full.',
	'57014': 'The database took too long; ask for less, or later.',
	'57P01': 'The database was shut down or ended the connection.',
	'57P02': 'The database crashed and restarts.',
	'57P03': 'The database is starting up or recovering.',
	'55P03': 'A lock on a table was not to be had in time.',
	'40': 'The transaction collided with another.',
	'08': 'The connection to the database was lost.',
	'53': 'The database is out of resources.',
	'57': 'The database stopped the statement.',
	ECONNREFUSED: 'Nothing answers at the address of the database; is it running?',
	ENOTFOUND: 'The host of the database has no address; check its name.',
	EAI_AGAIN: 'The host of the database could not be looked up just now.',
	ECONNRESET: 'The connection to the database was cut.',
	EPIPE: 'The connection to the database was cut.',
	ETIMEDOUT: 'The database did not answer in time.',
	EHOSTUNREACH: 'The host of the database cannot be reached.',
	ENETUNREACH: 'The network of the database cannot be reached.',
	ENOENT: 'There is no such socket of a database; check the host.'
};

/** pg's own errors have no code. */
const BY_MESSAGE: [RegExp, string][] = [
	[/timeout/i, 'The database did not answer in time.'],
	[
		/connection (terminated|ended)|not queryable|client was closed/i,
		'The connection to the database was lost.'
	],
	[
		/password must be a string|no password/i,
		'The database wants a password; put it into DATABASE_URL or PGPASSWORD.'
	],
	[/does not support SSL/i, 'The database does not speak TLS; take sslmode out of the address.'],
	[
		/certificate|self.signed/i,
		'The certificate of the database is not trusted; check sslmode and sslrootcert.'
	]
];

/** Says in one sentence what an error of the database means, or undefined where it is not known. */
export function explain(error: unknown): string | undefined {
	if (error instanceof StartError) return error.message;
	if (!(error instanceof Error)) return undefined;
	// A host with several addresses: each failed.
	if (error instanceof AggregateError && error.errors.length > 0) return explain(error.errors[0]);
	const { code } = error as NodeJS.ErrnoException;
	if (code !== undefined) {
		const known = KNOWN[code] ?? (code.length === 5 ? KNOWN[code.slice(0, 2)] : undefined);
		if (known) return known;
	}
	return (
		BY_MESSAGE.find(([pattern]) => pattern.test(error.message))?.[1] ??
		(error.cause ? explain(error.cause) : undefined)
	);
}

/**
 * What a client is told of an error: its own mistakes in full, of everything else only what is safe to tell. What keeps
 * the server from using its database may pass, whatever it is: a password that is changed, a database that is renamed
 * for a moment. `away`: the database is not followed just now.
 */
export function toFailure(error: unknown, away = false): Failure {
	if (error instanceof RequestError) return failure(error.code, error.message);
	if (['22P05', '22021'].includes((error as { code?: string } | null)?.code ?? ''))
		return failure('BAD_REQUEST', 'A text in it has a character that the encoding of the database lacks.');
	const known = explain(error);
	if (known !== undefined || away)
		return failure('UNAVAILABLE', known ?? 'The database cannot be used just now; the log says why.');
	return failure('INTERNAL', 'The server could not do this; its log says why.');
}

export function failure(code: ErrorCode, message: string): Failure {
	return { ok: false, error: { code, message } };
}

const STATUS: Partial<Record<ErrorCode, number>> = { BAD_REQUEST: 400, NOT_FOUND: 404, UNAVAILABLE: 503 };

/** A failure as the answer of a page. */
export function refusal(answer: Failure): Response {
	return Response.json(answer, { status: STATUS[answer.error.code] ?? 500 });
}

/** Why it did not start, in one line. What is not known keeps its stack, for whoever reports it. */
export function explainStart(error: unknown): string {
	const { code, address, port } = error as { code?: string; address?: string; port?: number };
	const where = port === undefined ? address : `${address}:${port}`;
	if (code === 'EADDRINUSE')
		return `PORT ${port} is in use at ${address}; choose another, or 0 for a free one.`;
	if (code === 'EADDRNOTAVAIL') return `HOST ${address} is no address of this machine.`;
	if (code === 'EACCES' && port !== undefined)
		return `This user may not listen at ${where}; choose a PORT above 1023.`;
	if (error instanceof ConfigError) return error.message;
	return explain(error) ?? (error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** A statement reached its timeout, here or in the database: less of it may not. */
export function tookTooLong(error: unknown): boolean {
	return (
		error instanceof Error &&
		((error as { code?: string }).code === '57014' || /timeout/i.test(error.message))
	);
}

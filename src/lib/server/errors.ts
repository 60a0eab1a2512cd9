/**
 * What can go wrong, in one clear sentence each, and whether waiting helps.
 */
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

export interface Explanation {
	/** For people: what happened and what to do; holds no row data and no secret. */
	message: string;
	/** Waiting may mend it. */
	retry: boolean;
}

/** By SQLSTATE, else by its class (the first two characters), else by the system's error code. */
const KNOWN: Record<string, Explanation> = {
	'28P01': { message: 'The database refused the password; check DATABASE_URL or PGPASSWORD.', retry: false },
	'28000': {
		message: 'The database does not let this role in; check the role and pg_hba.conf.',
		retry: false
	},
	'3D000': {
		message: 'There is no such database on this server; check DATABASE_URL or PGDATABASE.',
		retry: false
	},
	'42501': {
		message: 'The role lacks a right that Rowcast needs; connect as the owner of the watched tables.',
		retry: false
	},
	'25006': {
		message: 'The database is read-only (a standby?); connect to the primary.',
		retry: false
	},
	'53300': {
		message: 'The database has no free connection; raise max_connections or close some.',
		retry: true
	},
	'53100': { message: 'The disk of the database is full.', retry: true },
	'57014': { message: 'The database took too long; ask for less, or later.', retry: true },
	'57P01': { message: 'The database was shut down or ended the connection.', retry: true },
	'57P02': { message: 'The database crashed and restarts.', retry: true },
	'57P03': { message: 'The database is starting up or recovering.', retry: true },
	'55P03': { message: 'A lock on a table was not to be had in time.', retry: true },
	'40': { message: 'The transaction collided with another.', retry: true },
	'08': { message: 'The connection to the database was lost.', retry: true },
	'53': { message: 'The database is out of resources.', retry: true },
	'57': { message: 'The database stopped the statement.', retry: true },
	ECONNREFUSED: { message: 'Nothing answers at the address of the database; is it running?', retry: true },
	ENOTFOUND: { message: 'The host of the database has no address; check its name.', retry: true },
	EAI_AGAIN: { message: 'The host of the database could not be looked up just now.', retry: true },
	ECONNRESET: { message: 'The connection to the database was cut.', retry: true },
	EPIPE: { message: 'The connection to the database was cut.', retry: true },
	ETIMEDOUT: { message: 'The database did not answer in time.', retry: true },
	EHOSTUNREACH: { message: 'The host of the database cannot be reached.', retry: true },
	ENETUNREACH: { message: 'The network of the database cannot be reached.', retry: true },
	ENOENT: { message: 'There is no such socket of a database; check the host.', retry: true }
};

/** pg's own errors have no code. */
const BY_MESSAGE: [RegExp, Explanation][] = [
	[/timeout/i, { message: 'The database did not answer in time.', retry: true }],
	[
		/connection (terminated|ended)|not queryable|client was closed/i,
		{ message: 'The connection to the database was lost.', retry: true }
	],
	[
		/password must be a string|no password/i,
		{ message: 'The database wants a password; put it into DATABASE_URL or PGPASSWORD.', retry: false }
	],
	[
		/does not support SSL/i,
		{ message: 'The database does not speak TLS; take sslmode out of the address.', retry: false }
	],
	[
		/certificate|self.signed/i,
		{
			message: 'The certificate of the database is not trusted; check sslmode and sslrootcert.',
			retry: false
		}
	]
	if (['22P05', '22021'].includes((error as { code?: string } | null)?.code ?? ''))
		return failure('BAD_REQUEST', 'A text in it has a character that the encoding of the database lacks.');
];

/** Says in one sentence what an error of the database means, or undefined where it is not known. */
export function explain(error: unknown): Explanation | undefined {
	if (error instanceof StartError) return { message: error.message, retry: false };
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

/** May the same be tried again later? What is not known is worth another try. */
export function isTransient(error: unknown): boolean {
	return explain(error)?.retry ?? true;
}

/** What a client is told of an error: its own mistakes in full, of everything else only what is safe to tell. */
export function toFailure(error: unknown): Failure {
	if (error instanceof RequestError) return failure(error.code, error.message);
	const known = explain(error);
	if (known?.retry) return failure('UNAVAILABLE', known.message);
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
	return explain(error)?.message ?? (error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** A statement reached its timeout, here or in the database: less of it may not. */
export function tookTooLong(error: unknown): boolean {
	return (
		error instanceof Error &&
		((error as { code?: string }).code === '57014' || /timeout/i.test(error.message))
	);
}

/** The server's log: JSON lines on stderr, never any row data. */
import pino from 'pino';

export type Log = pino.Logger;

/** Makes a logger. Of an error it keeps what says where and why, and drops what may quote a row or a statement. */
export function makeLog(): Log {
	return pino(
		{ base: undefined, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: describe } },
		pino.destination({ fd: 2, sync: true })
	);
}

/** PostgreSQL's `detail`, `where` and `internalQuery` quote values ("Key (email)=(...)"), and so may its message. */
function describe(error: unknown): object {
	if (!(error instanceof Error)) return { type: typeof error };
	const { code, routine, schema, table, constraint } = error as Error & Record<string, unknown>;
	const ofDatabase = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code);
	return {
		type: error.name,
		code,
		...(ofDatabase
			? { routine, schema, table, constraint, stack: frames(error) }
			: { message: error.message, stack: frames(error) }),
		...(error.cause ? { cause: describe(error.cause) } : {})
	};
}

/** The stack without its first lines, which repeat the message. */
function frames({ stack }: Error): string | undefined {
	return stack
		?.split('\n')
		.filter((line) => /^\s+at /.test(line))
		.slice(0, 8)
		.join('\n');
}

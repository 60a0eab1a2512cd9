/** A filter's `where` as a condition of SQL on a change `c`. */
import { RequestError } from './errors.ts';

export interface Condition {
	sql: string;
	/** Bound in the order of their numbers in `sql`. */
	values: unknown[];
}

/** `first`: the number of the first parameter that the condition may use. */
export function compileWhere(where: string | undefined, _first: number): Condition {
	if (where === undefined || where.trim() === '') return { sql: 'true', values: [] };
	throw new RequestError('BAD_REQUEST', 'Filters by text are not understood yet.');
}

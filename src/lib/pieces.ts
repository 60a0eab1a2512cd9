/**
 * Counts of what a condition on values matches, in pieces. The log has sums of tables and ops, but a condition is looked
 * for in every change: a day of them can take the database half a minute. The sums say how much there is to look
 * through; so the time is cut where that is about the same, and whoever waits has the newest first.
 */

import type { Rates, RatesRequest, Series } from './protocol.ts';

/** Changes that one piece looks through, about. */
export const PIECE = 20_000;

/** Some steps of a time, or a part of one, as `rates` asks for it. */
export type Piece = Pick<RatesRequest, 'from' | 'to' | 'buckets'>;

/** Counts in steps. */
type Steps = Pick<Rates, 'from' | 'stepMs' | 'series'>;

/** The time in which `rates` counts something, in pieces of about `most` changes each, the newest first. */
export function piecesOf({ from, stepMs, series }: Steps, most = PIECE): Piece[] {
	const start = Date.parse(from);
	const timeOf = (step: number) => new Date(Math.floor(start + step * stepMs)).toISOString();
	const pieces: Piece[] = [];
	/** Steps from `first` up to `end` are gathered for the next piece, with so many changes in them. */
	let end = Math.max(0, ...series.map(({ rows }) => rows.length));
	let first = end;
	let gathered = 0;
	const close = () => {
		if (gathered > 0) pieces.push({ from: timeOf(first), to: timeOf(end), buckets: end - first });
		gathered = 0;
	};
	for (let step = end - 1; step >= 0; step--) {
		const rows = series.reduce((sum, { rows }) => sum + (rows[step] ?? 0), 0);
		if (rows === 0) continue;
		if (gathered + rows > most) close();
		if (gathered === 0) end = step + 1;
		first = step;
		if (rows <= most) {
			gathered += rows;
			continue;
		}
		const parts = Math.min(stepMs, Math.ceil(rows / most));
		for (let part = parts - 1; part >= 0; part--)
			pieces.push({ from: timeOf(step + part / parts), to: timeOf(step + (part + 1) / parts), buckets: 1 });
	}
	close();
	return pieces;
}

/** Adds the counts of a piece to `series`, which have the steps of `rates`. */
export function addSeries(series: Series[], { from, stepMs }: Steps, piece: Steps): void {
	const start = Date.parse(piece.from) - Date.parse(from);
	for (const { schema, table, op, rows } of piece.series) {
		let one = series.find((each) => each.schema === schema && each.table === table && each.op === op);
		if (!one) series.push((one = { schema, table, op, rows: [] }));
		for (const [i, added] of rows.entries()) {
			const step = Math.floor((start + i * piece.stepMs) / stepMs);
			one.rows[step] = (one.rows[step] ?? 0) + added;
		}
	}
}

import type { Change } from '../../../src/lib/protocol.ts';

let seq = 0;

/** A change with the given parts. */
export function change(parts: Partial<Change> = {}): Change {
	seq++;
	return {
		seq: String(seq),
		tick: '1',
		tx: '700',
		at: '2026-01-31T12:00:00.000000Z',
		schema: 'public',
		table: 'Book',
		op: 'INSERT',
		before: null,
		after: parts.op === 'DELETE' || parts.op === 'TRUNCATE' ? null : '{"id":1}',
		key: { id: '1' },
		...parts
	};
}

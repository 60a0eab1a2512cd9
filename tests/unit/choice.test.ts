import { expect, test } from 'vitest';
import { withOp, withTable } from '../../src/lib/choice.ts';
import { includes, parseView } from '../../src/lib/view.ts';

const view = (address: string) => parseView(new URLSearchParams(address));
const book = { schema: 'public', table: 'Book' };

test('leaving out what is chosen alone leaves it out, and again brings it back', () => {
	const without = { ...view('table=Book'), ...withTable(view('table=Book'), book, 'not') };
	expect(includes(without, book)).toBe(false);
	expect(includes({ ...without, ...withTable(without, book, 'not') }, book)).toBe(true);
	const left = withTable(view('table=Book&table=User'), book, 'not');
	expect(left).toEqual({ tables: [{ schema: 'public', table: 'User' }], without: [] });

	const rest = withOp(['UPDATE'], 'UPDATE', 'not');
	expect(rest).toEqual(['INSERT', 'DELETE', 'TRUNCATE', 'REFERENCE']);
	expect(withOp(rest, 'UPDATE', 'not')).toEqual([]);
	// What is out already is not shown by leaving it out.
	expect(withOp(['UPDATE'], 'INSERT', 'not')).toEqual(['UPDATE']);
});

/** What a click on a table or an operation makes of the view: only it, it too, or all but it. */

import { tableKey } from './change.ts';
import { OPS, type Op, type TableName } from './protocol.ts';
import { includes, toggled, type View } from './view.ts';

export type How = 'only' | 'also' | 'not';

const same = (a: TableName, b: TableName) => tableKey(a) === tableKey(b);

export function withTable(
	view: View,
	{ schema, table }: TableName,
	how: How
): Pick<View, 'tables' | 'without'> {
	const name = { schema, table };
	const { tables, without } = view;
	if (how === 'not') {
		if (tables.length === 0) return { tables, without: toggled(without, name, same) };
		const left = tables.filter((other) => !same(other, name));
		// Taking out the only one that is chosen leaves all others: no choice at all would show it too.
		return left.length > 0 ? { tables: left, without: [] } : { tables: [], without: [name] };
	}
	if (how === 'also') return { tables: toggled(tables, name, same), without: [] };
	const alone = tables.length === 1 && includes(view, name);
	return { tables: alone ? [] : [name], without: [] };
}

export function withOp(ops: readonly Op[], op: Op, how: How): Op[] {
	if (how === 'also') return toggled(ops, op);
	if (how === 'only') return ops.length === 1 && ops[0] === op ? [] : [op];
	const shown = ops.length > 0 ? ops : OPS;
	if (!shown.includes(op)) {
		// It comes back where it was taken out of all, not where a few others were chosen.
		const back = shown.length * 2 > OPS.length ? [...shown, op] : [...shown];
		return back.length === OPS.length ? [] : back;
	}
	const left = shown.filter((other) => other !== op);
	return left.length > 0 ? left : OPS.filter((other) => other !== op);
}

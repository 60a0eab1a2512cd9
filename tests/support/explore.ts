/** A small explicit-state checker: every state that can be reached, breadth first, so that a fault comes by its shortest way. */

export interface Model<S> {
	initial: S;
	/** Every step that is possible, with a name. States are never changed in place. */
	steps(state: S): [name: string, next: S][];
	/** What is wrong with a state; undefined where nothing is. */
	fault(state: S, last: boolean): string | undefined;
}

export interface Exploration {
	states: number;
	/** The first fault and the steps that lead there. */
	fault?: { what: string; way: string[] };
}

/** Visits all states of a model, or those up to the first fault. */
export function explore<S>({ initial, steps, fault }: Model<S>): Exploration {
	const from = new Map<string, { parent: string; step: string } | undefined>([
		[JSON.stringify(initial), undefined]
	]);
	let edge = [initial];
	while (edge.length > 0) {
		const next: S[] = [];
		for (const state of edge) {
			const key = JSON.stringify(state);
			const possible = steps(state);
			const what = fault(state, possible.length === 0);
			if (what !== undefined) {
				const way: string[] = [];
				for (let at = from.get(key); at; at = from.get(at.parent)) way.unshift(at.step);
				return { states: from.size, fault: { what, way } };
			}
			for (const [step, reached] of possible) {
				const reachedKey = JSON.stringify(reached);
				if (from.has(reachedKey)) continue;
				from.set(reachedKey, { parent: key, step });
				next.push(reached);
			}
		}
		edge = next;
	}
	return { states: from.size };
}

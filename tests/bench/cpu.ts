/**
 * Processor time, which says what something costs even while the machine is busy with other things. Linux only:
 * elsewhere there is no figure.
 */
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** Seconds that this process and all that it started have used, those that have ended included. */
export function cpuSeconds(): number | undefined {
	if (process.platform !== 'linux') return undefined;
	const used = new Map<number, number>();
	const children = new Map<number, number[]>();
	for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
		let stat: string;
		try {
			stat = readFileSync(`/proc/${name}/stat`, 'utf8');
		} catch {
			continue; // ended meanwhile
		}
		// The program's name, in brackets, may hold anything.
		const fields = stat
			.slice(stat.lastIndexOf(')') + 2)
			.split(' ')
			.map(Number);
		const parent = fields[1]!;
		used.set(Number(name), fields[11]! + fields[12]! + fields[13]! + fields[14]!);
		children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
	}
	const tree = (pid: number): number =>
		(children.get(pid) ?? []).reduce((sum, child) => sum + tree(child), used.get(pid) ?? 0);
	return tree(process.pid) / TICKS_PER_SECOND;
}

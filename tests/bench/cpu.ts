/** What processes take of the machine, as Linux tells it; elsewhere there is no figure. */
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/**
 * Seconds of processor time that this process and all that it started have used, those that have ended included: says
 * what something costs even while the machine is busy with other things.
 */
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

/** Seconds of processor time that a process has used. */
export function cpuOf(pid: number): number {
	if (process.platform !== 'linux') return NaN;
	const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
	const fields = stat
		.slice(stat.lastIndexOf(')') + 2)
		.split(' ')
		.map(Number);
	return (fields[11]! + fields[12]!) / TICKS_PER_SECOND;
}

/** What a process takes of the memory. */
export function megabytes(pid: number): number {
	if (process.platform !== 'linux') return NaN;
	return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Loaded into a server before all else: its Date is ahead by as many seconds as the file DATE_FILE says. */
import { readFileSync } from 'node:fs';

const Real = Date;
let aheadMs = 0;
const now = () => Real.now() + aheadMs;

globalThis.Date = new Proxy(Real, {
	construct: (target, given, made) => Reflect.construct(target, given.length > 0 ? given : [now()], made),
	apply: () => new Real(now()).toString(),
	get: (target, name) => (name === 'now' ? now : Reflect.get(target, name))
});
// Timers do not go by Date.
setInterval(() => (aheadMs = 1000 * Number(readFileSync(String(process.env.DATE_FILE), 'utf8'))), 20).unref();

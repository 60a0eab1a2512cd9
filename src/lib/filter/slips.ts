/** What a filter's errors say to who writes as other languages do. */

/** What to write instead of a sign that other languages know; how long it is. */
export function signSlip(text: string): { length: number; message: string } | null {
	const [sign] = /^(&&?|\|\|?)/.exec(text) ?? [];
	if (!sign) return null;
	return {
		length: sign.length,
		message: sign.startsWith('&')
			? 'Leave this out: a blank means and, like id>1 id<3.'
			: 'Write or, like op:insert or op:delete.'
	};
}

/** What to write instead of a name that stands without a comparison, by what stands behind it. */
export function nameSlip(shown: string, behind: string): string {
	if (behind.startsWith('.'))
		return 'Only before and after take a point: write before.price or after.price, or put the name in double quotes.';
	if (/^not$/i.test(shown)) {
		const [, excluded = 'op:delete'] = /^\s+([^\s()"-](?:[^\s()"]|"[^"]*")*)/.exec(behind) ?? [];
		return `Write - right before what it excludes, like -${excluded}.`;
	}
	if (/^and$/i.test(shown)) return 'Write a term before "and", or leave it out: a blank means and.';
	const [is, not] = /^\s+is\s+(not\s+)?null(?![^\s()])/i.exec(behind) ?? [];
	if (is) return `Write ${shown}${not ? '!=' : ':'}null.`;
	return `Say what ${shown} should be: ${shown}:value, ${shown}>10 or ${shown}~"*part*".`;
}

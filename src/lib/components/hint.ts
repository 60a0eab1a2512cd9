/** What a part of a line says that narrows the view to its `term`, where it has one; `whole`: what its text shortens. */
export function hint(term: string | undefined, whole = ''): string | undefined {
	const says = term && 'Narrow to this; with Alt, leave it out';
	return [whole, says].filter(Boolean).join('\n') || undefined;
}

/** Puts a text on the clipboard; resolves with what became of it, in words. */
export async function copied(text: string): Promise<string> {
	try {
		await navigator.clipboard.writeText(text);
		return 'Copied';
	} catch (error) {
		return `Not copied: ${(error as Error).message}`;
	}
}

/** Puts a text on the clipboard; resolves with what became of it, in words. `what` names the text. */
export async function copied(text: string, what = ''): Promise<string> {
	try {
		// A page that came over plain http from another machine has no clipboard.
		if (navigator.clipboard) await navigator.clipboard.writeText(text);
		else copySelected(text);
		return `Copied ${what}`.trim();
	} catch (error) {
		return `Not copied: ${(error as Error).message}`;
	}
}

/** By the command that older browsers have, of a text that is selected for it and not seen. */
function copySelected(text: string): void {
	const focused = document.activeElement as HTMLElement | null;
	const field = document.createElement('textarea');
	field.className = 'unseen';
	field.value = text;
	// Beside an open dialog nothing can be selected.
	(focused?.closest('dialog') ?? document.body).append(field);
	field.select();
	const done = document.execCommand('copy');
	field.remove();
	focused?.focus({ preventScroll: true });
	if (!done) throw new Error('the browser does not allow it');
}

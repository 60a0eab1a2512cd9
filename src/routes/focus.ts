/** Where the keyboard stands after something was pressed. */

/** What was pressed by key may be gone a moment later: what is answered from the log takes no longer, most often. */
const GONE_MS = 2000;
const FOCUSABLE = ':is(a[href], button, input, select, textarea, [tabindex]):not(:disabled)';

export function onpressed(event: MouseEvent): void {
	if (event.detail > 0) letGo(event.target as HTMLElement);
	else if (document.activeElement) keepBeside(document.activeElement);
}

/**
 * What was pressed with a pointer does not keep the keys: Space or Enter would press it again, behind the back of who
 * goes on in the feed. What has keys of its own keeps them.
 */
function letGo(target: HTMLElement): void {
	const pressed = target.closest<HTMLElement>('main :is(button, [type=checkbox])');
	if (!pressed?.closest('[role=tab], .film, .detail, dialog')) pressed?.blur();
}

/** Where what was pressed by key goes away with it, the focus goes to what is nearest, or else to the changes. */
function keepBeside(pressed: Element): void {
	const around: Element[] = [];
	for (let at = pressed.parentElement; at && !at.matches('main, body'); at = at.parentElement)
		around.push(at);
	const until = performance.now() + GONE_MS;
	requestAnimationFrame(function look(now) {
		const { activeElement } = document;
		if (activeElement !== pressed && activeElement !== document.body) return;
		if (pressed.isConnected) {
			if (now < until) requestAnimationFrame(look);
			return;
		}
		const near = around
			.filter((element) => element.isConnected)
			.flatMap((element) => [...element.querySelectorAll<HTMLElement>(FOCUSABLE)])
			.find((element) => element.checkVisibility());
		(near ?? document.getElementById('changes'))?.focus();
	});
}

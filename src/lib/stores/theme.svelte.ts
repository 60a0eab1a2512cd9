/** Light, dark, or as the system says. */

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEY = 'rowcast.theme';

export class ThemeChoice {
	chosen: Theme = $state('system');
	/** Counts changes of what is seen, for what draws its own colours. */
	changes = $state(0);

	/** Reads what was chosen here before, and follows the system; gives what stops that. */
	start(): () => void {
		const { theme } = document.documentElement.dataset;
		this.chosen = theme === 'light' || theme === 'dark' ? theme : 'system';
		const system = ['(prefers-color-scheme: dark)', '(forced-colors: active)'].map((query) =>
			matchMedia(query)
		);
		const changed = () => this.changes++;
		for (const query of system) query.addEventListener('change', changed);
		return () => system.forEach((query) => query.removeEventListener('change', changed));
	}

	choose(theme: Theme): void {
		this.chosen = theme;
		if (theme === 'system') delete document.documentElement.dataset.theme;
		else document.documentElement.dataset.theme = theme;
		try {
			localStorage.setItem(KEY, theme);
		} catch {
			// Not kept, then.
		}
		this.changes++;
	}

	next(): void {
		this.choose(THEMES[(THEMES.indexOf(this.chosen) + 1) % THEMES.length]!);
	}
}

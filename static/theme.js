// Before the first paint: the theme that was chosen here, else the system's.
try {
	const theme = localStorage.getItem('rowcast.theme');
	if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
	// Storage may be closed to us; then the system decides.
}

/** The page for whoever has not shown the token. It needs nothing else of the site, which is closed to them. */

const STYLE = `
	body { margin: 15vh auto 0; max-width: 26rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
		background: #fbfaf7; color: #1b1d1e }
	h1 { font-size: 20px }
	input, button { font: inherit; padding: 4px 8px; border: 1px solid #6b7073; border-radius: 4px;
		background: #fff; color: inherit }
	input { width: 16rem; max-width: 60% }
	.wrong { color: #a1327a }
	@media (prefers-color-scheme: dark) {
		body { background: #101314; color: #e9ebea } input, button { background: #171b1d } .wrong { color: #e08cc0 }
	}`;

const page = (wrong: boolean) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Rowcast: token needed</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>This Rowcast asks for a token</h1>
<p>It is the value of <code>ROWCAST_TOKEN</code>, which whoever runs it can tell you.</p>
${wrong ? '<p class="wrong" role="alert">That was not the token.</p>' : ''}
<form method="post">
<input type="password" name="token" aria-label="Token" autocomplete="current-password" required autofocus>
<button>Open</button>
</form>
<p>Programs send it as <code>Authorization: Bearer …</code>, Socket.IO clients as <code>auth: { token }</code>.</p>
</main>
</body>
</html>
`;

/** 401, with a form; `wrong` when a token was given. */
export function loginPage(wrong: boolean): Response {
	return new Response(page(wrong), {
		status: 401,
		headers: {
			'content-type': 'text/html; charset=utf-8',
			'cache-control': 'no-store',
			'www-authenticate': 'Bearer realm="rowcast"',
			'content-security-policy':
				"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
		}
	});
}

import type { RequestHandler } from './$types';

/** For Prometheus. */
export const GET: RequestHandler = async ({ locals }) => {
	if (!locals.live) return new Response('Rowcast is starting.\n', { status: 503 });
	const { contentType, body } = await locals.live.metrics();
	return new Response(body, { headers: { 'content-type': contentType } });
};

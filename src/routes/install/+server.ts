import { failure, refusal, toFailure } from '$lib/server/errors.ts';
import { parseView } from '$lib/view.ts';
import type { RequestHandler } from './$types';

/** What watching tables would run, and taking it out again: `/install?table=public.book`; of all where none is named. */
export const GET: RequestHandler = async ({ url, locals }) => {
	if (!locals.live) return refusal(failure('UNAVAILABLE', 'Rowcast is starting.'));
	const { tables } = parseView(url.searchParams);
	try {
		return Response.json({
			ok: true,
			...(await locals.live.describeInstall(tables.length > 0 ? tables : 'all'))
		});
	} catch (error) {
		return refusal(toFailure(error));
	}
};

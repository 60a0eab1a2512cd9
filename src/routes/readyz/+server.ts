import type { RequestHandler } from './$types';

/** 200 only while the database is followed; else 503 with the reason. */
export const GET: RequestHandler = ({ locals }) => {
	const health = locals.live?.health();
	if (!health) return Response.json({ ready: false, reason: 'Rowcast is starting.' }, { status: 503 });
	const { database, head, lagMs, since, message } = health.state;
	return Response.json(
		{
			ready: health.ready,
			database,
			head,
			lagMs,
			since,
			...(health.ready ? message && { message } : { reason: message ?? database })
		},
		{ status: health.ready ? 200 : 503 }
	);
};

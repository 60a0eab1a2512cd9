import { RequestError, failure, refusal, toFailure } from '$lib/server/errors.ts';
import {
	FORMATS,
	checkSize,
	countOf,
	exactCountOf,
	exportChanges,
	sizeOf,
	type ExportRequest,
	type Format,
	type Past
} from '$lib/server/export.ts';
import { compileWhere } from '$lib/server/where.ts';
import { filterOf, parseView } from '$lib/view.ts';
import type { RequestHandler } from './$types';

/**
 * The changes of a view as a file: `/export?format=csv` with the address of the view behind it. X-Rowcast-Changes tells
 * how many there are at most: exactly so many where no condition on values is asked. With `&size` the answer is how
 * large the file would be.
 */
export const GET: RequestHandler = async ({ url, locals, request: { signal } }) => {
	if (!locals.live) return refusal(failure('UNAVAILABLE', 'Rowcast is starting.'));
	const left = new AbortController();
	const past = locals.live.past(AbortSignal.any([signal, left.signal]));
	try {
		const request = await requestOf(url.searchParams, past);
		const most = await countOf(past, request);
		const sized = url.searchParams.has('size');
		const exact = sized || request.format === 'html' ? await exactCountOf(past, request, most) : null;
		if (exact !== null) checkSize(request, exact);
		const changes = exact ?? most;
		if (sized) {
			const bytes = await sizeOf(past, request, changes);
			return Response.json({ ok: true, changes, most: exact === null, bytes });
		}
		const pieces = exportChanges(past, request);
		const encoder = new TextEncoder();
		const body = new ReadableStream<Uint8Array>({
			async pull(controller) {
				const { value, done } = await pieces.next();
				if (done) controller.close();
				else controller.enqueue(encoder.encode(value));
			},
			cancel: () => left.abort()
		});
		return new Response(body, {
			headers: {
				'content-type': FORMATS[request.format],
				'content-disposition': `attachment; filename="rowcast-${request.after}-${request.until}.${request.format}"`,
				'cache-control': 'no-store',
				'x-rowcast-changes': String(changes)
			}
		});
	} catch (error) {
		return refusal(toFailure(error));
	}
};

/** A part of the address that cannot be read would export something else than what is asked: it is refused. */
async function requestOf(params: URLSearchParams, past: Past): Promise<ExportRequest> {
	const format = params.get('format') ?? 'ndjson';
	if (!Object.hasOwn(FORMATS, format))
		throw new RequestError('BAD_REQUEST', `\`format\` must be one of ${Object.keys(FORMATS).join(', ')}.`);
	const view = parseView(params);
	const tables = past.tables();
	for (const [name, read] of [
		['table', view.tables],
		['without', view.without],
		['op', view.ops]
	] as const)
		if (new Set(params.getAll(name)).size !== read.length)
			throw new RequestError('BAD_REQUEST', `\`${name}\` cannot be read.`);
	for (const { schema, table } of [...view.tables, ...view.without])
		if (!tables.some((each) => each.schema === schema && each.table === table))
			throw new RequestError(
				'NOT_FOUND',
				`There is no table ${JSON.stringify(schema)}.${JSON.stringify(table)}.`
			);
	if ((params.has('from') || params.has('to')) && !view.past)
		throw new RequestError(
			'BAD_REQUEST',
			'`from` and `to` must be two times like 2026-01-31T12:00:00Z, in order.'
		);
	const filter = filterOf(view, tables);
	compileWhere(filter.where, 1, () => []);
	const { head, oldest } = await past.reader.bounds();
	const range = view.past && (await past.reader.range(new Date(view.past.from), new Date(view.past.to)));
	return { format: format as Format, filter, ...(range ?? { after: oldest, until: head }) };
}

import type { RequestHandler } from './$types';

/** 200 while the process lives. */
export const GET: RequestHandler = () => Response.json({ alive: true });

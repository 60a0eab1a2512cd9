import type { Live } from '$lib/server/live.ts';

declare global {
	namespace App {
		interface Locals {
			/** The running server; absent while it starts. */
			live: Live | undefined;
		}
	}
}

export {};

import type { Live } from '$lib/server/live.ts';

declare global {
	namespace App {
		interface PageState {
			/** The address without the row that this entry opened: where Back leads. */
			closed?: string;
		}
		interface Locals {
			/** The running server; absent while it starts. */
			live: Live | undefined;
		}
	}
}

export {};

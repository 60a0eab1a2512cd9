/** Advisory locks by which servers and writers agree: two integers each, the first of them Rowcast's own. */
export const LOCK = {
	/** Held exclusively by the leader while it sleeps; every writer tests it. The doorbell. */
	asleep: '1920103279, 1',
	/** Held by the leader. */
	leader: '1920103279, 2',
	/** Held shared by every server that has viewers, so that a leader without any knows of them. */
	viewers: '1920103279, 5'
} as const;

/**
 * A change's `seq`: where the write-ahead log ended while the row was locked, in units of 8 bytes (positions are
 * aligned to 8), then 32 bits of the writing transaction, which no two running transactions share. The same number as
 * rowcast.seq() in SQL.
 */

/** From PostgreSQL's text forms of a pg_lsn (`16/B374D848`) and an xid8. */
export function seqOf(lsn: string, xid: string): string {
	const slash = lsn.indexOf('/');
	const position = (BigInt(`0x${lsn.slice(0, slash)}`) << 32n) | BigInt(`0x${lsn.slice(slash + 1)}`);
	return (((position >> 3n) << 32n) | (BigInt(xid) & 0xffffffffn)).toString();
}

/** The position within a seq, as PostgreSQL reads it. A seq beyond any position yields the last one. */
export function lsnOf(seq: string): string {
	const position = (BigInt(seq) >> 32n) << 3n;
	const bounded = position > 0xffffffffffffffffn ? 0xffffffffffffffffn : position;
	return `${(bounded >> 32n).toString(16)}/${(bounded & 0xffffffffn).toString(16)}`;
}

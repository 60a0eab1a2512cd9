/** Whatever a socket sends, it gets a Failure or an answer, and the server goes on for everybody else. */
import { once } from 'node:events';
import { get } from 'node:http';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { withClient } from '../support/postgres.ts';
import { connect, startRowcast, type Rowcast, type Viewer } from '../support/rowcast.ts';

const EVENTS = ['subscribe', 'unsubscribe', 'history', 'rates', 'row'] as const;
const CODES = ['BAD_REQUEST', 'UNAUTHORIZED', 'RATE_LIMITED', 'NOT_FOUND', 'UNAVAILABLE'];

const database = useDatabase();
let server: Rowcast;
let witness: Viewer;

const sql = (text: string) => withClient(database().url, (db) => db.query(text));

beforeAll(async () => {
	await sql(
		`create table "__proto__" ("constructor" int primary key, "__proto__" text, "🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊" text)`
	);
	server = await startRowcast({ env: { DATABASE_URL: database().url, ROWCAST_WATCH: 'all' } });
	witness = await connect(server.url);
	await witness.subscribe({});
});
afterAll(async () => {
	witness?.close();
	await server?.stop();
});

/** The server answers the witness, and shows it a change with names that are no good names. */
let written = 0;
async function wellForOthers() {
	const id = ++written;
	await sql(`insert into "__proto__" values (${id}, 'a', 'b')`);
	await witness.until('the change', ({ changes }) =>
		changes.some(({ key }) => String(key?.constructor) === `${id}`)
	);
	expect(witness.changes.at(-1)).toMatchObject({
		table: '__proto__',
		after: `{"constructor":${id},"__proto__":"a","🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊":"b"}`
	});
	expect(server.process.exitCode).toBeNull();
	expect(server.stderr()).not.toMatch(/"level":(50|60)/);
}

const anything = fc.oneof(
	fc.anything({ withNullPrototype: true, maxDepth: 3 }),
	fc.json({ maxDepth: 5 }).map((text) => JSON.parse(text)),
	fc.constantFrom(JSON.parse('{"__proto__":{"filter":{}}}'), { constructor: 1 }, [[[[]]]], '\0', '\ud800')
);
const name = fc.oneof(
	fc.constantFrom('__proto__', 'constructor', 'public', 'item', '', '\0', '\ud800'),
	fc.string()
);
const digits = fc.oneof(
	fc.bigInt().map(String),
	fc.constantFrom('0', '1', '-1', '1e3', '9223372036854775808'),
	anything
);
const position = fc.oneof(fc.record({ tick: digits, seq: digits }), anything);
const filter = fc.oneof(
	fc.record(
		{
			tables: fc.oneof(fc.array(fc.record({ schema: name, table: name }), { maxLength: 3 }), anything),
			ops: fc.oneof(fc.array(fc.constantFrom('INSERT', 'DELETE', 'insert', '__proto__')), anything),
			where: fc.oneof(
				fc.string({ unit: 'binary' }),
				fc.constantFrom('a = 1', "' or true --", '((((', 'a:b'),
				anything
			)
		},
		{ requiredKeys: [] }
	),
	anything
);
const time = fc.oneof(
	fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
	fc.constantFrom('2026-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '0000-01-01T00:00:00Z', 'now'),
	anything
);
const limit = fc.oneof(fc.integer(), fc.double(), anything);
/** Close to what each event takes, so that more than the first check is reached. */
const close = fc.record(
	{
		filter,
		after: fc.oneof(fc.record({ epoch: fc.string(), tick: digits }), position),
		before: position,
		mode: fc.oneof(fc.constantFrom('feed', 'stream'), anything),
		order: fc.oneof(fc.constantFrom('asc', 'desc'), anything),
		limit,
		from: time,
		to: time,
		buckets: limit,
		schema: fc.oneof(fc.constant('public'), name),
		table: fc.oneof(fc.constant('__proto__'), name),
		key: fc.oneof(fc.dictionary(name, fc.oneof(fc.string({ unit: 'binary' }), fc.constant(null))), anything)
	},
	{ requiredKeys: [] }
);

test.each(EVENTS)('%s takes any payload', { timeout: 60_000 }, async (event) => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.oneof({ weight: 3, arbitrary: close }, anything), { minLength: 20, maxLength: 20 }),
			async (payloads) => {
				// A socket of its own, because each may ask for only so much.
				const socket = await connect(server.url);
				try {
					const answers = await Promise.all(
						payloads.filter(isSendable).map((payload) => socket.ask(event, payload))
					);
					for (const answer of answers) {
						if (answer.ok) continue;
						expect(CODES).toContain(answer.error.code);
						expect(answer.error.message.length).toBeLessThan(500);
					}
					expect(socket.socket.connected).toBe(true);
				} finally {
					socket.close();
				}
			}
		),
		{ numRuns: 15 }
	);
	await wellForOthers();
});

test.each([100_000, 500_000, 12_000_000])('a message of %i characters gets a Failure', async (size) => {
	const socket = await connect(server.url);
	for (const event of EVENTS)
		expect(await socket.ask(event, { filter: { where: 'x'.repeat(size) } })).toEqual({
			ok: false,
			error: { code: 'BAD_REQUEST', message: 'The message is too large: at most 64000 characters.' }
		});
	expect(socket.socket.connected).toBe(true);
	socket.close();
	await wellForOthers();
});

/** What Socket.IO can carry at all: its own encoder refuses the rest before it is sent. */
function isSendable(payload: unknown): boolean {
	try {
		JSON.stringify(payload);
		return typeof payload !== 'function';
	} catch {
		return false;
	}
}

test('frames that are no Socket.IO, on raw WebSockets', { timeout: 60_000 }, async () => {
	const packet = fc.oneof(
		fc.string({ unit: 'binary', maxLength: 50 }),
		fc
			.tuple(
				fc.constantFrom('42', '420', '43', '40', '41', '44', '451-', '2', '3', '6', '459999999-'),
				fc.json()
			)
			.map((parts) => parts.join('').slice(0, 60)),
		fc.constantFrom(
			'42["subscribe"]',
			'421["subscribe",{}]',
			'42["error",{}]',
			'42["__proto__",{}]',
			'42["disconnect"]',
			'42{"toString":1}',
			'40/admin,',
			'451-["row",{"_placeholder":true,"num":0}]'
		)
	);
	const bytes = fc.oneof(
		{ weight: 4, arbitrary: packet.map((text) => frame(1, Buffer.from(text))) },
		fc.uint8Array({ maxLength: 50 }).map((data) => frame(2, Buffer.from(data))),
		// Nor WebSocket either.
		fc.uint8Array({ maxLength: 50 }).map((data) => Buffer.from(data))
	);
	await fc.assert(
		fc.asyncProperty(
			fc.array(bytes, { minLength: 1, maxLength: 10 }),
			fc.boolean(),
			async (sent, connects) => {
				const socket = await upgrade();
				if (connects) socket.write(frame(1, Buffer.from('40')));
				for (const each of sent) socket.write(each);
				await new Promise((resolve) => setTimeout(resolve, 10));
				socket.destroy();
			}
		),
		{ numRuns: 60 }
	);
	await wellForOthers();
});

/** A WebSocket to the server, as the bare connection under it. */
async function upgrade(): Promise<Socket> {
	const asked = get(`${server.url}/socket.io/?EIO=4&transport=websocket`, {
		headers: {
			Connection: 'Upgrade',
			Upgrade: 'websocket',
			'Sec-WebSocket-Version': '13',
			'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64')
		}
	});
	const [, socket] = (await once(asked, 'upgrade')) as [unknown, Socket];
	socket.on('error', () => {});
	return socket.resume();
}

/** One whole frame from a client, under a mask of zeros. */
function frame(opcode: number, data: Buffer): Buffer {
	const length = data.length < 126 ? [0x80 | data.length] : [0x80 | 126, data.length >> 8, data.length & 255];
	return Buffer.concat([Buffer.from([0x80 | opcode, ...length, 0, 0, 0, 0]), data]);
}

/** Socket.IO's own parser, but for what is too large to be worth reading. */
import { Decoder as Whole, Encoder, PacketType } from 'socket.io-parser';
import { TOO_LARGE } from './messages.ts';

/** Characters of a packet that is read: JSON may take six for one of the 64,000 of a message. Parsing 13 MB of small objects blocks for 130 ms. */
const MAX_PACKET = 400_000;
/** What an event's packet begins with: its type, its namespace, the number of its answer, its name. */
const EVENT = /^2(?:(\/[^,]{0,100}),)?(\d{1,15})?\["(\w{1,100})"/;

/** Of a larger event it reads who waits for the answer, a Failure; any other larger packet ends the connection. */
class Decoder extends Whole {
	override add(packet: unknown): void {
		if (typeof packet !== 'string' || packet.length <= MAX_PACKET) return super.add(packet);
		const [found, nsp = '/', id, event] = EVENT.exec(packet) ?? [];
		if (!found) throw new Error('the packet is too large');
		this.emitReserved('decoded', {
			type: PacketType.EVENT,
			nsp,
			id: id === undefined ? undefined : Number(id),
			data: [event, TOO_LARGE]
		});
	}
}

export const parser = { Encoder, Decoder };

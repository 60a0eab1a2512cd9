/** What GET /metrics tells: how much comes in, how much goes out to how many, and how far behind. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface Sources {
	sockets: () => number;
	viewers: () => number;
	rooms: () => number;
	/** How long ago the newest tick became visible when it was delivered, in ms. */
	lagMs: () => number;
	live: () => boolean;
	head: () => bigint;
}

export type Metrics = ReturnType<typeof makeMetrics>;

/** Each server has its own registry; gauges are read when somebody asks. */
export function makeMetrics(sources: Sources) {
	const registry = new Registry();
	const registers = [registry];
	collectDefaultMetrics({ register: registry });
	const gauge = (name: string, help: string, read: () => number) =>
		new Gauge({
			name,
			help,
			registers,
			collect() {
				this.set(read());
			}
		});
	gauge('rowcast_sockets', 'Connected sockets.', sources.sockets);
	gauge('rowcast_viewers', 'Sockets that are subscribed.', sources.viewers);
	gauge('rowcast_rooms', 'Different subscriptions in mode feed; each is composed once.', sources.rooms);
	gauge('rowcast_database_live', '1 while the database is followed.', () => (sources.live() ? 1 : 0));
	gauge('rowcast_head_tick', 'Newest tick that was delivered.', () => Number(sources.head()));
	gauge('rowcast_lag_seconds', 'Age of the newest tick when it was delivered.', () => sources.lagMs() / 1000);
	return {
		registry,
		ticks: new Counter({ name: 'rowcast_ticks_total', help: 'Ticks read.', registers }),
		changes: new Counter({ name: 'rowcast_changes_total', help: 'Changes in the ticks read.', registers }),
		messages: new Counter({
			name: 'rowcast_messages_total',
			help: 'Tick messages sent; one to many sockets counts once for each.',
			registers
		}),
		gaps: new Counter({
			name: 'rowcast_gaps_total',
			help: 'Gaps told, by reason.',
			labelNames: ['reason'],
			registers
		}),
		requests: new Counter({
			name: 'rowcast_requests_total',
			help: 'Requests of clients, by event and outcome.',
			labelNames: ['event', 'outcome'],
			registers
		}),
		delivery: new Histogram({
			name: 'rowcast_delivery_seconds',
			help: 'Time to filter, serialise and hand out ticks to all viewers.',
			buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
			registers
		})
	};
}

export { connect, Refused } from './connect.ts';
export type { Client, Handlers, Link, Options, Subscription, SubscriptionHandlers } from './connect.ts';
export type * from '../protocol.ts';

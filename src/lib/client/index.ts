export { connect } from './connect.ts';
export type { Client, Handlers, Link, Options, Subscription } from './connect.ts';
export { Refused } from './following.ts';
export type { SubscriptionHandlers } from './following.ts';
export type * from '../protocol.ts';

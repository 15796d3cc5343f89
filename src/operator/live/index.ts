/** What the live feed tells and how it is read: portable, for the dashboard's page and `starling top` alike. */
export { bytes, count, duration, latency, rate, shortAddress } from './format.js';
export type { LiveColumns } from './history.js';
export type {
  LiveDetail,
  LiveHello,
  LiveMessage,
  LivePeer,
  LiveRelay,
  LiveTick,
} from './messages.js';
export { LIVE_SERIES, type LiveDrop, type LiveSeries, type LiveValues } from './series.js';
export { LiveStore } from './store.js';

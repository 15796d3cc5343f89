export { Blacklist } from './blacklist.js';
export type { RelayLog } from './context.js';
export { type PeerSnapshot, RelayControl, type TrafficTotals } from './control.js';
export { DEFAULT_RELAY_LIMITS, type RelayLimits } from './limits.js';
export { RELAY_DEVICE_ID, RELAY_PRODUCT_VERSION, type RelayOptions, type RelayTls } from './options.js';
export type { Candidate } from './outbound.js';
export { PublicEndpoint } from './public-endpoint.js';
export { Relay } from './relay.js';
export type { RelayStatus } from './status.js';

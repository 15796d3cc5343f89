import type { NodeType } from '../wire/index.js';

/** Types that announce themselves and may be stored (docs/protocol/05 §2); `W` never announces. */
export type PresenceType = 'C' | 'R' | 'M' | 'H';

/** All stored types, clients first: the order in which a full store gives entries up. */
export const PRESENCE_TYPES: readonly PresenceType[] = ['C', 'R', 'H', 'M'];

/** True for C, R, M and H. */
export function isPresenceType(type: string): type is PresenceType {
  return type === 'C' || type === 'R' || type === 'M' || type === 'H';
}

/** True for the types whose presence needs a signer proof of work. */
export function needsPow(type: string): boolean {
  return type === 'M' || type === 'H';
}

/** Oldest age at which a claim is still accepted (05 §2). */
export const presenceLifetimeSeconds = 300;
/** How far ahead of network time a claim may be stamped (05 §2). */
export const futureToleranceSeconds = 30;
/** Least step of a changed hostname through updatePresence (05 §8.2). */
export const hostnameChangeStepSeconds = 2;

/** Interval at which a node of that type refreshes itself, as receivers assume it (05 §2). */
export function keepAliveIntervalSeconds(type: NodeType | PresenceType): number {
  return type === 'R' ? 200 : 100;
}

/** Half of {@link keepAliveIntervalSeconds}: gossip that is less newer than this is damped (05 §8.2, §8.3). */
export function halfIntervalSeconds(type: PresenceType): number {
  return Math.floor(keepAliveIntervalSeconds(type) / 2);
}

/** Largest PresenceAddress (05 §2). */
export const presenceAddressBytesMax = 1024;
/** Largest Presence (05 §2). */
export const presenceBytesMax = 102_400;
/** Largest keep-alive: 923 bytes with a usual proof of work, the rest is room for long hostnames (05 §5.1). */
export const keepAliveBytesMax = 1200;
/** Longest device id of a presence (05 §2). */
export const deviceBytesMax = 64;
/** Longest node version in UTF-16 code units (05 §2). */
export const nodeVersionUnitsMax = 20;
/** Longest `ip:port`; anything longer must be an address (05 §7.1). */
export const hostnameUnitsMax = 21;
/** Shortest and longest public key of a presence (05 §2). */
export const publicKeyBytesMin = 32;
export const publicKeyBytesMax = 2500;
/** Keep-alives of one keepAlivesChunk (05 §2). */
export const keepAlivesPerChunk = 500;
/** Addresses of one updatePresence (05 §2, §4.3). */
export const addressesPerChunk = 10;

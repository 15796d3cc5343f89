import { payloadBytesMaxOf, preHelloPayloadBytesMax } from '../wire/index.js';

/** Every bound of one link, in one place. Units are in the names. */
export interface LinkLimits {
  /** Nothing valid said by then: closed without bye (docs/protocol/03 §2.5). */
  readonly helloTimeoutMs: number;
  /** No byte received for longer: closed without bye (03 §2.5). */
  readonly silenceMs: number;
  /** Nothing sent for this long: one ping byte. The reference pings at 3 s (03 §2.5). */
  readonly pingIdleMs: number;
  /** How often the timers are looked at; also their error. */
  readonly tickMs: number;
  /** The peer took not one byte of what waits for it: it is not reading, cut. */
  readonly writeStallMs: number;
  /**
   * A queue refused frames and did not fall below half since: the peer is told (bye 605) and dropped. It is reading,
   * or it would have been cut as stalled, but slower than others write to it.
   */
  readonly slowReceiverMs: number;
  /** A peer that was told to leave closes by then, or is cut: what it still sends has arrived long before. */
  readonly leaveMs: number;
  /** Bytes of any kind before an inbound handshake is complete: an honest hello, time records and pings are 8 kB. */
  readonly preHelloBytesMax: number;
  /** Bytes before an inbound handshake that begin nothing a peer says: pings and the probe byte are not counted. */
  readonly preHelloGarbageBytesMax: number;
  /** Largest frame before the handshake is complete: a hello is 6 kB at most (03 §2.3). */
  readonly helloPayloadBytesMax: number;
  /** Largest frame by code and type of the peer afterwards. */
  readonly payloadBytesMax: (code: number, peerType?: string) => number;
  /** Frames in each send queue: as the reference (03 §2.6). */
  readonly sendQueueFramesMax: number;
  /** Bytes in each send queue. One frame always fits an empty queue. */
  readonly sendQueueBytesMax: number;
  /** Inventory items that wait for the next batch: one full message of the reference (04 §3.2). */
  readonly inventoryItemsMax: number;
  /** Shortest time between two inventory flushes to one peer (04 §3.2). */
  readonly inventoryIntervalMs: number;
  /** How long the first item of a batch waits for others. */
  readonly inventoryDelayMs: number;
  /** Candidate endpoints tried for one C hello: each costs one RSA operation. */
  readonly helloCandidatesMax: number;
}

const MIB = 1024 * 1024;

export const defaultLinkLimits: LinkLimits = {
  helloTimeoutMs: 10_000,
  silenceMs: 10_000,
  pingIdleMs: 3_000,
  tickMs: 500,
  writeStallMs: 15_000,
  slowReceiverMs: 30_000,
  leaveMs: 10_000,
  preHelloBytesMax: 64 * 1024,
  preHelloGarbageBytesMax: 16,
  helloPayloadBytesMax: preHelloPayloadBytesMax,
  payloadBytesMax: payloadBytesMaxOf,
  sendQueueFramesMax: 10_000,
  sendQueueBytesMax: 8 * MIB,
  inventoryItemsMax: 10_000,
  inventoryIntervalMs: 1_000,
  inventoryDelayMs: 100,
  helloCandidatesMax: 8,
};

/** Link limits that may be changed while links are open; shared by all links that were given the same object. */
export type SharedLinkLimits = { -readonly [K in keyof LinkLimits]: LinkLimits[K] };

const complete = new WeakSet<object>([defaultLinkLimits]);

/** All limits, with those in `over` replaced. Links given the returned object share it instead of copying it. */
export function sharedLinkLimits(over: Partial<LinkLimits> = {}): SharedLinkLimits {
  const all = { ...defaultLinkLimits, ...over };
  complete.add(all);
  return all;
}

/** The limits a link works with: the given object itself when it is a shared one. */
export function linkLimitsOf(given: Partial<LinkLimits> | undefined): LinkLimits {
  if (given === undefined) return defaultLinkLimits;
  return complete.has(given) ? (given as LinkLimits) : { ...defaultLinkLimits, ...given };
}

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
  /** Largest frame before the handshake is complete: a hello is 6 kB at most (03 §2.3). */
  readonly helloPayloadBytesMax: number;
  /** Largest frame by code and type of the peer afterwards. */
  readonly payloadBytesMax: (code: number, peerType?: string) => number;
  /** Frames in each of the three send queues: as the reference (03 §2.6). */
  readonly sendQueueFramesMax: number;
  /** Bytes in each of the three send queues. One frame always fits an empty queue. */
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
  helloPayloadBytesMax: preHelloPayloadBytesMax,
  payloadBytesMax: payloadBytesMaxOf,
  sendQueueFramesMax: 10_000,
  sendQueueBytesMax: 8 * MIB,
  inventoryItemsMax: 10_000,
  inventoryIntervalMs: 1_000,
  inventoryDelayMs: 100,
  helloCandidatesMax: 8,
};

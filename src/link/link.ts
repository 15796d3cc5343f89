import type { Transport } from './transport.js';
import type { Direction, LinkOptions, PeerInfo, Priority } from './types.js';

/** One item to announce with the next inventory2 batch (docs/protocol/04 §3). */
export type Announcement =
  | { readonly kind: 'transaction'; readonly txid: Uint8Array }
  | { readonly kind: 'block'; readonly checksum: Uint8Array; readonly number: number }
  | {
      readonly kind: 'keepAlive';
      readonly address: Uint8Array;
      readonly deviceId: Uint8Array;
      readonly lastSeen: number;
      /** First 44 bytes of double SHA3-512 over the keep-alive message: key of a type 3 item. */
      readonly hash: Uint8Array;
    };

/** One protocol connection over one transport. Shape only; behaviour follows. */
export interface LinkShape {
  readonly id: number;
  readonly direction: Direction;
  readonly transport: Transport;
  /** Set from `onOpen` on. */
  readonly peer: PeerInfo | null;
  readonly isOpen: boolean;
  /** Queues a message. False: refused (not open, or its queue is full) and counted. */
  send(code: number, payload: Uint8Array, priority?: Priority): boolean;
  /** As {@link send} with a frame already encoded, so that one frame serves many links. */
  sendFrame(code: number, frame: Uint8Array, priority?: Priority): boolean;
  /** Adds to the next inventory batch. False when the batch is full or the link not open. */
  announce(item: Announcement): boolean;
  /** Sends bye and ends. */
  bye(code: number, text?: string, data?: string): void;
  /** Ends at once without bye. */
  destroy(): void;
  setProven(): void;
  pause(): void;
  resume(): void;
}

/** Placeholder for the type; constructed as `new Link(transport, options)`. */
export declare class Link implements LinkShape {
  constructor(transport: Transport, options: LinkOptions);
  readonly id: number;
  readonly direction: Direction;
  readonly transport: Transport;
  readonly peer: PeerInfo | null;
  readonly isOpen: boolean;
  send(code: number, payload: Uint8Array, priority?: Priority): boolean;
  sendFrame(code: number, frame: Uint8Array, priority?: Priority): boolean;
  announce(item: Announcement): boolean;
  bye(code: number, text?: string, data?: string): void;
  destroy(): void;
  setProven(): void;
  pause(): void;
  resume(): void;
}

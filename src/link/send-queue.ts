import { Code } from '../wire/index.js';
import type { Priority } from './types.js';

const HIGH: ReadonlySet<number> = new Set<number>([
  Code.bye,
  Code.rejected,
  Code.getKeepAlives,
  Code.keepAlivesChunk,
  Code.getSectorNodes,
  Code.sectorNodes,
  Code.updatePresence,
  Code.s2data,
  Code.keepAlivePresence,
  Code.getPresence2,
  Code.getNameRecord,
  Code.nameRecord,
  Code.getBlock3,
]);

const LOW: ReadonlySet<number> = new Set<number>([
  Code.transactionData2,
  Code.blockData2,
  Code.pitData2,
  Code.blockHeaders4,
  Code.transactionsChunk3,
]);

/** The queue of a code when the caller names none (docs/protocol/03 §2.6). */
export function priorityOf(code: number): Priority {
  return HIGH.has(code) ? 'high' : LOW.has(code) ? 'low' : 'normal';
}

/** Entries taken off the front before the array is moved down: amortises the move. */
const compactAfter = 256;

/** First in, first out, without moving the rest on every take. */
class Fifo {
  #items: Uint8Array[] = [];
  #head = 0;
  bytes = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(frame: Uint8Array): void {
    this.#items.push(frame);
    this.bytes += frame.length;
  }

  shift(): Uint8Array {
    const frame = this.#items[this.#head]!;
    this.#head++;
    this.bytes -= frame.length;
    if (this.#head === this.#items.length || this.#head >= compactAfter) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return frame;
  }
}

/** The counter of 03 §2.6 starts over beyond this. */
const sentCountMax = 100;

/** Why a frame was not taken. */
export type QueueRefusal = 'frames' | 'bytes';

/**
 * The three bounded queues of a connection and the choice between them (03 §2.6): of fifteen sends under full
 * load three are low, four normal and eight high. Order holds within a queue only.
 */
export class SendQueue {
  readonly #queues: { readonly [P in Priority]: Fifo } = {
    high: new Fifo(),
    normal: new Fifo(),
    low: new Fifo(),
  };
  /** Messages sent, in the counting of 03 §2.6. */
  #sent = 0;

  constructor(
    /** Per queue. */
    readonly framesMax: number,
    /** Per queue; one frame always fits an empty queue. */
    readonly bytesMax: number,
  ) {}

  get frames(): number {
    return this.#queues.high.length + this.#queues.normal.length + this.#queues.low.length;
  }

  get bytes(): number {
    return this.#queues.high.bytes + this.#queues.normal.bytes + this.#queues.low.bytes;
  }

  /** Whether a frame of that size would be refused now. */
  refusal(priority: Priority, bytes: number): QueueRefusal | null {
    const q = this.#queues[priority];
    if (q.length >= this.framesMax) return 'frames';
    return q.length > 0 && q.bytes + bytes > this.bytesMax ? 'bytes' : null;
  }

  /** Adds a frame, or says why not. */
  push(frame: Uint8Array, priority: Priority): QueueRefusal | null {
    const refusal = this.refusal(priority, frame.length);
    if (refusal === null) this.#queues[priority].push(frame);
    return refusal;
  }

  /** A frame went out past the queues: it counts for the choice like any other. */
  passed(): void {
    this.#sent = this.#sent >= sentCountMax ? 0 : this.#sent + 1;
  }

  /** The next frame to send, or null when all queues are empty. */
  shift(): Uint8Array | null {
    const { high, normal, low } = this.#queues;
    const n = this.#sent;
    const from =
      n % 5 === 0 && low.length > 0
        ? low
        : n % 3 === 0 && normal.length > 0
          ? normal
          : [high, normal, low].find((q) => q.length > 0);
    if (from === undefined) return null;
    this.passed();
    return from.shift();
  }
}

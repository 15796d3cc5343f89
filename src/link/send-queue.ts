import { Code } from '../wire/index.js';
import type { LinkLimits } from './limits.js';
import { alwaysHeldBytes, LinkMemory } from './link-memory.js';
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

/** A queue of its own goes ahead of the three: small answers and notices of the protocol, never messages. */
export type Lane = Priority | 'control';

/** Larger answers wait in their queue like everything else. */
const controlFrameBytesMax = 64 * 1024;

/**
 * Where a frame waits. What the reference sends as high is split: messages may fill their queue, and a client
 * whose messages have filled it still gets the answers by which it finds another relay.
 */
export function laneOf(code: number, priority: Priority, bytes: number): Lane {
  return priority === 'high' && code !== Code.s2data && bytes <= controlFrameBytesMax ? 'control' : priority;
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

const EMPTY = new Fifo();

/** The counter of 03 §2.6 starts over beyond this. */
const sentCountMax = 100;

/** Bytes that wait in the queues from which on whoever sends to the peer should wait too: windows of a fast connection. */
export const crowdedBytes = 256 * 1024;
/** No more of each bound than this either, so that a narrow queue is crowded before it refuses. */
const crowdedShare = 1 / 4;
/** It is crowded until no more than this share of that waits. */
const relievedShare = 1 / 2;

/** Why a frame was not taken. */
export type QueueRefusal = 'frames' | 'bytes' | 'total_bytes';

/**
 * The bounded queues of a connection and the choice between them (03 §2.6): control goes first, and of fifteen
 * other sends under full load three are low, four normal and eight high. Order holds within a queue only.
 */
export class SendQueue {
  /** Null while nothing waits, which is nearly always: an idle connection carries no queues. */
  #queues: { readonly [P in Lane]: Fifo } | null = null;
  /** Messages sent, in the counting of 03 §2.6. */
  #sent: number;
  #crowded = false;
  #relieved: (() => void) | null = null;

  constructor(
    /** Bounds of each queue; one frame always fits an empty queue. Looked at anew for every frame. */
    private readonly limits: Pick<LinkLimits, 'sendQueueFramesMax' | 'sendQueueBytesMax'>,
    /** What all links hold together. */
    private readonly memory: LinkMemory = new LinkMemory(),
    /** Frames sent before there was a queue. */
    unqueued = 0,
  ) {
    this.#sent = unqueued % (sentCountMax + 1);
  }

  get frames(): number {
    if (this.#queues === null) return 0;
    const { control, high, normal, low } = this.#queues;
    return control.length + high.length + normal.length + low.length;
  }

  get bytes(): number {
    if (this.#queues === null) return 0;
    const { control, high, normal, low } = this.#queues;
    return control.bytes + high.bytes + normal.bytes + low.bytes;
  }

  /** Whether so much waits that whoever sends here should wait; until half of it has gone. */
  get isCrowded(): boolean {
    return this.#crowded;
  }

  /** Calls `fn` once: when the queues are crowded no more, or are cleared. */
  onceRelieved(fn: () => void): void {
    this.#relieved = fn;
  }

  #exceeds(share: number): boolean {
    const { sendQueueBytesMax, sendQueueFramesMax } = this.limits;
    if (this.bytes > share * Math.min(crowdedBytes, crowdedShare * sendQueueBytesMax)) return true;
    return this.frames > share * crowdedShare * sendQueueFramesMax;
  }

  #relieve(): void {
    this.#crowded = false;
    const fn = this.#relieved;
    this.#relieved = null;
    fn?.();
  }

  /** Whether a frame of that size would be refused now. */
  refusal(lane: Lane, bytes: number): QueueRefusal | null {
    const q = this.#queues?.[lane] ?? EMPTY;
    if (q.length >= this.limits.sendQueueFramesMax) return 'frames';
    if (q.length > 0 && q.bytes + bytes > this.limits.sendQueueBytesMax) return 'bytes';
    if (lane === 'control' || this.memory.queuedBytes + bytes <= this.memory.queuedBytesMax) return null;
    // A receiver that has nothing waiting does not pay for the slow ones.
    return q.length === 0 && bytes <= alwaysHeldBytes ? null : 'total_bytes';
  }

  /** Adds a frame, or says why not. */
  push(frame: Uint8Array, lane: Lane): QueueRefusal | null {
    const refusal = this.refusal(lane, frame.length);
    if (refusal === null) {
      this.#queues ??= { control: new Fifo(), high: new Fifo(), normal: new Fifo(), low: new Fifo() };
      this.#queues[lane].push(frame);
      this.memory.queuedBytes += frame.length;
      if (!this.#crowded) this.#crowded = this.#exceeds(1);
    }
    return refusal;
  }

  /** Drops what waits; returns how many frames of each queue that had some. */
  clear(): (readonly [Lane, number])[] {
    this.memory.queuedBytes -= this.bytes;
    const dropped: (readonly [Lane, number])[] = [];
    for (const [lane, q] of Object.entries(this.#queues ?? {}) as [Lane, Fifo][])
      if (q.length > 0) dropped.push([lane, q.length]);
    this.#queues = null;
    this.#relieve();
    return dropped;
  }

  /** A frame went out past the queues: it counts for the choice like any other. */
  passed(): void {
    this.#sent = this.#sent >= sentCountMax ? 0 : this.#sent + 1;
  }

  /** The next frame to send, or null when all queues are empty. */
  shift(): Uint8Array | null {
    if (this.#queues === null) return null;
    const { control, high, normal, low } = this.#queues;
    const n = this.#sent;
    const from =
      control.length > 0
        ? control
        : n % 5 === 0 && low.length > 0
          ? low
          : n % 3 === 0 && normal.length > 0
            ? normal
            : [high, normal, low].find((q) => q.length > 0);
    if (from === undefined) {
      this.#queues = null;
      return null;
    }
    this.passed();
    const frame = from.shift();
    this.memory.queuedBytes -= frame.length;
    if (this.#crowded && !this.#exceeds(relievedShare)) this.#relieve();
    return frame;
  }
}

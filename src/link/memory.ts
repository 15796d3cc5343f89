import { type Clock, systemClock } from '../clock/index.js';
import { keepLent } from './lent-chunk.js';
import {
  type Transport,
  type TransportCloseReason,
  type TransportHandlers,
  transportHighWaterBytes,
} from './transport.js';

/** How a {@link memoryPair} behaves; the defaults are an instant, roomy wire. */
export interface MemoryPairOptions {
  /** One-way delay; 0 delivers in a microtask without any timer. */
  readonly latencyMs?: number;
  /** Largest chunk handed over at once, so that frames arrive cut. */
  readonly chunkBytes?: number;
  readonly highWaterBytes?: number;
  readonly clock?: Clock;
  /** Addresses of the two ends; `[0]` is the dialler's. */
  readonly addresses?: readonly [string, string];
  /**
   * Overwrites every chunk after it was handed over, as uWebSockets.js does: code that keeps a view fails
   * loudly. Costs a copy per chunk.
   */
  readonly poison?: boolean;
}

interface Pipe {
  readonly chunks: Uint8Array[];
  bytes: number;
  ended: boolean;
  broken: boolean;
}

/** What a poisoned chunk reads as afterwards. */
const POISON = 0xdd;

class MemoryTransport implements Transport {
  readonly kind = 'memory';
  readonly chunksStay: boolean;
  readonly remotePort = 0;
  #peer: MemoryTransport | null = null;
  readonly #inbox: Pipe = { chunks: [], bytes: 0, ended: false, broken: false };
  #handlers: TransportHandlers | null = null;
  #paused = false;
  #scheduled = false;
  #closed = false;
  #writable = true;
  #blocked = false;
  #inFlightBytes = 0;

  constructor(
    readonly localAddress: string,
    readonly remoteAddress: string,
    readonly options: Required<Omit<MemoryPairOptions, 'addresses'>>,
  ) {
    this.chunksStay = !options.poison;
  }

  join(peer: MemoryTransport): void {
    this.#peer = peer;
  }

  get bufferedBytes(): number {
    return this.#closed || this.#peer === null ? 0 : this.#inFlightBytes + this.#peer.#inbox.bytes;
  }

  start(handlers: TransportHandlers): void {
    if (this.#handlers !== null) throw new TypeError('a transport is started once');
    this.#handlers = handlers;
    this.#schedule();
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#writable || this.#closed) return false;
    const own = keepLent(bytes);
    this.#ship(own.length, (to) => {
      to.#inbox.chunks.push(own);
      to.#inbox.bytes += own.length;
    });
    if (this.bufferedBytes < this.options.highWaterBytes) return true;
    this.#blocked = true;
    return false;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  end(): void {
    if (!this.#writable) return;
    this.#writable = false;
    this.#ship(0, (to) => {
      to.#inbox.ended = true;
    });
    queueMicrotask(() => this.#close('local', ''));
  }

  destroy(): void {
    if (this.#closed) return;
    this.#writable = false;
    this.#ship(0, (to) => {
      to.#inbox.ended = true;
      to.#inbox.broken = true;
    });
    queueMicrotask(() => this.#close('local', ''));
  }

  /** Runs `arrive` on the other side after the latency. */
  #ship(bytes: number, arrive: (to: MemoryTransport) => void): void {
    const to = this.#peer!;
    if (this.options.latencyMs === 0) {
      arrive(to);
      to.#schedule();
      return;
    }
    this.#inFlightBytes += bytes;
    this.options.clock.after(this.options.latencyMs, () => {
      this.#inFlightBytes -= bytes;
      arrive(to);
      to.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#handlers === null || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const box = this.#inbox;
    // One chunk per turn, as sockets do, so that a reader may pause between any two.
    while (!this.#paused && !this.#closed && !box.broken && box.chunks.length > 0) {
      const first = box.chunks[0]!;
      const chunk =
        first.length > this.options.chunkBytes ? first.subarray(0, this.options.chunkBytes) : first;
      if (chunk === first) box.chunks.shift();
      else box.chunks[0] = first.subarray(chunk.length);
      box.bytes -= chunk.length;
      const given = this.options.poison ? chunk.slice() : chunk;
      this.#handlers!.data(given);
      if (this.options.poison) given.fill(POISON);
      this.#peer!.#room();
    }
    if (this.#closed || this.#paused) return;
    if (box.ended) this.#close('remote', '');
  }

  #room(): void {
    if (!this.#blocked || this.#closed || this.bufferedBytes >= this.options.highWaterBytes) return;
    this.#blocked = false;
    queueMicrotask(() => {
      if (!this.#closed) this.#handlers?.drain();
    });
  }

  #close(reason: TransportCloseReason, detail: string): void {
    if (this.#closed) return;
    if (this.#handlers === null) {
      // Not started yet: whoever starts it still learns of the end.
      this.#inbox.ended = true;
      return;
    }
    this.#closed = true;
    const why = this.#writable ? reason : 'local';
    this.#writable = false;
    if (reason === 'remote')
      this.#ship(0, (to) => {
        to.#inbox.ended = true;
      });
    this.#handlers.close(why, detail);
  }
}

/**
 * Two ends of one wire inside this process: for tests and simulation. Everything is delivered asynchronously
 * and in order; `bufferedBytes` counts what the other end has not read, so a paused reader stops the writer.
 */
export function memoryPair(options: MemoryPairOptions = {}): [Transport, Transport] {
  const [a, b] = options.addresses ?? ['127.0.0.1', '127.0.0.1'];
  const full = {
    latencyMs: options.latencyMs ?? 0,
    chunkBytes: options.chunkBytes ?? Number.MAX_SAFE_INTEGER,
    highWaterBytes: options.highWaterBytes ?? transportHighWaterBytes,
    clock: options.clock ?? systemClock,
    poison: options.poison ?? false,
  };
  const left = new MemoryTransport(a, b, full);
  const right = new MemoryTransport(b, a, full);
  left.join(right);
  right.join(left);
  return [left, right];
}

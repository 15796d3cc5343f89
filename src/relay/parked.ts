import type { Clock, Timer } from '../clock/index.js';
import type { Counters } from '../counters/index.js';

/** Messages and bytes kept: what clients send in the moment in which they are moved on, for receivers that move too. */
export const parkedMax = 10_000;
export const parkedBytesMax = 32 * 1024 * 1024;
/** A receiver that is not back by then is as good as not connected. */
export const parkedMs = 15_000;
const againMs = 50;

interface Parked {
  readonly payload: Uint8Array;
  readonly untilMs: number;
}

/**
 * Messages that nobody took and whose sender can no longer be told, because its connection is being moved to another
 * process of this relay. They are tried again until their receiver, which is often moving itself, is there.
 */
export class ParkedMessages {
  #items: Parked[] = [];
  #bytes = 0;
  #timer: Timer | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly counters: Counters,
    /** True when somebody took it. */
    private readonly deliver: (payload: Uint8Array) => boolean,
  ) {}

  get size(): number {
    return this.#items.length;
  }

  #count(result: string): void {
    this.counters
      .counter(
        'ixian_messages_parked_total',
        'Messages of clients that were moved on, by what became of them',
        {
          result,
        },
      )
      .add();
  }

  /** False when there is no room. The payload is copied. */
  add(payload: Uint8Array): boolean {
    if (this.#items.length >= parkedMax || this.#bytes + payload.length > parkedBytesMax) {
      this.#count('no_room');
      return false;
    }
    this.#items.push({ payload: payload.slice(), untilMs: this.clock.nowMs() + parkedMs });
    this.#bytes += payload.length;
    this.#timer ??= this.clock.every(againMs, () => this.again());
    return true;
  }

  /** Tries all of them now. */
  again(): void {
    const now = this.clock.nowMs();
    const left: Parked[] = [];
    for (const p of this.#items) {
      if (this.deliver(p.payload)) this.#count('delivered');
      else if (p.untilMs < now) this.#count('given_up');
      else {
        left.push(p);
        continue;
      }
      this.#bytes -= p.payload.length;
    }
    this.#items = left;
    if (left.length === 0) this.stop();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}

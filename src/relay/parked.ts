import type { Clock, Timer } from '../clock/index.js';
import type { Counters } from '../counters/index.js';

/** Messages and bytes kept: what clients send in the moment in which they are moved on, for receivers that move too. */
export const parkedMax = 10_000;
export const parkedBytesMax = 32 * 1024 * 1024;
/** A receiver that is not back by then is as good as not connected. */
export const parkedMs = 15_000;
/** How often they are looked through. A receiver that comes gets its own at once. */
const sweepMs = 500;

export interface Parked {
  readonly payload: Uint8Array;
  /** Connection it was sent on, which has ended. */
  readonly senderId: number;
  readonly untilMs: number;
}

export interface ParkedOptions {
  /** Map key of the wallet a message is for. */
  receiverOf(payload: Uint8Array): string;
  /** True when somebody took it. */
  deliver(p: Parked): boolean;
  /** Its time is over: true when its sender, which is back, was told. */
  tell(p: Parked): boolean;
}

/**
 * Messages that nobody took and whose sender can no longer be told, because its connection is being moved to another
 * process of this relay. They wait for their receiver, which is often moving itself; when it does not come in time,
 * the sender is told on its new connection.
 */
export class ParkedMessages {
  readonly #byReceiver = new Map<string, Parked[]>();
  #size = 0;
  #bytes = 0;
  #timer: Timer | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly counters: Counters,
    private readonly options: ParkedOptions,
  ) {}

  get size(): number {
    return this.#size;
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

  /** False when there is no room and nobody to tell. The payload is copied. */
  add(payload: Uint8Array, senderId: number, leftMs: number = parkedMs): boolean {
    const p = { payload: payload.slice(), senderId, untilMs: this.clock.nowMs() + leftMs };
    if (this.#size >= parkedMax || this.#bytes + payload.length > parkedBytesMax) {
      const told = this.options.tell(p);
      this.#count(told ? 'no_room_told' : 'no_room');
      return told;
    }
    const key = this.options.receiverOf(p.payload);
    const list = this.#byReceiver.get(key);
    if (list === undefined) this.#byReceiver.set(key, [p]);
    else list.push(p);
    this.#size++;
    this.#bytes += p.payload.length;
    this.#timer ??= this.clock.every(sweepMs, () => this.sweep());
    return true;
  }

  /** A session of that wallet came. */
  came(receiver: string): void {
    if (this.#byReceiver.has(receiver)) this.#again(receiver);
  }

  /** Tries all of them now, and gives up those whose time is over. */
  sweep(): void {
    for (const key of [...this.#byReceiver.keys()]) this.#again(key);
    if (this.#size === 0) this.stop();
  }

  #again(key: string): void {
    const list = this.#byReceiver.get(key) ?? [];
    this.#byReceiver.delete(key);
    const now = this.clock.nowMs();
    const left: Parked[] = [];
    for (const p of list) {
      if (this.options.deliver(p)) this.#count('delivered');
      else if (p.untilMs < now) this.#count(this.options.tell(p) ? 'sender_told' : 'given_up');
      else {
        left.push(p);
        continue;
      }
      this.#size--;
      this.#bytes -= p.payload.length;
    }
    if (left.length > 0) this.#byReceiver.set(key, [...left, ...(this.#byReceiver.get(key) ?? [])]);
  }

  /** Gives all of them to another process: `give` says whether it took one. What it does not take is lost. */
  handOver(give: (p: Parked) => boolean): void {
    for (const p of [...this.#byReceiver.values()].flat())
      this.#count(give(p) ? 'handed_over' : this.options.tell(p) ? 'sender_told' : 'given_up');
    this.#byReceiver.clear();
    this.#size = 0;
    this.#bytes = 0;
    this.stop();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}

import type { Clock, Timer } from '../clock/index.js';
import type { Counter } from '../counters/index.js';
import type { RelayPeer } from './peer.js';

/** Bytes that wait for a receiver from which on whoever sends to it is held. */
export const brakeBytes = 256 * 1024;
/** It goes on when no more than this waits. */
const releaseBytes = brakeBytes / 2;
/** A receiver that took nothing for so long is no reason to hold anybody: its queue fills, and senders are told. */
export const brakeMsMax = 1_000;
/** Nor is one that takes little: so long is nobody kept from all the others he talks to. */
export const brakeHeldMsMax = 5_000;
const lookEveryMs = 2;

interface Held {
  readonly receiver: RelayPeer;
  readonly sinceMs: number;
  /** Bytes that waited when it was last seen to take some, and when that was. */
  waiting: number;
  progressMs: number;
}

/**
 * Back-pressure from a receiver to whoever sends to it: a sender that is faster than its receiver is not read for a
 * while, so that its own window fills and it waits, instead of filling a queue of megabytes and being refused then.
 * Only as long as the receiver takes something: nobody is held for one that has stalled.
 */
export class SenderBrake {
  readonly #held = new Map<RelayPeer, Held>();
  /** Receivers that took nothing; forgotten when nothing waits for them any more. */
  readonly #stalled = new Set<RelayPeer>();
  #timer: Timer | null = null;

  /** @param counted one more for every time that a sender is held */
  constructor(
    private readonly clock: Clock,
    private readonly counted: Counter,
  ) {}

  /** Senders that are held now. */
  get held(): number {
    return this.#held.size;
  }

  /** After a message of `sender` was taken for `receiver`. */
  sent(sender: RelayPeer, receiver: RelayPeer): void {
    // By far the most: nothing waits.
    if (receiver.link.isFlushed) return;
    const waiting = receiver.link.queuedBytes;
    if (waiting < brakeBytes || sender === receiver || !sender.isClient) return;
    if (this.#held.has(sender) || this.#stalled.has(receiver)) return;
    const now = this.clock.nowMs();
    this.#held.set(sender, { receiver, sinceMs: now, waiting, progressMs: now });
    sender.link.pause();
    this.counted.add();
    this.#timer ??= this.clock.every(lookEveryMs, () => this.#look());
  }

  #look(): void {
    const now = this.clock.nowMs();
    for (const [sender, h] of this.#held) {
      const { receiver } = h;
      const waiting = receiver.link.isClosed ? 0 : receiver.link.queuedBytes;
      // A clock that was set holds nobody longer.
      if (waiting < h.waiting || now < h.progressMs) h.progressMs = now;
      h.waiting = waiting;
      const stalled = now - h.progressMs > brakeMsMax || Math.abs(now - h.sinceMs) > brakeHeldMsMax;
      if (stalled) this.#stalled.add(receiver);
      if (waiting > releaseBytes && !stalled && !sender.link.isClosed) continue;
      this.#held.delete(sender);
      sender.link.resume();
    }
    for (const r of this.#stalled) if (r.link.isClosed || r.link.isFlushed) this.#stalled.delete(r);
    if (this.#held.size + this.#stalled.size === 0) this.stop();
  }

  /** Lets everybody go. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const sender of this.#held.keys()) sender.link.resume();
    this.#held.clear();
    this.#stalled.clear();
  }
}

import type { Clock, Timer } from '../clock/index.js';
import type { Counter } from '../counters/index.js';
import type { RelayPeer } from './peer.js';

/** A receiver that took nothing for so long is no reason to hold anybody: its queue fills, and senders are told. */
export const brakeStallMs = 1_000;
/** Nor is one for which senders would have to wait for more than this share of the time. */
export const brakeHeldPercentMax = 33;
/** How often both are looked at; also their error. */
const lookEveryMs = 100;

/** A receiver for which senders are held, or were a while ago. */
interface Crowded {
  readonly senders: RelayPeer[];
  /** When the time began in which senders may be held for it for so long, and for how long they were. */
  windowMs: number;
  heldMs: number;
  /** Since when somebody is held now. */
  sinceMs: number;
  /** Bytes it had taken when it was last seen to take some, and when that was. */
  takenBytes: number;
  progressMs: number;
  /** It took nothing; nobody is held until it has. */
  stalled: boolean;
}

export interface SenderBrakeOptions {
  readonly clock: Clock;
  /** One more for every time that a sender is held. */
  readonly held: Counter;
  /** The time in which a receiver that is too slow is dropped, looked at anew: senders are held for a part of it. */
  slowReceiverMs(): number;
}

/**
 * Back-pressure from a receiver to whoever sends to it: a client whose receiver has much waiting is not read until half
 * of that has gone, so that its own window fills and it waits, instead of filling a queue of megabytes and being refused.
 *
 * A sender that is held talks to nobody else either. So nobody is held for a receiver that takes nothing, nor for one
 * that takes too little: beyond {@link brakeHeldPercentMax} of the time, its queue fills and refuses as if there were no
 * brake, its senders are told, and the link drops it when that lasts. While it refuses, nobody is held for it: the
 * time by which the link judges it must not start over.
 */
export class SenderBrake {
  readonly #receivers = new Map<RelayPeer, Crowded>();
  readonly #held = new Set<RelayPeer>();
  #timer: Timer | null = null;
  #stopped = false;

  constructor(private readonly options: SenderBrakeOptions) {}

  /** Senders that are held now. */
  get held(): number {
    return this.#held.size;
  }

  /** After a message of `sender` was taken for `receiver`, whose link is crowded. */
  hold(sender: RelayPeer, receiver: RelayPeer): void {
    // Other transports cannot stop reading; other peers ask much else on the same connection.
    if (!sender.isClient || sender.link.transport.kind !== 'tcp') return;
    if (this.#stopped || sender === receiver || !sender.isOpen || this.#held.has(sender)) return;
    const now = this.options.clock.nowMs();
    const c = this.#crowded(receiver, now);
    if (c.stalled || this.#isSpent(c, now)) return;
    if (c.senders.length === 0) {
      c.sinceMs = now;
      c.progressMs = now;
      c.takenBytes = takenBytes(receiver);
      receiver.link.onceRelieved(() => this.#relieved(c));
    }
    c.senders.push(sender);
    this.#held.add(sender);
    sender.link.pause();
    this.options.held.add();
    this.#timer ??= this.options.clock.every(lookEveryMs, () => this.#look());
  }

  #crowded(receiver: RelayPeer, now: number): Crowded {
    let c = this.#receivers.get(receiver);
    if (c === undefined) {
      const times = { windowMs: now, heldMs: 0, sinceMs: now, takenBytes: 0, progressMs: now };
      c = { senders: [], ...times, stalled: false };
      this.#receivers.set(receiver, c);
    } else if (this.#isOver(c, now)) {
      c.windowMs = now;
      c.heldMs = 0;
    }
    return c;
  }

  /** Whether its time is over, and nobody is held: another begins. Also when the clock was set back. */
  #isOver(c: Crowded, now: number): boolean {
    if (c.senders.length > 0) return false;
    return now < c.windowMs || now - c.windowMs >= this.options.slowReceiverMs();
  }

  /** Whether senders were held for it as long as they may be. */
  #isSpent(c: Crowded, now: number): boolean {
    const current = c.senders.length > 0 ? Math.abs(now - c.sinceMs) : 0;
    return c.heldMs + current >= (this.options.slowReceiverMs() * brakeHeldPercentMax) / 100;
  }

  /** Half of what waited has gone, or the receiver has. */
  #relieved(c: Crowded): void {
    c.stalled = false;
    this.#release(c);
  }

  #release(c: Crowded): void {
    if (c.senders.length === 0) return;
    c.heldMs += Math.abs(this.options.clock.nowMs() - c.sinceMs);
    for (const sender of c.senders.splice(0)) {
      this.#held.delete(sender);
      sender.link.resume();
    }
  }

  #look(): void {
    const now = this.options.clock.nowMs();
    for (const [receiver, c] of this.#receivers) {
      if (c.senders.length > 0) {
        const taken = takenBytes(receiver);
        if (taken !== c.takenBytes || now < c.progressMs) c.progressMs = now;
        c.takenBytes = taken;
        c.stalled = now - c.progressMs >= brakeStallMs;
        if (c.stalled || this.#isSpent(c, now)) this.#release(c);
      }
      if (receiver.link.isClosed || (!c.stalled && this.#isOver(c, now))) this.#receivers.delete(receiver);
    }
    if (this.#receivers.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Lets everybody go, and holds nobody any more. */
  stop(): void {
    this.#stopped = true;
    for (const c of this.#receivers.values()) this.#release(c);
    this.#receivers.clear();
    this.#timer?.cancel();
    this.#timer = null;
  }
}

/** What the kernel has taken for a peer so far. */
function takenBytes({ link }: RelayPeer): number {
  return link.stats.bytesOut - link.transport.bufferedBytes;
}

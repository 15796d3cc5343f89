import { PING_BYTE } from '../wire/index.js';
import type { LinkLimits } from './limits.js';

export const PING = Uint8Array.of(PING_BYTE);

/** A ping that comes this long after whatever came before is not charged to its sender: nobody floods like that. */
const freePingApartMs = 1_000;

/** Whether a chunk is such a ping, and nothing besides. */
export const isLonePing = (chunk: Uint8Array, apartMs: number): boolean =>
  chunk.length === 1 && chunk[0] === PING_BYTE && apartMs >= freePingApartMs;

/**
 * The times of one link, against which docs/protocol/03 §2.5 judges it: when it heard and said something, and when what
 * waits for the peer last became less. A base of the link, not an object beside it: there may be a hundred thousand.
 */
export abstract class LinkTimes {
  protected startedMs: number;
  protected receivedMs: number;
  protected sentMs: number;
  /** When a send was first refused since the queues were last below half. */
  protected slowSinceMs = 0;
  /** Bytes the transport had passed on when it last made progress, and when that was. */
  #drainedBytes = 0;
  #progressMs: number;

  constructor(nowMs: number) {
    this.startedMs = nowMs;
    this.receivedMs = nowMs;
    this.sentMs = nowMs;
    this.#progressMs = nowMs;
  }

  /** Whether nothing of the `buffered` bytes was taken for too long, after `written` in all. */
  protected hasStalled(nowMs: number, written: number, buffered: number, limits: LinkLimits): boolean {
    const drained = written - buffered;
    if (buffered > 0 && drained <= this.#drainedBytes) return nowMs - this.#progressMs > limits.writeStallMs;
    this.#drainedBytes = drained;
    this.#progressMs = nowMs;
    return false;
  }

  /** Whether a byte of the peer is an occasion to ping it, as a tick would soon. */
  protected mayAnswer(nowMs: number, limits: LinkLimits): boolean {
    return nowMs - this.sentMs >= limits.pingIdleMs - limits.tickMs;
  }

  /**
   * For how long a link that waits for nothing need not be looked at. Part of the longer bounds: what begins to wait
   * meanwhile is noticed in time.
   */
  protected calmMs(nowMs: number, limits: LinkLimits): number {
    const { pingIdleMs, silenceMs, writeStallMs, slowReceiverMs, leaveMs } = limits;
    const due = Math.min(this.sentMs + pingIdleMs, this.receivedMs + silenceMs) - nowMs;
    return Math.min(due, Math.min(writeStallMs, slowReceiverMs, leaveMs) / 4);
  }

  /** See {@link Ticked.shift}. */
  shift(ms: number): void {
    this.startedMs += ms;
    this.receivedMs += ms;
    this.sentMs += ms;
    this.#progressMs += ms;
    this.slowSinceMs += ms;
  }
}

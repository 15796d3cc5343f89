import type { Clock, Timer } from '../clock/index.js';
import type { Transport, TransportHandlers } from '../link/index.js';
import type { TunnelLimits } from './tunnel-limits.js';

/** Why a tunnel ended: the label of `ixian_tunnels_closed_total`. */
export type TunnelEnd =
  | 'client' // the browser's side ended
  | 'relay' // the relay's side ended
  | 'unreachable' // the relay could not be connected
  | 'not_ixian' // what answered there does not speak this protocol, or the client does not
  | 'slow' // more waits for the relay than may
  | 'full' // all tunnels together hold too much
  | 'idle'
  | 'lifetime'
  | 'banned' // by the operator, since it began
  | 'stopping';

/** What every server of the protocol says first: five time records of nine bytes (docs/protocol/03 §2.4). */
const timeRecords = 5;
const timeRecordBytes = 9;
const timeRecordMark = 0x02;
/** First byte of every frame (03 §2.1), so of the hello that a client begins with. */
const frameMark = 0xea;

export interface TunnelHooks {
  /** Bytes that went through, to either side. */
  moved(direction: 'to_relay' | 'to_client', bytes: number): void;
  /** How many bytes wait in this tunnel now; false when all together hold too much. */
  holds(bytes: number): boolean;
  /** The end, once. */
  ended(why: TunnelEnd): void;
}

/**
 * One tunnel: a browser's WebSocket on the one side, a TCP connection to another relay on the other, and their bytes
 * passed unread. Only the beginning is looked at: nothing of the client goes out before the other end has shown, by
 * its time records, that it is a server of this protocol, and a client begins with a frame. So a relay that lies
 * about its endpoint in its presence makes nobody else's server hear a stranger's bytes.
 */
export class Tunnel {
  readonly startedMs: number;
  #activeMs: number;
  #relay: Transport | null = null;
  /** Bytes of the time records seen so far; all of them: the relay has shown what it is. */
  #greeted = 0;
  #spoke = false;
  #clientPaused = false;
  #ended = false;
  #deadline: Timer | null = null;

  constructor(
    private readonly client: Transport,
    private readonly clock: Clock,
    private readonly limits: TunnelLimits,
    private readonly hooks: TunnelHooks,
  ) {
    this.startedMs = clock.nowMs();
    this.#activeMs = this.startedMs;
    // What the client says meanwhile, its hello, is kept by its transport.
    client.pause();
    this.#clientPaused = true;
    client.start({
      data: (bytes) => this.#fromClient(bytes),
      drain: () => this.#relay?.resume(),
      close: () => this.end('client'),
    });
  }

  /** Connects to the relay; `dial` rejects when that fails. */
  async open(dial: () => Promise<Transport>): Promise<void> {
    let relay: Transport;
    try {
      relay = await dial();
    } catch {
      this.end('unreachable');
      return;
    }
    if (this.#ended) {
      relay.destroy();
      return;
    }
    this.#relay = relay;
    this.#deadline = this.clock.after(this.limits.tunnelGreetingMs, () => this.end('not_ixian'));
    const handlers: TransportHandlers = {
      data: (bytes) => this.#fromRelay(bytes),
      drain: () => this.#relayDrained(),
      close: () => this.end(this.#greeted < timeRecords * timeRecordBytes ? 'not_ixian' : 'relay'),
    };
    relay.start(handlers);
  }

  /** Ends it when its time is over. */
  sweep(nowMs: number): void {
    if (nowMs - this.startedMs > this.limits.tunnelLifetimeMs) this.end('lifetime');
    else if (nowMs - this.#activeMs > this.limits.tunnelIdleMs) this.end('idle');
  }

  /** Ends both sides; what was passed on already is still sent. */
  end(why: TunnelEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline?.cancel();
    this.hooks.holds(0);
    this.client.end();
    if (why === 'client' || why === 'relay' || why === 'lifetime') this.#relay?.end();
    else this.#relay?.destroy();
    this.hooks.ended(why);
  }

  #fromRelay(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#activeMs = this.clock.nowMs();
    if (!this.#greet(bytes)) {
      this.end('not_ixian');
      return;
    }
    this.hooks.moved('to_client', bytes.length);
    // The browser is slow: the relay's own window slows it, so nothing piles up here.
    if (!this.client.write(this.#own(this.#relay!, bytes))) this.#relay!.pause();
  }

  /** Looks at the first 45 bytes only; false: no server of this protocol says that. */
  #greet(bytes: Uint8Array): boolean {
    const all = timeRecords * timeRecordBytes;
    for (let i = 0; i < bytes.length && this.#greeted < all; i++, this.#greeted++)
      if (this.#greeted % timeRecordBytes === 0 && bytes[i] !== timeRecordMark) return false;
    if (this.#greeted === all && this.#deadline !== null) {
      this.#deadline.cancel();
      this.#deadline = null;
      this.#resumeClient();
    }
    return true;
  }

  #fromClient(bytes: Uint8Array): void {
    const relay = this.#relay;
    if (this.#ended || relay === null || bytes.length === 0) return;
    if (!this.#spoke && bytes[0] !== frameMark) {
      this.end('not_ixian');
      return;
    }
    this.#spoke = true;
    this.#activeMs = this.clock.nowMs();
    this.hooks.moved('to_relay', bytes.length);
    const room = relay.write(this.#own(this.client, bytes));
    const waiting = room ? 0 : relay.bufferedBytes;
    if (!this.hooks.holds(waiting)) this.end('full');
    else if (waiting > this.limits.tunnelBytesMax + this.limits.tunnelUnreadBytesMax) this.end('slow');
    else if (waiting > this.limits.tunnelBytesMax && !this.#clientPaused) {
      this.#clientPaused = true;
      this.client.pause();
    }
  }

  #relayDrained(): void {
    if (this.#ended || this.#relay === null) return;
    this.hooks.holds(this.#relay.bufferedBytes);
    this.#resumeClient();
  }

  #resumeClient(): void {
    if (!this.#clientPaused) return;
    this.#clientPaused = false;
    this.client.resume();
  }

  /** A transport may take its buffer back after the call; the other one needs it longer. */
  #own(from: Transport, bytes: Uint8Array): Uint8Array {
    return from.chunksStay ? bytes : bytes.slice();
  }
}

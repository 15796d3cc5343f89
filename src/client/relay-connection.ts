import type { Link, LinkClose, PeerInfo } from '../link/index.js';
import { toHex } from '../wire/index.js';
import type { DialTarget } from './types.js';

/** Ids remembered per connection for judging relay errors; more are in flight to one relay only under attack. */
const recentSendsMax = 4_096;
/** An error for a message sent longer ago is not believed (docs/protocol/07 §10). */
const recentSendMs = 60_000;

/** One connection to a relay (or, for look-ups only, to a ledger node). */
export class RelayConnection {
  readonly #sent = new Map<string, { readonly contact: string; readonly atMs: number }>();
  /** From dialling to the completed hello: the best measure of distance we get for nothing. */
  helloMs = 0;
  /** Last time a message of ours went out here, or one came in. */
  lastUsedMs: number;
  /** `ip:port` that the relay's helloData is signed over; `''` until the hello is complete. */
  endpoint = '';

  constructor(
    readonly link: Link,
    readonly target: DialTarget,
    readonly startedMs: number,
  ) {
    this.lastUsedMs = startedMs;
  }

  get isOpen(): boolean {
    return this.link.isOpen;
  }

  /** Who is there. Only after the hello. */
  get peer(): PeerInfo {
    return this.link.peer!;
  }

  get isRelay(): boolean {
    return this.link.peer?.nodeType === 'R';
  }

  send(code: number, payload: Uint8Array): boolean {
    return this.link.send(code, payload);
  }

  /** Remembers that this message for `contact` (hex address) went out here. */
  noteSent(id: Uint8Array, contact: string, nowMs: number): void {
    const key = toHex(id);
    this.#sent.delete(key);
    this.#sent.set(key, { contact, atMs: nowMs });
    if (this.#sent.size > recentSendsMax) this.#sent.delete(this.#sent.keys().next().value!);
    this.lastUsedMs = nowMs;
  }

  /** True when a message with this id went to `contact` through here a short while ago. */
  sentLately(id: Uint8Array, contact: string, nowMs: number): boolean {
    const s = this.#sent.get(toHex(id));
    return s !== undefined && s.contact === contact && nowMs - s.atMs <= recentSendMs;
  }
}

/** A connection that did not come about. */
export class RelayUnreachable extends Error {
  override readonly name = 'RelayUnreachable';
  constructor(target: string, why: string, options?: ErrorOptions) {
    super(`${target}: ${why}`, options);
  }
}

/** What a dial was for, in words. */
export function targetText(t: DialTarget): string {
  return t.endpoint ?? t.host ?? t.wsUrl ?? 'relay without address';
}

/** Why a connection ended, in words. */
export function closeText(c: LinkClose): string {
  return c.byeCode === null ? `${c.why} ${c.text}`.trim() : `${c.why} ${c.byeCode} ${c.text}`.trim();
}

import { type Clock, systemClock, type Timer } from '../clock/index.js';
import { keepLent } from './lent-chunk.js';
import { MessageInbox } from './message-inbox.js';
import {
  isIpv4,
  type Transport,
  type TransportCloseReason,
  type TransportHandlers,
  transportHighWaterBytes,
  transportLingerMs,
} from './transport.js';

/** The part of the WHATWG WebSocket that is used; browsers, Node ≥ 22, Deno, Bun and `ws` all have it. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'error', fn: () => void): void;
  addEventListener(type: 'message', fn: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    fn: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
}

export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** Largest WebSocket message we send; larger frames continue in the next message (docs/websocket.md). */
export const wsSendMessageBytesMax = 256 * 1024;

/** Largest WebSocket message taken (docs/websocket.md). */
export const wsMessageBytesMax = 1024 * 1024;

/**
 * A browser cannot slow its peer down, so what arrives while the reader is paused is kept, up to here. One
 * answer of a relay (headers, presences) fits many times.
 */
export const wsUnreadBytesMax = 8 * 1024 * 1024;

/** How often a full send buffer is looked at: the API has no event for it. */
const drainPollMs = 10;

const OPEN = 1;

class WsClientTransport implements Transport {
  readonly kind = 'ws-client';
  readonly chunksStay = true;
  readonly localAddress = '';
  readonly #inbox: MessageInbox;
  #ending = false;
  #poll: Timer | null = null;
  #linger: Timer | null = null;

  constructor(
    readonly socket: WebSocketLike,
    readonly remoteAddress: string,
    readonly remotePort: number,
    readonly clock: Clock,
  ) {
    this.#inbox = new MessageInbox(wsUnreadBytesMax, this);
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', (e) => this.#message(e.data));
    socket.addEventListener('error', () => undefined); // a close event follows always
    socket.addEventListener('close', (e) =>
      this.#over(e.code === 1006 ? 'error' : 'remote', `${e.code} ${e.reason}`.trim()),
    );
  }

  get bufferedBytes(): number {
    return this.#inbox.ended ? 0 : this.socket.bufferedAmount;
  }

  overflowed(): void {
    this.#violate('too much unread');
  }

  start(handlers: TransportHandlers): void {
    this.#inbox.start(handlers);
  }

  #message(data: unknown): void {
    if (this.#ending) return;
    if (!(data instanceof ArrayBuffer)) this.#violate('text message');
    else if (data.byteLength > wsMessageBytesMax) this.#violate('message too large');
    else this.#inbox.take(new Uint8Array(data), false);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#inbox.ended || this.#ending || this.socket.readyState !== OPEN) return false;
    const own = keepLent(bytes);
    for (const part of wsMessages(own)) this.socket.send(part);
    if (this.socket.bufferedAmount < transportHighWaterBytes) return true;
    this.#poll ??= this.clock.every(drainPollMs, () => this.#drained());
    return false;
  }

  #drained(): void {
    if (!this.#inbox.ended && this.socket.bufferedAmount >= transportHighWaterBytes) return;
    this.#poll?.cancel();
    this.#poll = null;
    this.#inbox.drain();
  }

  pause(): void {
    this.#inbox.pause();
  }

  resume(): void {
    this.#inbox.resume();
  }

  end(): void {
    if (this.#ending || this.#inbox.ended) return;
    this.#ending = true;
    this.socket.close(1000, '');
    // A server that never answers the close frame must not keep the link in limbo.
    this.#linger = this.clock.after(transportLingerMs, () => this.#over('local', 'close timeout'));
  }

  destroy(): void {
    this.#ending = true;
    this.socket.close();
    queueMicrotask(() => this.#over('local', ''));
  }

  #violate(detail: string): void {
    this.socket.close(4003, detail); // scripts may only send 1000 and 3000–4999
    this.#over('violation', detail);
  }

  #over(reason: TransportCloseReason, detail: string): void {
    this.#poll?.cancel();
    this.#poll = null;
    this.#linger?.cancel();
    this.#inbox.over(this.#ending ? 'local' : reason, detail);
  }
}

/** `bytes` as the messages that carry them: one, unless it is larger than a message may be. */
export function* wsMessages(bytes: Uint8Array): Generator<Uint8Array> {
  if (bytes.length <= wsSendMessageBytesMax) yield bytes;
  else
    for (let at = 0; at < bytes.length; at += wsSendMessageBytesMax)
      yield bytes.subarray(at, at + wsSendMessageBytesMax);
}

/** A WebSocket dial that led nowhere. Browsers tell no more than that. */
export class WsDialError extends Error {
  override readonly name = 'WsDialError';
}

export interface DialWsOptions {
  /** Default: the runtime's own `WebSocket`; Node 20 has none, see node/ws-client.ts. */
  readonly webSocket?: WebSocketConstructor;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

const dialTimeoutMs = 10_000;

/** The address of a URL whose host is an IPv4 literal, else `''`: browsers do not tell whom they reached. */
export function urlAddress(url: string): { ip: string; port: number } {
  const u = new URL(url);
  const port = u.port === '' ? (u.protocol === 'wss:' ? 443 : 80) : Number(u.port);
  return { ip: isIpv4(u.hostname) ? u.hostname : '', port };
}

/**
 * Opens a WebSocket to `url` (`ws://…/ixian` or `wss://…/ixian`).
 *
 * @throws WsDialError when it fails or is not open in time; TypeError without any WebSocket implementation.
 */
export function dialWs(url: string, options: DialWsOptions = {}): Promise<Transport> {
  const Impl = options.webSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
  if (Impl === undefined) return Promise.reject(new TypeError('this runtime has no WebSocket'));
  const clock = options.clock ?? systemClock;
  return new Promise((resolve, reject) => {
    const { ip, port } = urlAddress(url);
    const socket = new Impl(url);
    const transport = new WsClientTransport(socket, ip, port, clock);
    let settled = false;
    const fail = (why: string): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      socket.close();
      reject(new WsDialError(`${url}: ${why}`));
    };
    const timer = clock.after(options.timeoutMs ?? dialTimeoutMs, () => fail('timeout'));
    socket.addEventListener('open', () => {
      if (settled) return;
      settled = true;
      timer.cancel();
      resolve(transport);
    });
    socket.addEventListener('close', (e) => fail(`closed (${e.code})`));
  });
}

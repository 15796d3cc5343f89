import { type Clock, systemClock, type Timer } from '../clock/index.js';
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
  readonly remotePort: number;
  readonly localAddress = '';
  #handlers: TransportHandlers | null = null;
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #paused = false;
  #ending = false;
  #ended: { reason: TransportCloseReason; detail: string } | null = null;
  #reported = false;
  #poll: Timer | null = null;
  #linger: Timer | null = null;

  constructor(
    readonly socket: WebSocketLike,
    readonly remoteAddress: string,
    port: number,
    readonly clock: Clock,
  ) {
    this.remotePort = port;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', (e) => this.#message(e.data));
    socket.addEventListener('error', () => undefined); // a close event follows always
    socket.addEventListener('close', (e) =>
      this.#over(e.code === 1006 ? 'error' : 'remote', `${e.code} ${e.reason}`.trim()),
    );
  }

  get bufferedBytes(): number {
    return this.#ended !== null ? 0 : this.socket.bufferedAmount;
  }

  start(handlers: TransportHandlers): void {
    if (this.#handlers !== null) throw new TypeError('a transport is started once');
    this.#handlers = handlers;
    queueMicrotask(() => this.#flushUnread());
  }

  #message(data: unknown): void {
    if (this.#ended !== null || this.#ending) return;
    if (!(data instanceof ArrayBuffer)) {
      this.#violate('text message');
      return;
    }
    if (data.byteLength > wsMessageBytesMax) {
      this.#violate('message too large');
      return;
    }
    const bytes = new Uint8Array(data);
    if (this.#handlers !== null && !this.#paused && this.#unread.length === 0) {
      this.#handlers.data(bytes);
      return;
    }
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes > wsUnreadBytesMax) this.#violate('too much unread');
  }

  #flushUnread(): void {
    while (!this.#paused && this.#unread.length > 0 && this.#handlers !== null && !this.#reported) {
      const bytes = this.#unread.shift()!;
      this.#unreadBytes -= bytes.length;
      this.#handlers.data(bytes);
    }
    if (this.#ended !== null && this.#unread.length === 0) this.#report();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended !== null || this.#ending || this.socket.readyState !== OPEN) return false;
    for (let at = 0; at < bytes.length; at += wsSendMessageBytesMax)
      this.socket.send(
        bytes.length <= wsSendMessageBytesMax ? bytes : bytes.subarray(at, at + wsSendMessageBytesMax),
      );
    if (this.socket.bufferedAmount < transportHighWaterBytes) return true;
    this.#poll ??= this.clock.every(drainPollMs, () => this.#drained());
    return false;
  }

  #drained(): void {
    if (this.#ended === null && this.socket.bufferedAmount >= transportHighWaterBytes) return;
    this.#poll?.cancel();
    this.#poll = null;
    if (this.#ended === null) this.#handlers?.drain();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    queueMicrotask(() => this.#flushUnread());
  }

  end(): void {
    if (this.#ending || this.#ended !== null) return;
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
    if (this.#ended !== null) return;
    this.#ended = { reason: this.#ending ? 'local' : reason, detail };
    this.#poll?.cancel();
    this.#linger?.cancel();
    if (reason === 'violation' || this.#ending) {
      this.#unread = [];
      this.#unreadBytes = 0;
    }
    // What arrived before the end is handed over first, also to a paused reader.
    if (this.#handlers !== null && this.#unread.length === 0) this.#report();
  }

  #report(): void {
    if (this.#reported || this.#ended === null) return;
    this.#reported = true;
    this.#handlers!.close(this.#ended.reason, this.#ended.detail);
  }
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

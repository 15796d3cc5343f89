import { frameAround } from '../wire/index.js';
import { isLent, keepLent } from './lent-chunk.js';

/**
 * What carries a link's bytes. A transport is a plain duplex byte pipe: it knows no frames, no peers and no
 * timers of the protocol, so that one link implementation runs over TCP, WebSocket and memory alike.
 */

/** `ws` is the server's end of a WebSocket, `ws-client` the dialler's. */
export type TransportKind = 'tcp' | 'ws' | 'ws-client' | 'memory';

/** Why a transport ended. */
export type TransportCloseReason =
  /** The peer ended its side (FIN, WebSocket close). */
  | 'remote'
  /** {@link Transport.end} or {@link Transport.destroy} was called here. */
  | 'local'
  /** The socket failed: reset, unreachable, TLS. */
  | 'error'
  /** The peer broke a rule of the transport itself: text message, message above the cap, too much unread. */
  | 'violation';

export interface TransportHandlers {
  /**
   * Bytes arrived. `chunk` is a view that is valid only during this call unless {@link Transport.chunksStay}:
   * whoever needs it longer copies it (uWebSockets.js takes its buffer back).
   */
  data(chunk: Uint8Array): void;
  /** After `write` returned false: what was waiting has fallen below the mark, writing may go on. */
  drain(): void;
  /** The end, exactly once; nothing follows. Everything the peer sent before its end was handed over. */
  close(reason: TransportCloseReason, detail: string): void;
}

/** One open connection. Created connected; silent until {@link Transport.start}. */
export interface Transport {
  readonly kind: TransportKind;
  /** IP address of the peer as text, IPv4-mapped prefix removed, `''` when it cannot be known (browsers). */
  readonly remoteAddress: string;
  /** Source port of the peer, 0 when unknown. */
  readonly remotePort: number;
  /** Own IP address of this connection, `''` when unknown. */
  readonly localAddress: string;
  /** True when the memory of a chunk is left alone after it was handed over, so that views of it may be kept. */
  readonly chunksStay: boolean;
  /** Bytes accepted by {@link Transport.write} that the operating system has not taken yet. */
  readonly bufferedBytes: number;
  /** Begins delivery. Called once; what arrived before was kept. */
  start(handlers: TransportHandlers): void;
  /**
   * Takes `bytes` always (unless closed); the caller must not change them afterwards: of what is not copied
   * it takes what {@link keepLent} answers. False: over the high-water mark, wait for `drain` before
   * writing more. On a closed transport it does nothing and returns false.
   */
  write(bytes: Uint8Array): boolean;
  /** Stops delivery until {@link Transport.resume}, so that the peer is slowed by its own full window. */
  pause(): void;
  resume(): void;
  /** Sends what is buffered, then ends. Bounded: a peer that does not read is cut after a few seconds. */
  end(): void;
  /** Ends at once; what is buffered is lost. */
  destroy(): void;
}

/**
 * The frame around the payload that a link handed out, as it came over `transport`, to be sent on with `sendFrame` of
 * any link: a view where the transport leaves its chunks alone or lends them, else a copy.
 */
export function receivedFrame(transport: Transport, code: number, payload: Uint8Array): Uint8Array {
  const { buffer } = payload;
  const frame = frameAround(code, payload, buffer);
  return transport.chunksStay || isLent(buffer) ? frame : frame.slice();
}

/** Something that accepts connections. */
export interface TransportListener {
  /** The port that was bound (useful when 0 was asked for). */
  readonly port: number;
  readonly address: string;
  /** Stops accepting; connections already handed over live on. */
  close(): Promise<void>;
}

/** Bytes that may wait in a transport before `write` asks to pause: two full windows of a slow link. */
export const transportHighWaterBytes = 64 * 1024;

/**
 * Bytes that may have to wait, without the large buffer they are a small part of: a queue of short views would hold
 * many times what it is charged for.
 */
export function withoutRest(bytes: Uint8Array): Uint8Array {
  if (2 * bytes.length < bytes.buffer.byteLength) return bytes.slice();
  return keepLent(bytes);
}

/** How long {@link Transport.end} may flush: the reference's linger (docs/protocol/03 §2.5). */
export const transportLingerMs = 3_000;

/**
 * Removes the IPv4-mapped prefix (03 §3.3): a dual-stack listener sees `::ffff:203.0.113.7`, the peer signed
 * over `203.0.113.7`. The hexadecimal spelling is understood too; anything else is returned lower-case.
 */
export function plainAddress(address: string): string {
  const a = address.toLowerCase();
  const m = /^(?:0{1,4}:){5}ffff:(.*)$|^::ffff:(.*)$/.exec(a);
  if (m === null) return a;
  const tail = (m[1] ?? m[2])!;
  if (/^\d+\.\d+\.\d+\.\d+$/.test(tail)) return tail;
  const hex = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(tail);
  if (hex === null) return a;
  const hi = Number.parseInt(hex[1]!, 16);
  const lo = Number.parseInt(hex[2]!, 16);
  return `${hi >> 8}.${hi & 255}.${lo >> 8}.${lo & 255}`;
}

/** True for four decimal parts 0–255 without leading zeros or blanks (03 §3.6). */
export function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) <= 255);
}

/** Host and port of `ip:port` with exactly one colon, dotted IPv4 and a port of 1–65535 (03 §3.6), else null. */
export function parseEndpoint(endpoint: string): { readonly ip: string; readonly port: number } | null {
  const parts = endpoint.split(':');
  const [ip = '', port = ''] = parts;
  if (parts.length !== 2 || !isIpv4(ip) || !/^\d{1,5}$/.test(port)) return null;
  const n = Number(port);
  return n > 0 && n <= 65_535 ? { ip, port: n } : null;
}

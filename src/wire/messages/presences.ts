import { DecodeError } from '../errors.js';
import { deviceIdBytesMax, keepAliveBytesMax, keepAlivesPerMessageMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** Longest address form on the wire: version 1 or 2 with checksum (docs/protocol/02 §3). */
export const addressBytesSentMax = 48;

/** A present address field, as sent. */
export function readAddressField(r: ByteReader, field: string): Uint8Array {
  const start = r.offset;
  const bytes = r.vb(field, addressBytesSentMax);
  if (bytes.length === 0) throw new DecodeError('EMPTY', field, start);
  return bytes;
}

/** getPresence2, code 36 (03 §6). */
export function encodeGetPresence2(address: Uint8Array): Uint8Array {
  return new ByteWriter(64).vb(address).bytes();
}

/** The address as sent, a view into the payload. Throws DecodeError. */
export function decodeGetPresence2(payload: Uint8Array): Uint8Array {
  return readAddressField(new ByteReader(payload), 'getPresence2.address');
}

/** getRandomPresences, code 48 (03 §6): one node type letter. */
export function encodeGetRandomPresences(nodeType: string): Uint8Array {
  return new ByteWriter(1).char(nodeType).bytes();
}

/** The node type letter asked for. Throws DecodeError. */
export function decodeGetRandomPresences(payload: Uint8Array): string {
  return new ByteReader(payload).char('getRandomPresences.type');
}

/** One wanted keep-alive (docs/protocol/04 §6.1). */
export interface KeepAlivePair {
  /** As sent: with or without checksum. */
  readonly address: Uint8Array;
  readonly device: Uint8Array;
}

/**
 * getKeepAlives, code 6 (04 §6.1).
 *
 * @throws RangeError for an empty list, which is never sent, and for more than 500 pairs.
 */
export function encodeGetKeepAlives(pairs: readonly KeepAlivePair[]): Uint8Array {
  if (pairs.length === 0 || pairs.length > keepAlivesPerMessageMax)
    throw new RangeError(`${pairs.length} pairs, 1 to ${keepAlivesPerMessageMax} fit`);
  const w = new ByteWriter(16 + pairs.length * 64).var(pairs.length);
  for (const p of pairs) w.vb(p.address).vb(p.device);
  return w.bytes();
}

/**
 * The pairs of a getKeepAlives payload, at most 500; the declared number is only an upper bound (04 §6.2).
 * Views into the payload.
 *
 * @throws DecodeError when a pair is cut short.
 */
export function decodeGetKeepAlives(payload: Uint8Array): KeepAlivePair[] {
  const r = new ByteReader(payload);
  const n = Math.min(r.uvarInt('getKeepAlives.count'), keepAlivesPerMessageMax);
  const out: KeepAlivePair[] = [];
  while (out.length < n && r.remaining > 0)
    out.push({
      address: r.vb('getKeepAlives.address', addressBytesSentMax),
      device: r.vb('getKeepAlives.device', deviceIdBytesMax),
    });
  return out;
}

/**
 * keepAlivesChunk, code 7, with an exact count (04 §6.2).
 *
 * @throws RangeError for more than 500 keep-alives.
 */
export function encodeKeepAlivesChunk(keepAlives: readonly Uint8Array[]): Uint8Array {
  if (keepAlives.length > keepAlivesPerMessageMax)
    throw new RangeError(`${keepAlives.length} keep-alives, at most ${keepAlivesPerMessageMax}`);
  const w = new ByteWriter(keepAlives.reduce((n, k) => n + k.length + 5, 8)).var(keepAlives.length);
  for (const k of keepAlives) w.vb(k);
  return w.bytes();
}

/**
 * The keep-alives of a chunk, at most 500, each as the payload of a keepAlivePresence; the declared number is
 * an upper bound (04 §6.2). Views into the payload. Throws DecodeError.
 */
export function decodeKeepAlivesChunk(payload: Uint8Array): Uint8Array[] {
  const r = new ByteReader(payload);
  const n = Math.min(r.uvarInt('keepAlivesChunk.count'), keepAlivesPerMessageMax);
  const out: Uint8Array[] = [];
  while (out.length < n && r.remaining > 0) out.push(r.vb('keepAlivesChunk.keepAlive', keepAliveBytesMax));
  return out;
}

import { DecodeError } from '../wire/index.js';
import { futureToleranceSeconds, isPresenceType, type PresenceType } from './constants.js';
import { expiryThreshold } from './rules-time.js';
import { decodeHead } from './slab-record.js';
import type { SlabTables } from './slab-tables.js';
import type { StoreOwner } from './store.js';

/**
 * A wallet in a snapshot (little endian), its head and bodies as they lie in the slab:
 *
 * lead u32 | endpoints u16 | head length u16 | head
 * per endpoint: body length u16 | flags u8 | type u8 | second f64 | announced f64 | body
 */
const headerBytes = 8;
const entryBytes = 20;

/** An endpoint of an image; `body` is a view. */
export interface ImageEntry {
  readonly body: Uint8Array;
  readonly flags: number;
  readonly type: PresenceType;
  readonly second: number;
  readonly announced: number;
}

/** A wallet of an image; `head` is a view. */
export interface Image {
  readonly head: Uint8Array;
  readonly owner: StoreOwner;
  readonly lead: number;
  readonly entries: readonly ImageEntry[];
  /** Where the next image begins. */
  readonly end: number;
}

/** Writes a wallet's image at `at`; where it ends, or -1 when it does not fit. */
export function writeImage(t: SlabTables, w: number, into: Uint8Array, at: number): number {
  const head = t.headOf(w);
  const entries = t.entriesOf(w);
  let size = headerBytes + head.length;
  for (const e of entries) size += entryBytes + t.bodyOf(e).length;
  if (at + size > into.length) return -1;
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  view.setUint32(at, t.leadOf(w), true);
  view.setUint16(at + 4, entries.length, true);
  view.setUint16(at + 6, head.length, true);
  into.set(head, at + headerBytes);
  let to = at + headerBytes + head.length;
  for (const e of entries) {
    const body = t.bodyOf(e);
    view.setUint16(to, body.length, true);
    view.setUint8(to + 2, t.flagsOf(e));
    view.setUint8(to + 3, t.typeOf(e).charCodeAt(0));
    view.setFloat64(to + 4, t.secondOf(e), true);
    view.setFloat64(to + 12, t.announcedOf(e), true);
    into.set(body, to + entryBytes);
    to += entryBytes + body.length;
  }
  return to;
}

/** Reads the image at `at`. Throws DecodeError or RangeError when it does not hold together. */
export function readImage(bytes: Uint8Array, at: number): Image {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint16(at + 4, true);
  const part = (from: number, length: number): Uint8Array => {
    if (from + length > bytes.length) throw new DecodeError('EOF', 'image', from);
    return bytes.subarray(from, from + length);
  };
  const head = part(at + headerBytes, view.getUint16(at + 6, true));
  const owner = decodeHead(head);
  const entries: ImageEntry[] = [];
  let from = at + headerBytes + head.length;
  for (let i = 0; i < count; i++) {
    const type = String.fromCharCode(view.getUint8(from + 3));
    if (!isPresenceType(type)) throw new DecodeError('RANGE', 'image.type', from + 3);
    const body = part(from + entryBytes, view.getUint16(from, true));
    entries.push({
      body,
      flags: view.getUint8(from + 2),
      type,
      second: view.getFloat64(from + 4, true),
      announced: view.getFloat64(from + 12, true),
    });
    from += entryBytes + body.length;
  }
  return { head, owner, lead: view.getUint32(at, true), entries, end: from };
}

/** True when an endpoint may be held at network second `now`: its age is judged as by the clean-up. */
export function isAlive(second: number, now: number): boolean {
  return second > expiryThreshold(now) && second <= now + futureToleranceSeconds;
}

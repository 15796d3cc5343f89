import { DecodeError, EMPTY_BYTES } from '../wire/index.js';
import { futureToleranceSeconds, isPresenceType, type PresenceType } from './constants.js';
import { expiryThreshold } from './rules-time.js';
import { walletIn } from './slab-record.js';
import type { SlabTables } from './slab-tables.js';

/**
 * A wallet in a snapshot (little endian), its head and bodies as they lie in the slab:
 *
 * lead u32 | endpoints u16 | head length u16 | head
 * per endpoint: body length u16 | flags u8 | type u8 | second f64 | announced f64 | body
 */
const headerBytes = 8;
const entryBytes = 20;

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

/**
 * Goes through the wallets of a payload and the endpoints of each. One object for all of them: a million wallets are read
 * before a relay serves.
 */
export class ImageReader {
  readonly #view: DataView;
  #at = 0;
  #left = 0;
  /** The wallet's head, a view. */
  head = EMPTY_BYTES;
  /** The wallet's address in it, a view. */
  wallet = EMPTY_BYTES;
  lead = 0;
  /** The endpoint's body, a view. */
  body = EMPTY_BYTES;
  flags = 0;
  type: PresenceType = 'C';
  second = 0;
  announced = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** To the next wallet, past endpoints not asked for; false at the end. Throws DecodeError or RangeError for nonsense. */
  nextWallet(): boolean {
    while (this.nextEntry());
    const at = this.#at;
    if (at === this.bytes.length) return false;
    this.lead = this.#view.getUint32(at, true);
    this.#left = this.#view.getUint16(at + 4, true);
    this.head = this.#part(at + headerBytes, this.#view.getUint16(at + 6, true));
    const { from, to } = walletIn(this.head);
    this.wallet = this.head.subarray(from, to);
    return true;
  }

  /** To the wallet's next endpoint; false behind the last. Throws as {@link nextWallet}. */
  nextEntry(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    const at = this.#at;
    const type = String.fromCharCode(this.#view.getUint8(at + 3));
    if (!isPresenceType(type)) throw new DecodeError('RANGE', 'image.type', at + 3);
    this.type = type;
    this.flags = this.#view.getUint8(at + 2);
    this.second = this.#view.getFloat64(at + 4, true);
    this.announced = this.#view.getFloat64(at + 12, true);
    this.body = this.#part(at + entryBytes, this.#view.getUint16(at, true));
    return true;
  }

  #part(from: number, length: number): Uint8Array {
    const end = from + length;
    if (end > this.bytes.length) throw new DecodeError('EOF', 'image', from);
    this.#at = end;
    return this.bytes.subarray(from, end);
  }
}

/** True when an endpoint may be held at network second `now`: its age is judged as by the clean-up. */
export function isAlive(second: number, now: number): boolean {
  return second > expiryThreshold(now) && second <= now + futureToleranceSeconds;
}

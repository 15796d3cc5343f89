import { addressFromKey } from '../identity/index.js';
import { DecodeError, type DecodeErrorCode, EMPTY_BYTES } from '../wire/index.js';

/**
 * What a relay needs of an `s2data` payload (docs/protocol/07 §9.1), read in place: nothing is copied or
 * hashed, the byte fields are views into the payload and live as long as it does.
 */
export interface Envelope {
  /** 0, or the version of the layout of 07 §3.4. */
  readonly version: number;
  /** 1–64 bytes. */
  readonly id: Uint8Array;
  /** 0 error, 1 info, 2 data; other numbers pass unvalidated. */
  readonly type: number;
  readonly encryptionType: number;
  /** Raw address, 33 or 45 bytes without checksum: a view; null where the field is empty. */
  readonly sender: Uint8Array | null;
  readonly recipient: Uint8Array | null;
}

/** Longest message id a relay or client takes (07 §3.6 recommendation; bots use up to 46). */
export const messageIdBytesMax = 64;

/** Longest key that may stand in place of an address (07 §2 quirk, 02 §3.1: lengths 49…1023). */
const partyKeyBytesMax = 1023;

/**
 * The envelope of a StreamMessage payload. Checks that every declared length fits the payload, including
 * those behind the recipient, so that a malformed message is never forwarded. The checksum inside a
 * 36/48-byte address is stripped, not verified: the recipient is only compared, and the receiver's own
 * decoder verifies it.
 *
 * @throws DecodeError on truncation, an absent id, an id above {@link messageIdBytesMax}, an address whose
 * length does not fit its version byte.
 */
export function envelopeOf(payload: Uint8Array): Envelope {
  const s = new Scan(payload);
  return payload[0] === 0 ? envelopeV0(s) : envelopeV1(s);
}

/** Just the raw recipient address, null where the field is empty. Checks as {@link envelopeOf}. */
export function recipientOf(payload: Uint8Array): Uint8Array | null {
  return envelopeOf(payload).recipient;
}

function envelopeV1(s: Scan): Envelope {
  const version = s.uvarInt('version');
  const id = idOf(s, s.view(s.uvarInt('id'), 'id'));
  const type = s.uvarInt('type');
  const encryptionType = s.uvarInt('encryptionType');
  const sender = party(s, s.view(s.uvarInt('sender'), 'sender'), 'sender');
  const recipient = party(s, s.view(s.uvarInt('recipient'), 'recipient'), 'recipient');
  s.skip(s.uvarInt('data'), 'data');
  s.skipVar('timestamp');
  s.skip(s.uvarInt('signature'), 'signature');
  s.skip(1, 'requireRcvConfirmation');
  return { version, id, type, encryptionType, sender, recipient };
}

function envelopeV0(s: Scan): Envelope {
  if (s.i32('version') !== 0) s.fail('RANGE', 'version');
  const id = idOf(s, s.legacyView('id'));
  const type = s.i32('type');
  const encryptionType = s.i32('encryptionType');
  const sender = party(s, s.legacyView('sender'), 'sender');
  const recipient = party(s, s.legacyView('recipient'), 'recipient');
  for (const field of ['data', 'transaction', 'sigdata']) s.skip(Math.max(0, s.i32(field)), field);
  s.skip(2, 'flags');
  s.skip(Math.max(0, s.i32('signature')), 'signature');
  // The confirmation flag behind the timestamp may be missing (07 §3.3).
  s.skip(8, 'timestamp');
  return { version: 0, id, type, encryptionType, sender, recipient };
}

/** A message without id cannot be named in an error message: relays refuse it (07 §9.3). */
function idOf(s: Scan, id: Uint8Array): Uint8Array {
  if (id.length === 0) s.fail('EMPTY', 'id');
  if (id.length > messageIdBytesMax) s.fail('TOOLONG', 'id');
  return id;
}

function party(s: Scan, bytes: Uint8Array, field: string): Uint8Array | null {
  const size = bytes.length;
  if (size === 0) return null;
  // Length and version byte must agree (02 §3.1, Strict).
  const version = bytes[0]!;
  if (size === 33 || size === 36) {
    if (version !== 0) s.fail('FORMAT', field);
    return bytes.subarray(0, 33);
  }
  if (size === 45 || size === 48) {
    if (version !== 1 && version !== 2) s.fail('FORMAT', field);
    return bytes.subarray(0, 45);
  }
  // No reference node puts a key here (07 §2), so this hash costs nothing in practice.
  if (size > 48 && size <= partyKeyBytesMax) return addressFromKey(bytes);
  return s.fail('FORMAT', field);
}

/**
 * A cursor for this one hot path: like ByteReader, but numbers only up to 2^31−1 and no big integers, which
 * would cost ten times the rest.
 */
class Scan {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  fail(code: DecodeErrorCode, field: string): never {
    throw new DecodeError(code, field, this.at);
  }

  skip(n: number, field: string): number {
    const from = this.at;
    if (n > this.bytes.length - from) this.fail('EOF', field);
    this.at = from + n;
    return from;
  }

  view(n: number, field: string): Uint8Array {
    const from = this.skip(n, field);
    return this.bytes.subarray(from, from + n);
  }

  i32(field: string): number {
    const from = this.skip(4, field);
    const b = this.bytes;
    return b[from]! | (b[from + 1]! << 8) | (b[from + 2]! << 16) | (b[from + 3]! << 24);
  }

  /** `i32` length and bytes; a length ≤ 0 is absent. */
  legacyView(field: string): Uint8Array {
    const n = this.i32(field);
    return n <= 0 ? EMPTY_BYTES : this.view(n, field);
  }

  uvarInt(field: string): number {
    const lead = this.bytes[this.skip(1, field)]!;
    if (lead <= 0xf7) return lead;
    if (lead === 0xfc) {
      const from = this.skip(2, field);
      return this.bytes[from]! | (this.bytes[from + 1]! << 8);
    }
    if (lead !== 0xfd && lead !== 0xfe) this.fail('BADLEAD', field);
    const low = this.i32(field);
    const high = lead === 0xfe ? this.i32(field) : 0;
    if (low < 0 || high !== 0) this.fail('RANGE', field);
    return low;
  }

  skipVar(field: string): void {
    const lead = this.bytes[this.skip(1, field)]!;
    if (lead <= 0xf7) return;
    if (lead < 0xfc || lead === 0xff) this.fail('BADLEAD', field);
    this.skip(1 << (lead - 0xfb), field);
  }
}

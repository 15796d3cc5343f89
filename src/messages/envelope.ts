import { addressFromKey } from '../identity/index.js';
import { ByteReader, DecodeError } from '../wire/index.js';

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
  const r = new ByteReader(payload);
  return r.peek('version') === 0 ? envelopeV0(r) : envelopeV1(r);
}

/** Just the raw recipient address, null where the field is empty. Checks as {@link envelopeOf}. */
export function recipientOf(payload: Uint8Array): Uint8Array | null {
  return envelopeOf(payload).recipient;
}

function envelopeV1(r: ByteReader): Envelope {
  const version = r.uvarInt('version');
  const id = idOf(r, r.vb('id', messageIdBytesMax));
  const type = r.uvarInt('type');
  const encryptionType = r.uvarInt('encryptionType');
  const sender = party(r, r.vb('sender', partyKeyBytesMax), 'sender');
  const recipient = party(r, r.vb('recipient', partyKeyBytesMax), 'recipient');
  r.vb('data');
  r.uvar('timestamp');
  r.vb('signature');
  r.u8('requireRcvConfirmation');
  return { version, id, type, encryptionType, sender, recipient };
}

function envelopeV0(r: ByteReader): Envelope {
  if (r.i32('version') !== 0) r.fail('RANGE', 'version', 'first byte 0, value not 0');
  const id = idOf(r, r.i32Bytes('id', messageIdBytesMax));
  const type = r.i32('type');
  const encryptionType = r.i32('encryptionType');
  const sender = party(r, r.i32Bytes('sender', partyKeyBytesMax), 'sender');
  const recipient = party(r, r.i32Bytes('recipient', partyKeyBytesMax), 'recipient');
  r.i32Bytes('data');
  r.i32Bytes('transaction');
  r.i32Bytes('sigdata');
  r.u16('flags');
  r.i32Bytes('signature');
  r.i64('timestamp');
  return { version: 0, id, type, encryptionType, sender, recipient };
}

/** A message without id cannot be named in an error message: relays refuse it (07 §9.3). */
function idOf(r: ByteReader, id: Uint8Array | null): Uint8Array {
  if (id === null || id.length === 0) throw new DecodeError('EMPTY', 'id', r.offset);
  return id;
}

function party(r: ByteReader, bytes: Uint8Array | null, field: string): Uint8Array | null {
  if (bytes === null || bytes.length === 0) return null;
  const size = bytes.length;
  // Length and version byte must agree (02 §3.1, Strict).
  const version = bytes[0]!;
  if (size === 33 || size === 36) {
    if (version !== 0) r.fail('FORMAT', field, 'address version');
    return bytes.subarray(0, 33);
  }
  if (size === 45 || size === 48) {
    if (version !== 1 && version !== 2) r.fail('FORMAT', field, 'address version');
    return bytes.subarray(0, 45);
  }
  // No reference node puts a key here, so this copy and hash cost nothing in practice.
  if (size > 48) return addressFromKey(bytes);
  return r.fail('FORMAT', field, `${size} bytes`);
}

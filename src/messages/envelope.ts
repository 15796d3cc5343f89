import { addressFromKey } from '../identity/index.js';
import { DecodeError, type DecodeErrorCode, EMPTY_BYTES, i32At } from '../wire/index.js';

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
  const { version, id, type, encryptionType, sender, recipient } = new EnvelopeScan().of(payload);
  return { version, id, type, encryptionType, sender, recipient };
}

/** Just the raw recipient address, null where the field is empty. Checks as {@link envelopeOf}. */
export function recipientOf(payload: Uint8Array): Uint8Array | null {
  return new EnvelopeScan().of(payload).recipient;
}

/** Where a raw address lies. */
export interface AddressSpan {
  readonly bytes: Uint8Array;
  readonly at: number;
  /** 33 or 45; 0 where the field is empty. */
  readonly length: number;
}

/**
 * One of the two parties of the message that `scan` read last. It knows the payload through the scan, which is one reference
 * to renew per message instead of three.
 */
class Party implements AddressSpan {
  at = 0;
  length = 0;
  /** The address of a key that stands in its place. */
  #derived: Uint8Array | null = null;

  constructor(private readonly scan: EnvelopeScan) {}

  get bytes(): Uint8Array {
    return this.#derived ?? this.scan.payload;
  }

  set(at: number, length: number): void {
    this.at = at;
    this.length = length;
    this.#derived = null;
  }

  setDerived(address: Uint8Array): void {
    this.set(0, address.length);
    this.#derived = address;
  }

  get view(): Uint8Array | null {
    return this.length === 0 ? null : this.bytes.subarray(this.at, this.at + this.length);
  }
}

/**
 * {@link envelopeOf} for a relay's hot path: one scan object serves any number of payloads, and a message that is
 * only forwarded costs no object at all. What it says holds until the next call of {@link EnvelopeScan.of}.
 * Numbers are read up to 2^31−1 and without big integers, which would cost ten times the rest.
 */
export class EnvelopeScan {
  version = 0;
  type = 0;
  encryptionType = 0;
  #bytes: Uint8Array = EMPTY_BYTES;
  #at = 0;
  #idAt = 0;
  #idLength = 0;
  readonly #sender = new Party(this);
  readonly #recipient = new Party(this);

  /** Reads a payload. Throws as {@link envelopeOf}; the fields then mean nothing. */
  of(payload: Uint8Array): this {
    this.#bytes = payload;
    this.#at = 0;
    if (payload[0] === 0) this.#v0();
    else this.#v1();
    return this;
  }

  /** Lets go of the payload. */
  clear(): void {
    this.#bytes = EMPTY_BYTES;
    this.#sender.set(0, 0);
    this.#recipient.set(0, 0);
  }

  /** The payload that was read last. */
  get payload(): Uint8Array {
    return this.#bytes;
  }

  get id(): Uint8Array {
    return this.#bytes.subarray(this.#idAt, this.#idAt + this.#idLength);
  }

  get sender(): Uint8Array | null {
    return this.#sender.view;
  }

  get recipient(): Uint8Array | null {
    return this.#recipient.view;
  }

  /** {@link EnvelopeScan.recipient} without an object of its own. */
  get recipientSpan(): AddressSpan {
    return this.#recipient;
  }

  #v1(): void {
    this.version = this.#uvarInt('version');
    this.#id(this.#uvarInt('id'));
    this.type = this.#uvarInt('type');
    this.encryptionType = this.#uvarInt('encryptionType');
    this.#party(this.#sender, this.#uvarInt('sender'), 'sender');
    this.#party(this.#recipient, this.#uvarInt('recipient'), 'recipient');
    this.#skip(this.#uvarInt('data'), 'data');
    this.#skipVar('timestamp');
    this.#skip(this.#uvarInt('signature'), 'signature');
    this.#skip(1, 'requireRcvConfirmation');
  }

  #v0(): void {
    this.version = this.#i32('version');
    if (this.version !== 0) this.#fail('RANGE', 'version');
    // A length ≤ 0 is an absent field.
    this.#id(Math.max(0, this.#i32('id')));
    this.type = this.#i32('type');
    this.encryptionType = this.#i32('encryptionType');
    this.#party(this.#sender, Math.max(0, this.#i32('sender')), 'sender');
    this.#party(this.#recipient, Math.max(0, this.#i32('recipient')), 'recipient');
    for (const field of ['data', 'transaction', 'sigdata']) this.#skip(Math.max(0, this.#i32(field)), field);
    this.#skip(2, 'flags');
    this.#skip(Math.max(0, this.#i32('signature')), 'signature');
    // The confirmation flag behind the timestamp may be missing (07 §3.3).
    this.#skip(8, 'timestamp');
  }

  /** A message without id cannot be named in an error message: relays refuse it (07 §9.3). */
  #id(length: number): void {
    this.#idAt = this.#skip(length, 'id');
    this.#idLength = length;
    if (length === 0) this.#fail('EMPTY', 'id');
    if (length > messageIdBytesMax) this.#fail('TOOLONG', 'id');
  }

  #party(to: Party, size: number, field: string): void {
    const at = this.#skip(size, field);
    if (size === 0) {
      to.set(at, 0);
      return;
    }
    // Length and version byte must agree (02 §3.1, Strict).
    const version = this.#bytes[at]!;
    if (size === 33 || size === 36) {
      if (version !== 0) this.#fail('FORMAT', field);
      to.set(at, 33);
    } else if (size === 45 || size === 48) {
      if (version !== 1 && version !== 2) this.#fail('FORMAT', field);
      to.set(at, 45);
    } else if (size > 48 && size <= partyKeyBytesMax) {
      // No reference node puts a key here (07 §2), so this hash costs nothing in practice.
      to.setDerived(addressFromKey(this.#bytes.subarray(at, at + size)));
    } else this.#fail('FORMAT', field);
  }

  #fail(code: DecodeErrorCode, field: string): never {
    throw new DecodeError(code, field, this.#at);
  }

  /** Moves on by `n` bytes; where it was. */
  #skip(n: number, field: string): number {
    const from = this.#at;
    if (n > this.#bytes.length - from) this.#fail('EOF', field);
    this.#at = from + n;
    return from;
  }

  #i32(field: string): number {
    return i32At(this.#bytes, this.#skip(4, field));
  }

  #uvarInt(field: string): number {
    const lead = this.#bytes[this.#skip(1, field)]!;
    if (lead <= 0xf7) return lead;
    if (lead === 0xfc) {
      const from = this.#skip(2, field);
      return this.#bytes[from]! | (this.#bytes[from + 1]! << 8);
    }
    if (lead !== 0xfd && lead !== 0xfe) this.#fail('BADLEAD', field);
    const low = this.#i32(field);
    const high = lead === 0xfe ? this.#i32(field) : 0;
    if (low < 0 || high !== 0) this.#fail('RANGE', field);
    return low;
  }

  #skipVar(field: string): void {
    const lead = this.#bytes[this.#skip(1, field)]!;
    if (lead <= 0xf7) return;
    if (lead < 0xfc || lead === 0xff) this.#fail('BADLEAD', field);
    this.#skip(1 << (lead - 0xfb), field);
  }
}

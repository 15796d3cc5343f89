import { DecodeError } from './errors.js';

// ignoreBOM keeps a leading U+FEFF, which .NET keeps too (docs/protocol/01 §4.2).
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Largest length or count any field may declare (01 §2.6). */
export const INT32_MAX = 0x7fff_ffff;

/**
 * Cursor over one buffer. Never reads past `end`, never allocates before the declared length is known to
 * be present, and names the field in every error. Byte results are views into the buffer, not copies.
 */
export class ByteReader {
  #at: number;
  readonly end: number;
  /** Made when the first number of more than two bytes is read: most messages hold none. */
  #numbers: DataView | null = null;

  /** Reads `bytes[offset, end)`. Throws `BADARG` for a range outside the buffer. */
  constructor(
    readonly bytes: Uint8Array,
    offset = 0,
    end = bytes.length,
  ) {
    if (offset < 0 || end > bytes.length || offset > end) throw new DecodeError('BADARG', 'buffer', offset);
    this.#at = offset;
    this.end = end;
  }

  get #view(): DataView {
    const { buffer, byteOffset, byteLength } = this.bytes;
    this.#numbers ??= new DataView(buffer, byteOffset, byteLength);
    return this.#numbers;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.end - this.#at;
  }

  /** Fails with the given code at the current offset. */
  fail(code: ConstructorParameters<typeof DecodeError>[0], field: string, detail = ''): never {
    throw new DecodeError(code, field, this.#at, detail);
  }

  #take(n: number, field: string): number {
    if (n > this.end - this.#at) throw new DecodeError('EOF', field, this.#at);
    const at = this.#at;
    this.#at = at + n;
    return at;
  }

  /** The next byte without consuming it. */
  peek(field: string): number {
    if (this.#at >= this.end) throw new DecodeError('EOF', field, this.#at);
    return this.bytes[this.#at]!;
  }

  u8(field: string): number {
    return this.bytes[this.#take(1, field)]!;
  }

  /** One byte; any non-zero value is true (01 §4.1). */
  bool(field: string): boolean {
    return this.u8(field) !== 0;
  }

  u16(field: string): number {
    const at = this.#take(2, field);
    return this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }

  i16(field: string): number {
    return this.#view.getInt16(this.#take(2, field), true);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  i32(field: string): number {
    return this.#view.getInt32(this.#take(4, field), true);
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
  }

  i64(field: string): bigint {
    return this.#view.getBigInt64(this.#take(8, field), true);
  }

  /** `n` raw bytes as a view. */
  raw(n: number, field: string): Uint8Array {
    if (n < 0) throw new DecodeError('RANGE', field, this.#at);
    const at = this.#take(n, field);
    return this.bytes.subarray(at, at + n);
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    const at = this.#at;
    this.#at = this.end;
    return this.bytes.subarray(at, this.end);
  }

  /** Unsigned IxiVarInt (01 §2): leads f8–fb and ff are `BADLEAD`. */
  uvar(field: string): bigint {
    const start = this.#at;
    const lead = this.u8(field);
    if (lead <= 0xf7) return BigInt(lead);
    if (lead === 0xfc) return BigInt(this.u16(field));
    if (lead === 0xfd) return BigInt(this.u32(field));
    if (lead === 0xfe) return this.u64(field);
    throw new DecodeError('BADLEAD', field, start);
  }

  /** Signed IxiVarInt (01 §2): sign in the lead byte, magnitude behind it. */
  var(field: string): bigint {
    const start = this.#at;
    const lead = this.u8(field);
    if (lead <= 0xf7) return BigInt(lead);
    if (lead === 0xfc) return BigInt(this.u16(field));
    if (lead === 0xfd) return BigInt(this.u32(field));
    if (lead === 0xf8) return -BigInt(this.u16(field));
    if (lead === 0xf9) return -BigInt(this.u32(field));
    if (lead === 0xfe || lead === 0xfa) {
      const m = this.u64(field);
      if (lead === 0xfe ? m > 0x7fff_ffff_ffff_ffffn : m > 0x8000_0000_0000_0000n)
        throw new DecodeError('RANGE', field, start);
      return lead === 0xfe ? m : -m;
    }
    throw new DecodeError('BADLEAD', field, start);
  }

  /**
   * Unsigned IxiVarInt as a number without a detour over bigint: every length and count of every message
   * comes through here. Above 2^53 the result is inexact, but larger than any limit it is compared with.
   */
  #uvarNumber(field: string): number {
    const start = this.#at;
    const lead = this.u8(field);
    if (lead <= 0xf7) return lead;
    if (lead === 0xfc) return this.u16(field);
    if (lead === 0xfd) return this.u32(field);
    if (lead === 0xfe) {
      const at = this.#take(8, field);
      return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 0x1_0000_0000;
    }
    throw new DecodeError('BADLEAD', field, start);
  }

  /** Unsigned IxiVarInt that must fit `max` (default 2^31−1, 01 §2.6): lengths, counts, enumerations. */
  uvarInt(field: string, max: number = INT32_MAX): number {
    const start = this.#at;
    const v = this.#uvarNumber(field);
    if (v > max) throw new DecodeError('RANGE', field, start);
    return v;
  }

  /** Signed IxiVarInt that must lie in 0…`max`. */
  varInt(field: string, max: number = INT32_MAX): number {
    const start = this.#at;
    const v = this.var(field);
    if (v < 0n || v > BigInt(max)) throw new DecodeError('RANGE', field, start);
    return Number(v);
  }

  /** Unsigned IxiVarInt as a number, exact up to 2^53−1: block numbers, timestamps. */
  uvarSafe(field: string): number {
    return this.uvarInt(field, Number.MAX_SAFE_INTEGER);
  }

  /** Signed IxiVarInt as an exact number (|v| ≤ 2^53−1). */
  varSafe(field: string): number {
    const start = this.#at;
    const v = this.var(field);
    if (v > BigInt(Number.MAX_SAFE_INTEGER) || v < -BigInt(Number.MAX_SAFE_INTEGER))
      throw new DecodeError('RANGE', field, start);
    return Number(v);
  }

  /**
   * Length-prefixed bytes, strict (01 §3.1): the length is checked against `max` and against what is left
   * before anything is allocated. Zero length is an empty view; {@link ixiBytes} maps it to absent.
   */
  vb(field: string, max: number = INT32_MAX): Uint8Array {
    const start = this.#at;
    const n = this.#uvarNumber(field);
    if (n > max) throw new DecodeError('TOOLONG', field, start, `${n} > ${max}`);
    return this.raw(n, field);
  }

  /** `ixibytes` (01 §3.1): as {@link vb}, zero length is absent. */
  ixiBytes(field: string, max: number = INT32_MAX): Uint8Array | null {
    const b = this.vb(field, max);
    return b.length === 0 ? null : b;
  }

  /** `i32` length and that many bytes; a length ≤ 0 is absent (legacy layouts). */
  i32Bytes(field: string, max: number = INT32_MAX): Uint8Array | null {
    const start = this.#at;
    const n = this.i32(field);
    if (n <= 0) return null;
    if (n > max) throw new DecodeError('TOOLONG', field, start, `${n} > ${max}`);
    return this.raw(n, field);
  }

  /** The raw UTF-8 bytes of a `netstr` (01 §4.2): length in 7-bit groups. */
  netstrBytes(field: string): Uint8Array {
    const start = this.#at;
    let n = 0;
    for (let shift = 0; ; shift += 7) {
      const b = this.u8(field);
      // The fifth group may hold four bits only, and bit 31 would make the length negative.
      if (shift === 28 && b > 0x07) throw new DecodeError(b > 0x0f ? 'FORMAT' : 'RANGE', field, start);
      n |= (b & 0x7f) << shift;
      if (b < 0x80) break;
    }
    return this.raw(n, field);
  }

  /**
   * `netstr` as text of at most `charsMax` UTF-16 code units, the unit every length rule of the protocol
   * counts in. Malformed UTF-8 becomes U+FFFD, as in the reference (01 §4.2).
   */
  netstr(field: string, charsMax: number = INT32_MAX): string {
    const start = this.#at;
    const bytes = this.netstrBytes(field);
    // A code unit takes at most three bytes, so the long ones need not be decoded to be refused.
    if (bytes.length <= 3 * charsMax) {
      const text = utf8.decode(bytes);
      if (text.length <= charsMax) return text;
    }
    throw new DecodeError('TOOLONG', field, start, `more than ${charsMax} characters`);
  }

  /** `char` (01 §4.3), strict: one ASCII character. */
  char(field: string): string {
    const start = this.#at;
    const b = this.u8(field);
    if (b >= 0x80) throw new DecodeError('FORMAT', field, start, 'not ASCII');
    return String.fromCharCode(b);
  }

  /** Fails with `TRAILING` unless everything was read. */
  done(field: string): void {
    if (this.#at !== this.end)
      throw new DecodeError('TRAILING', field, this.#at, `${this.end - this.#at} bytes`);
  }
}

const utf8 = new TextEncoder();
/** Strings of at most this many UTF-16 units have a length of one byte, whatever they hold. */
export const shortUnitsMax = 42;

/** Growing little-endian buffer; every integer is written in its canonical (shortest) form. Chainable. */
export class ByteWriter {
  #buf: Uint8Array;
  #view: DataView;
  #at = 0;

  /** `capacity`: bytes reserved at once; a good guess avoids every copy. */
  constructor(capacity = 256) {
    this.#buf = new Uint8Array(capacity);
    this.#view = new DataView(this.#buf.buffer);
  }

  get length(): number {
    return this.#at;
  }

  #room(n: number): number {
    const at = this.#at;
    const need = at + n;
    if (need > this.#buf.length) {
      const grown = new Uint8Array(Math.max(need, this.#buf.length * 2));
      grown.set(this.#buf.subarray(0, at));
      this.#buf = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#at = need;
    return at;
  }

  u8(v: number): this {
    // In two steps: making room may replace the buffer.
    const at = this.#room(1);
    this.#buf[at] = v;
    return this;
  }

  bool(v: boolean): this {
    return this.u8(v ? 1 : 0);
  }

  u16(v: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, v, true);
    return this;
  }

  i16(v: number): this {
    const at = this.#room(2);
    this.#view.setInt16(at, v, true);
    return this;
  }

  u32(v: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, v, true);
    return this;
  }

  i32(v: number): this {
    const at = this.#room(4);
    this.#view.setInt32(at, v, true);
    return this;
  }

  u64(v: bigint | number): this {
    const at = this.#room(8);
    this.#view.setBigUint64(at, BigInt(v), true);
    return this;
  }

  i64(v: bigint | number): this {
    const at = this.#room(8);
    this.#view.setBigInt64(at, BigInt(v), true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#buf.set(bytes, at);
    return this;
  }

  /** Canonical IxiVarInt, signed or unsigned: both encoders agree (docs/protocol/01 §2.2). */
  var(v: bigint | number): this {
    // Lengths and counts: no bigint for what is a byte, a u16 or a u32 anyway.
    if (typeof v === 'number' && v >= 0 && v <= 0xffff_ffff) {
      if (!Number.isInteger(v)) throw new RangeError(`${v} is no integer`);
      if (v <= 0xf7) return this.u8(v);
      return v <= 0xffff ? this.u8(0xfc).u16(v) : this.u8(0xfd).u32(v);
    }
    const n = BigInt(v);
    const neg = n < 0n;
    const m = neg ? -n : n;
    if (!neg && m <= 0xf7n) return this.u8(Number(m));
    if (m <= 0xffffn) return this.u8(neg ? 0xf8 : 0xfc).u16(Number(m));
    if (m <= 0xffff_ffffn) return this.u8(neg ? 0xf9 : 0xfd).u32(Number(m));
    if (m > (neg ? 0x8000_0000_0000_0000n : 0xffff_ffff_ffff_ffffn))
      throw new RangeError(`${n} does not fit an IxiVarInt`);
    return this.u8(neg ? 0xfa : 0xfe).u64(m);
  }

  /** `ixibytes` (01 §3.1): absent and empty both give one zero byte. */
  vb(bytes: Uint8Array | null): this {
    if (bytes === null) return this.u8(0);
    return this.var(bytes.length).raw(bytes);
  }

  /** `i32` length and bytes; absent is length 0. */
  i32Bytes(bytes: Uint8Array | null): this {
    if (bytes === null) return this.i32(0);
    return this.i32(bytes.length).raw(bytes);
  }

  /** `netstr` from text (01 §4.2); unpaired surrogates become U+FFFD. */
  netstr(text: string): this {
    if (text.length > shortUnitsMax) return this.netstrBytes(utf8.encode(text));
    // In place: an array for every hostname is more than it holds.
    const at = this.#room(1 + 3 * text.length);
    const { written } = utf8.encodeInto(text, this.#buf.subarray(at + 1));
    this.#buf[at] = written;
    this.#at = at + 1 + written;
    return this;
  }

  /** `netstr` from its UTF-8 bytes. */
  netstrBytes(bytes: Uint8Array): this {
    let n = bytes.length;
    while (n >= 0x80) {
      this.u8((n & 0x7f) | 0x80);
      n = Math.floor(n / 128);
    }
    return this.u8(n).raw(bytes);
  }

  /**
   * `char` (01 §4.3): one UTF-16 code unit as UTF-8, 1 to 3 bytes. Every protocol use is an ASCII letter, and
   * our reader takes nothing else. Throws RangeError for a surrogate or more than one code unit.
   */
  char(c: string): this {
    const code = c.charCodeAt(0);
    if (c.length !== 1 || (code >= 0xd800 && code <= 0xdfff))
      throw new RangeError(`not one character: ${JSON.stringify(c)}`);
    return this.raw(utf8.encode(c));
  }

  /** A copy of what was written; the writer may go on. */
  bytes(): Uint8Array {
    return this.#buf.slice(0, this.#at);
  }

  /** What was written, until something else is. */
  view(): Uint8Array {
    return this.#buf.subarray(0, this.#at);
  }

  /** Begins anew in the same buffer. */
  clear(): this {
    this.#at = 0;
    return this;
  }
}

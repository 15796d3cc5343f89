import { concatBytes, DecodeError } from '../wire/index.js';

/** ASN.1 tags used by RSA keys. */
export const DerTag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
} as const;

/** One DER element: tag, length in its shortest form, contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...contents);
  const n = body.length;
  const head =
    n < 0x80
      ? [tag, n]
      : n < 0x100
        ? [tag, 0x81, n]
        : n < 0x1_0000
          ? [tag, 0x82, n >> 8, n & 0xff]
          : [tag, 0x83, n >> 16, (n >> 8) & 0xff, n & 0xff];
  return concatBytes(Uint8Array.from(head), body);
}

/** Non-negative INTEGER from big-endian bytes. */
export function derInteger(value: Uint8Array): Uint8Array {
  let i = 0;
  while (i < value.length - 1 && value[i] === 0) i++;
  const stripped = value.subarray(i);
  const first = stripped[0];
  if (first === undefined) return der(DerTag.integer, Uint8Array.of(0));
  // A leading one bit would read as a negative number.
  return first >= 0x80 ? der(DerTag.integer, Uint8Array.of(0), stripped) : der(DerTag.integer, stripped);
}

/** Cursor over the elements of one DER string; results are views. Every fault is a DecodeError. */
export class DerReader {
  #at = 0;
  constructor(
    readonly bytes: Uint8Array,
    readonly field = 'der',
  ) {}

  get remaining(): number {
    return this.bytes.length - this.#at;
  }

  /** Contents of the next element, which must have this tag. */
  read(tag: number): Uint8Array {
    const start = this.#at;
    const fail = (code: 'EOF' | 'FORMAT'): never => {
      throw new DecodeError(code, this.field, start);
    };
    const byte = (): number => this.bytes[this.#at++] ?? fail('EOF');
    if (byte() !== tag) fail('FORMAT');
    let n = byte();
    if (n >= 0x80) {
      const lengthBytes = n & 0x7f;
      if (lengthBytes === 0 || lengthBytes > 3) fail('FORMAT');
      n = 0;
      for (let i = 0; i < lengthBytes; i++) n = (n << 8) | byte();
    }
    if (n > this.remaining) fail('EOF');
    const at = this.#at;
    this.#at = at + n;
    return this.bytes.subarray(at, at + n);
  }

  /** A non-negative INTEGER as big-endian bytes without its sign byte. */
  integer(): Uint8Array {
    const at = this.#at;
    const b = this.read(DerTag.integer);
    if (b.length === 0 || b[0]! >= 0x80) throw new DecodeError('RANGE', this.field, at);
    return b[0] === 0 && b.length > 1 ? b.subarray(1) : b;
  }

  /** A reader over the contents of the next SEQUENCE. */
  sequence(): DerReader {
    return new DerReader(this.read(DerTag.sequence), this.field);
  }

  done(): void {
    if (this.remaining > 0) throw new DecodeError('TRAILING', this.field, this.#at);
  }
}

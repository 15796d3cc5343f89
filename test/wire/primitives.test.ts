import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ByteReader,
  ByteWriter,
  DecodeError,
  decodeIxiNumber,
  divRemAmounts,
  encodeIxiNumber,
  formatAmount,
  fromHex,
  guidText,
  multiplyAmounts,
  parseAmount,
  parseGuid,
  readIxiNumber,
  toHex,
} from '../../src/wire/index.js';

const UINT64 = 2n ** 64n - 1n;

describe('IxiVarInt', () => {
  it('is the same as a number and as a bigint', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -70000, max: 70000 })), (n) => {
        const encoded = new ByteWriter().var(n).bytes();
        expect(encoded).toEqual(new ByteWriter().var(BigInt(n)).bytes());
        const r = new ByteReader(encoded);
        expect(r.var('n')).toBe(BigInt(n));
        expect(r.remaining).toBe(0);
        if (n >= 0) expect(new ByteReader(encoded).uvarInt('n', Number.MAX_SAFE_INTEGER)).toBe(n);
      }),
      { numRuns: 500 },
    );
  });

  it('bounds lengths before anything is taken', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: UINT64 }), fc.nat(), (n, max) => {
        const encoded = new ByteWriter().var(n).bytes();
        const read = (): number => new ByteReader(encoded).uvarInt('n', max);
        if (n <= BigInt(max)) expect(read()).toBe(Number(n));
        else expect(read).toThrow(expect.objectContaining({ code: 'RANGE', field: 'n', offset: 0 }));
        // As a length it is too long or ends outside the buffer, except for 0.
        if (n > 0n) expect(() => new ByteReader(encoded).vb('n', max)).toThrow(DecodeError);
      }),
      { numRuns: 300 },
    );
  });

  it('cannot be written beyond 64 bits, nor be a fraction', () => {
    expect(() => new ByteWriter().var(UINT64 + 1n)).toThrow(RangeError);
    expect(() => new ByteWriter().var(-(2n ** 63n) - 1n)).toThrow(RangeError);
    expect(() => new ByteWriter().var(1.5)).toThrow(RangeError);
    expect(() => new ByteWriter().var(Number.NaN)).toThrow(RangeError);
  });
});

describe('netstr', () => {
  it('is bounded in UTF-16 code units', () => {
    const encoded = new ByteWriter().netstr('é€\u{1f426}').bytes();
    expect(new ByteReader(encoded).netstr('t', 4)).toBe('é€\u{1f426}');
    expect(() => new ByteReader(encoded).netstr('t', 3)).toThrow(
      expect.objectContaining({ code: 'TOOLONG', field: 't', offset: 0 }),
    );
    const long = new ByteWriter().netstr('x'.repeat(5000)).bytes();
    expect(() => new ByteReader(long).netstr('t', 20)).toThrow(expect.objectContaining({ code: 'TOOLONG' }));
  });
});

describe('IxiNumber', () => {
  it('comes back from bytes and from text', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }), (units) => {
        const bytes = encodeIxiNumber(units);
        expect(decodeIxiNumber(bytes)).toBe(units);
        expect(parseAmount(formatAmount(units))).toBe(units);
        // Minimal: without its last byte it is another number.
        if (bytes.length > 1) expect(decodeIxiNumber(bytes.subarray(0, -1))).not.toBe(units);
      }),
      { numRuns: 300 },
    );
  });

  it('ignores redundant sign bytes', () => {
    expect(decodeIxiNumber(fromHex('00e1f50500000000'))).toBe(100_000_000n);
    expect(decodeIxiNumber(fromHex('ffff'))).toBe(-1n);
    expect(decodeIxiNumber(fromHex('0000'))).toBe(0n);
    expect(() => decodeIxiNumber(fromHex(''))).toThrow(expect.objectContaining({ code: 'EMPTY' }));
  });

  it('is bounded as a field and as text', () => {
    const long = new ByteWriter().vb(new Uint8Array(129)).bytes();
    expect(() => readIxiNumber(new ByteReader(long), 'fee')).toThrow(
      expect.objectContaining({ code: 'TOOLONG', field: 'fee' }),
    );
    expect(() => parseAmount('1'.repeat(129))).toThrow(expect.objectContaining({ code: 'TOOLONG' }));
  });

  it('divides towards zero and leaves what multiplying back misses', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
        fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }).filter((b) => b !== 0n),
        (a, b) => {
          const { quotient, remainder } = divRemAmounts(a, b);
          expect(multiplyAmounts(quotient, b) + remainder).toBe(a);
          expect(quotient === 0n || quotient > 0n === (a > 0n === b > 0n)).toBe(true);
        },
      ),
    );
    expect(() => divRemAmounts(1n, 0n)).toThrow(RangeError);
  });
});

describe('GUID text', () => {
  it('swaps the first three groups', () => {
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
    expect(guidText(bytes)).toBe('03020100-0504-0706-0809-0a0b0c0d0e0f');
    expect(parseGuid(guidText(bytes).toUpperCase())).toEqual(bytes);
    expect(() => guidText(bytes.subarray(1))).toThrow(RangeError);
    expect(() => parseGuid('{03020100-0504-0706-0809-0a0b0c0d0e0f)')).toThrow(DecodeError);
    expect(toHex(parseGuid('03020100050407060809 0a0b0c0d0e0f'.replace(' ', '')))).toBe(
      '000102030405060708090a0b0c0d0e0f',
    );
  });
});

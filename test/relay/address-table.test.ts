import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressTable } from '../../src/relay/address-table.js';
import { bytesKey } from '../../src/wire/index.js';

/** Addresses that share all bytes the hash may read but one, so that they crowd. */
const address = (n: number, length = 33): Uint8Array => {
  const a = new Uint8Array(length).fill(1);
  a[1] = n & 0xff;
  a[8] = n >> 8;
  a[length - 1] = (n * 7) & 0xff;
  return a;
};

describe('AddressTable', () => {
  it('answers like a map to any order of set, get and delete', () => {
    const step = fc.tuple(
      fc.constantFrom('set', 'set', 'delete', 'get'),
      fc.nat(400),
      fc.constantFrom(33, 45),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2_000 }), (steps) => {
        const table = new AddressTable<number>();
        const map = new Map<string, number>();
        steps.forEach(([what, n, length], i) => {
          const a = address(n, length);
          const key = bytesKey(a);
          if (what === 'set') {
            table.set(a, i);
            map.set(key, i);
          } else if (what === 'delete') expect(table.delete(a)).toBe(map.delete(key));
          expect(table.get(a)).toBe(map.get(key));
          expect(table.size).toBe(map.size);
        });
        for (let n = 0; n <= 400; n++)
          for (const length of [33, 45])
            expect(table.get(address(n, length))).toBe(map.get(bytesKey(address(n, length))));
      }),
      { numRuns: 60 },
    );
  });

  it('finds an address anywhere in other bytes, and keeps its own copy', () => {
    const table = new AddressTable<string>();
    const a = address(3);
    table.set(a, 'three');
    const around = new Uint8Array(100).fill(9);
    around.set(a, 17);
    a.fill(0);
    expect(table.get(around, 17, 33)).toBe('three');
    expect(table.get(around, 17, 45)).toBeUndefined();
    expect(table.get(around, 16, 33)).toBeUndefined();
  });

  it('tells addresses of every length apart by any one of their bytes', () => {
    for (let length = 9; length <= 48; length++) {
      const table = new AddressTable<string>();
      const a = Uint8Array.from({ length }, (_, i) => 200 + i);
      table.set(a, 'a');
      for (let i = 0; i < length; i++)
        for (const bit of [1, 0x80]) {
          const other = a.slice();
          other[i]! ^= bit;
          expect(table.get(other)).toBeUndefined();
        }
      expect(table.get(a)).toBe('a');
      expect(table.get(Uint8Array.of(...a, 0), 0, length + 1)).toBeUndefined();
      // What lies behind it in a message is not looked at.
      expect(table.get(Uint8Array.of(7, ...a, 1, 2, 3), 1, length)).toBe('a');
    }
  });

  it('takes no key without the bytes that are hashed, and none above its rows', () => {
    const table = new AddressTable<number>();
    for (const n of [0, 8, 49]) {
      expect(() => table.set(new Uint8Array(n), 1)).toThrow(RangeError);
      expect(table.get(new Uint8Array(n))).toBeUndefined();
      expect(table.delete(new Uint8Array(n))).toBe(false);
    }
  });
});

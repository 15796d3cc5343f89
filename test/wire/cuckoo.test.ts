import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CuckooFilter,
  cuckooBuckets,
  cuckooIndexes,
  cuckooTag,
  DecodeError,
  fromHex,
  toHex,
} from '../../src/wire/index.js';
import { fuzzSeed, generator, mutated, randomBytesOf } from './support.js';

const A0 = Uint8Array.from({ length: 33 }, (_, i) => i);
const A1 = Uint8Array.from({ length: 45 }, (_, i) => (i === 0 ? 1 : i));

describe('Cuckoo filter', () => {
  it('computes the tags of the specification', () => {
    // docs/protocol/04 §2.2, computed vectors.
    const t0 = cuckooTag(A0);
    expect(t0).toEqual({ tag: 0xaa107a31, alternate: 0xdc24599a });
    expect(cuckooIndexes(t0, 64)).toEqual([49, 43]);
    expect(cuckooIndexes(t0, 4)).toEqual([1, 3]);
    const t1 = cuckooTag(A1);
    expect(cuckooIndexes(t1, 64)).toEqual([57, 37]);
    expect(cuckooIndexes(t1, 4)).toEqual([1, 1]);
  });

  it('has the sizes and bytes of the specification', () => {
    const sizes = [0, 1, 3, 4, 5, 7, 8, 15, 16, 31, 32, 100, 128, 500, 501].map(cuckooBuckets);
    expect(sizes).toEqual([1, 1, 1, 2, 2, 2, 4, 4, 8, 16, 16, 32, 64, 256, 256]);
    expect(CuckooFilter.empty(128).encode()).toHaveLength(78);
    expect(toHex(CuckooFilter.build([A0, A1]).encode())).toBe(
      '040401000000000000000200000002317a10aaf9e26360',
    );
    expect(toHex(CuckooFilter.build([A0, A1], 8).encode())).toBe(
      '04040400000000000000020000000002317a10aaf9e263600000',
    );
    expect(() => cuckooBuckets(-1)).toThrow(RangeError);
    expect(() => cuckooBuckets(1.5)).toThrow(RangeError);
  });

  it('holds everything it was built from, also when it has to be rebuilt', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.uint8Array({ minLength: 33, maxLength: 45 }), { maxLength: 60, selector: toHex }),
        fc.nat(20),
        (items, expected) => {
          const f = CuckooFilter.build(items, expected);
          const again = CuckooFilter.decode(f.encode());
          for (const i of items) expect(f.has(i) && again.has(i)).toBe(true);
          expect(again.count).toBe(f.count);
          expect(again.encode()).toEqual(f.encode());
          expect([...f.tags()].length).toBe(f.count);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('goes on after evictions, keeps a victim and then refuses', () => {
    let kicks = 0;
    const f = CuckooFilter.empty(1, () => kicks++ % 4);
    const items = Array.from({ length: 6 }, (_, i) => Uint8Array.from({ length: 33 }, () => i + 1));
    expect(items.slice(0, 5).map((i) => f.add(i))).toEqual([true, true, true, true, true]);
    expect(kicks).toBe(500);
    expect(f.full).toBe(true);
    expect(f.count).toBe(5);
    expect(f.add(items[5]!)).toBe(false);
    for (const i of items.slice(0, 5)) expect(f.has(i)).toBe(true);
    const again = CuckooFilter.decode(f.encode());
    expect(again.full).toBe(true);
    expect(again.count).toBe(5);
  });

  it('loses nothing to a hole when something is deleted', () => {
    const items = Array.from({ length: 4 }, (_, i) => Uint8Array.from({ length: 33 }, () => i + 40));
    for (const [n, gone] of items.entries()) {
      const f = CuckooFilter.build(items, 1);
      expect(f.delete(gone)).toBe(true);
      expect(f.delete(gone)).toBe(false);
      const again = CuckooFilter.decode(f.encode());
      expect(items.map((i) => again.has(i))).toEqual(items.map((_, i) => i !== n));
      expect(again.count).toBe(3);
      // The reference hides what is behind the hole.
      expect(CuckooFilter.decode(f.encode(true)).count).toBe(n);
    }
  });

  it('refuses what would cost memory that is not there', () => {
    const refusal = (hex: string): string => {
      try {
        CuckooFilter.decode(fromHex(hex));
        return 'taken';
      } catch (e) {
        return e instanceof DecodeError ? `${e.code} ${e.field} ${e.offset}` : String(e);
      }
    };
    // 2^30 buckets announced in 14 bytes.
    expect(refusal('0404000000400000000000000000')).toBe('EOF filter.buckets 2');
    expect(refusal('0404030000000000000001000000000000')).toBe('RANGE filter.buckets 2');
    expect(refusal('0804010000000000000000000000')).toBe('RANGE filter.itemSize 0');
    expect(refusal('0402010000000000000000000000')).toBe('RANGE filter.associativity 1');
    expect(refusal('040401000000050000000000000000')).toBe('RANGE filter.victim 6');
    expect(refusal('0404010000000000000000000080 00'.replace(' ', ''))).toBe('RANGE filter.count 10');
    expect(refusal('040401000000000000000000000005')).toBe('RANGE filter.bucket 14');
    expect(refusal('040401000000000000000000000001aabb')).toBe('EOF filter.tag 15');
  });

  it('throws nothing but DecodeError on damaged or random bytes', () => {
    const seed = fuzzSeed();
    const random = generator(seed);
    const good = CuckooFilter.build([A0, A1], 8).encode();
    for (let i = 0; i < 3000; i++) {
      const bytes = i % 4 === 0 ? randomBytesOf(random, 40) : mutated(random, good);
      try {
        const f = CuckooFilter.decode(bytes);
        f.has(A0);
        f.encode();
      } catch (e) {
        expect(e, `seed ${seed}: ${toHex(bytes)}`).toBeInstanceOf(DecodeError);
      }
    }
  });
});

import { describe, expect, it } from 'vitest';
import { AddressIndex, addressHash } from '../../src/presence/slab-index.js';
import { prefixLead, SectorOrder } from '../../src/presence/slab-sectors.js';
import { compareBytes, toHex } from '../../src/wire/index.js';

const seed = Number(process.env.SEED ?? Date.now() & 0x7fff_ffff);
console.log(`slab indices: SEED=${seed}`);

/** xorshift32: the same sequence for the same seed. */
function seeded(): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

function wallets(count: number, alike: number): Uint8Array[] {
  const next = seeded();
  return Array.from({ length: count }, (_, n) => {
    const w = new Uint8Array(33);
    for (let i = 1; i < 33; i++) w[i] = i <= alike ? 7 : next() & 255;
    new DataView(w.buffer).setUint32(29, n);
    return w;
  });
}

describe('index by address', () => {
  it.each([
    ['as hashes are', 20_000, 0, 0],
    ['as hashes are, of which it was told', 20_000, 0, 20_000],
    ['as hashes are, of which it was told too many', 20_000, 0, 1_000_000],
    ['that begin alike in every bit that is hashed', 600, 8, 0],
    ['that begin alike, of which it was told', 600, 8, 600],
  ])('finds wallets %s, and only those that are in', (_, count, alike, told) => {
    const all = wallets(count, alike);
    const index = new AddressIndex({
      isWallet: (r, w) => compareBytes(all[r]!, w) === 0,
      hashOf: (r) => addressHash(all[r]!),
    });
    index.expect(told);
    const next = seeded();
    const inside = new Set<number>();
    for (let i = 0; i < 3 * count; i++) {
      const r = next() % count;
      if (inside.has(r) ? next() % 3 === 0 : next() % 3 > 0) {
        if (inside.delete(r)) index.remove(r);
        else {
          inside.add(r);
          index.add(r);
        }
      }
    }
    const wrong = all.filter((w, r) => index.find(w) !== (inside.has(r) ? r : -1));
    expect(wrong.map(toHex)).toEqual([]);
    expect(inside.size).toBeGreaterThan(count / 4);
    for (const r of inside) index.remove(r);
    expect(all.every((w) => index.find(w) === -1)).toBe(true);
  });
});

describe('order by sector', () => {
  it.each([
    ['spread as hashes are', 0, 0],
    ['spread as hashes are, of which it was told', 0, 3000],
    ['of which it was told too many', 0, 1_000_000],
    ['that agree in their first 32 bits', 4, 0],
    ['that agree in the whole prefix', 10, 3000],
  ])('gives ranges of prefixes %s', (_, alike, told) => {
    const next = seeded();
    const count = 3000;
    const all = wallets(count, 0);
    const prefixes = all.map(() => Uint8Array.from({ length: 10 }, (_, i) => (i < alike ? 9 : next() & 255)));
    const order = new SectorOrder({
      leadOf: (r) => prefixLead(prefixes[r]!),
      prefixOf: (r) => prefixes[r]!,
      walletOf: (r) => all[r]!,
    });
    order.expect(told);
    for (let r = 0; r < count; r++)
      if (r % 1000 < 700) order.addLater(r);
      else order.add(r);
    for (let r = 0; r < count; r += 3) order.remove(r);
    const compare = (a: number, b: number): number =>
      compareBytes(prefixes[a]!, prefixes[b]!) || compareBytes(all[a]!, all[b]!);
    const expected = all
      .map((_, r) => r)
      .filter((r) => r % 3 !== 0)
      .sort(compare);
    const range = (from: Uint8Array, to: Uint8Array, max: number): number[] =>
      expected
        .filter((r) => compareBytes(prefixes[r]!, from) >= 0 && compareBytes(prefixes[r]!, to) <= 0)
        .slice(0, max);
    for (let i = 0; i < 40; i++) {
      const ends = [prefixes[next() % count]!, prefixes[next() % count]!].sort(compareBytes);
      const max = next() % 400;
      expect(order.range(ends[0]!, ends[1]!, max)).toEqual(range(ends[0]!, ends[1]!, max));
    }
    for (const r of expected) order.remove(r);
    expect(order.range(new Uint8Array(10), new Uint8Array(10).fill(255), 10)).toEqual([]);
  });
});

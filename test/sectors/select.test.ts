import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SelectionError, selectKeys, selectRange, startBucket } from '../../src/sectors/index.js';
import { compareBytes, fromHex, toHex } from '../../src/wire/index.js';

const keys = (text: string): Uint8Array[] => text.split(' ').map(fromHex);
const select = (text: string, query: string, max: number, levels: number): string =>
  selectKeys(keys(text), fromHex(query), max, levels).map(toHex).join(' ');

/** The procedure of docs/protocol/06 §4.2 and §4.3 written out step by step, to compare the closed form with. */
function slowSelect(sorted: readonly Uint8Array[], q: Uint8Array, n: number, levels: number): Uint8Array[] {
  let s = [...sorted];
  let dir: 'none' | 'left' | 'right' = 'none';
  for (let l = 0; l < levels; l++) {
    const c = [...new Set(s.map((k) => k[l]!))].sort((a, b) => a - b);
    let chosen = c[0]!;
    if (l < q.length) {
      const b = q[l]!;
      if (c.includes(b)) chosen = b;
      else if (dir === 'left') chosen = c[c.length - 1]!;
      else if (dir === 'none') {
        for (const x of c) if (Math.abs(x - b) < Math.abs(chosen - b)) chosen = x;
        dir = chosen < b ? 'left' : 'right';
      }
    }
    s = s.filter((k) => k[l] === chosen);
  }
  const lo = sorted.indexOf(s[0]!);
  const hi = lo + s.length;
  const h = Math.floor(n / 2);
  const r = sorted.slice(Math.max(0, lo - n), lo);
  let after = 0;
  const push = (k: Uint8Array): void => {
    r.push(k);
    if (r.length > n) r.shift();
  };
  for (let i = lo; i < hi; i++) {
    push(sorted[i]!);
    if (after === 0) {
      if (compareBytes(sorted[i]!, q) > 0) after = 1;
    } else {
      after++;
      if (after >= h && r.length === n) return r;
    }
  }
  for (let i = hi; i < sorted.length && (after < h || r.length < n); i++) {
    push(sorted[i]!);
    after++;
    if (after >= h && r.length === n) break;
  }
  return r;
}

describe('selection, 06 §4', () => {
  it('refuses fewer than two keys before anything else', () => {
    for (const max of [1, 0, -1, Number.NaN]) {
      expect(() => selectKeys([], null, max)).toThrow(SelectionError);
      expect(() => selectKeys(keys('01020304'), fromHex('01'), max)).toThrow(SelectionError);
    }
    expect(selectKeys(keys('01020304'), fromHex('01'), 2).map(toHex)).toEqual(['01020304']);
  });

  it('refuses fewer than one level, and a missing query unless there are no keys', () => {
    expect(() => selectKeys(keys('01020304'), fromHex('01'), 2, 0)).toThrow(SelectionError);
    expect(() => selectKeys(keys('01020304'), null, 2)).toThrow(SelectionError);
    expect(selectKeys([], null, 2)).toEqual([]);
  });

  it('prefers the lower byte on a tie, the nearer one otherwise', () => {
    expect(startBucket(keys('10aa 20bb 30cc 40dd'), fromHex('28ff'), 1)).toEqual({ lo: 1, hi: 2 });
    expect(startBucket(keys('10aa 20bb 30cc 40dd'), fromHex('29ff'), 1)).toEqual({ lo: 2, hi: 3 });
    expect(startBucket(keys('10aa 20bb 30cc 40dd'), fromHex('27ff'), 1)).toEqual({ lo: 1, hi: 2 });
  });

  it('takes an exact byte again after leaving the path', () => {
    expect(select('050a 0514 051e 0728 0832', '060a', 4, 2)).toBe('050a 0514 051e 0728');
    expect(select('0328 050a 0514 0532 061e', '0414', 4, 2)).toBe('0328 050a 0514 0532');
  });

  it('takes the far end of each level after leaving it', () => {
    expect(startBucket(keys('050101 05ff10 05ff20 090101'), fromHex('060000'), 3)).toEqual({ lo: 2, hi: 3 });
    expect(startBucket(keys('010101 01ff10 080110 080220'), fromHex('06ffff'), 3)).toEqual({ lo: 2, hi: 3 });
  });

  it('goes to the lowest leaf when the query is shorter than the levels', () => {
    const k = '020101 020102 030101 030501 030901 040101';
    expect(select(k, '03', 3, 3)).toBe('020101 020102 030101');
    expect(select(k, '', 3, 3)).toBe('020101 020102 030101');
  });

  it('agrees with the step-by-step procedure on any keys, query, size and depth', () => {
    const byte = fc.constantFrom(3, 8, 9, 13, 18, 200);
    const key = fc.array(byte, { minLength: 5, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { minLength: 1, maxLength: 60, selector: (k) => k.join() }),
        fc.array(fc.oneof(byte, fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 1, max: 5 }),
        (ks, q, n, levels) => {
          const sorted = ks.map((k) => Uint8Array.from(k)).sort(compareBytes);
          const query = Uint8Array.from(q);
          const got = selectKeys(sorted, query, n, levels).map(toHex);
          expect(got).toEqual(slowSelect(sorted, query, n, levels).map(toHex));
          expect(got).toHaveLength(Math.min(n, sorted.length));
        },
      ),
      { numRuns: 3000, seed: 606, verbose: 1 },
    );
  });

  it('gives one run of indices inside the list', () => {
    const k = keys('10000000 20000000 30000000 40000000 50000000 60000000 70000000');
    expect(selectRange(k, fromHex('00000000'), 6)).toEqual({ from: 0, to: 6 });
    expect(selectRange(k, fromHex('ffffffff'), 6)).toEqual({ from: 1, to: 7 });
  });
});

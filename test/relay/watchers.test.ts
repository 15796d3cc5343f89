import { describe, expect, it } from 'vitest';
import { Watchers } from '../../src/relay/watchers.js';
import { seededRandom } from '../support/random.js';

const sorted = (a: string[] | null): string[] => [...(a ?? [])].sort();

describe('watchers by tag', () => {
  it('finds every holder of a tag once, and nobody else', () => {
    const w = new Watchers<string>();
    w.set('a', [1, 2, 0xffff_ffff]);
    w.set('b', [2, 3, 2, 3, 2]);
    w.set('c', []);
    expect(sorted(w.of(2))).toEqual(['a', 'b']);
    expect(w.of(0xffff_ffff)).toEqual(['a']);
    expect(w.of(3)).toEqual(['b']);
    expect(w.of(4)).toBeNull();
    expect(w.size).toBe(3);
    expect(w.entries).toBe(5);
    expect([...w.holders()]).toEqual(['a', 'b', 'c']);
  });

  it('replaces what a holder had, and forgets it', () => {
    const w = new Watchers<string>();
    w.set('a', [1, 2]);
    w.set('b', [2]);
    w.set('a', [2, 5]);
    expect(w.of(1)).toBeNull();
    expect(sorted(w.of(2))).toEqual(['a', 'b']);
    expect(w.delete('a')).toBe(true);
    expect(w.delete('a')).toBe(false);
    expect(w.of(5)).toBeNull();
    expect(w.of(2)).toEqual(['b']);
    expect([w.size, w.entries]).toEqual([1, 1]);
  });

  it('what it found may be changed while it is walked through', () => {
    const w = new Watchers<string>();
    for (const h of ['a', 'b', 'c']) w.set(h, [7]);
    const told: string[] = [];
    for (const h of w.of(7) ?? []) {
      told.push(h);
      w.delete('b');
      w.set('d', [7]);
    }
    expect(told.sort()).toEqual(['a', 'b', 'c']);
    expect(sorted(w.of(7))).toEqual(['a', 'c', 'd']);
  });

  it('agrees with a map of sets through growth, reuse and the loss of everybody', () => {
    const next = seededRandom(20_261_129);
    const random = (below: number): number => Math.floor(below * next());
    const w = new Watchers<number>();
    for (let round = 0; round < 3; round++) {
      const model = new Map<number, Set<number>>();
      for (let step = 0; step < 2_000; step++) {
        const holder = random(300);
        if (random(4) === 0) expect(w.delete(holder)).toBe(model.delete(holder));
        else {
          // Few different tags, so that chains are long and shared.
          const tags = Array.from({ length: random(40) }, () => 0xffff_ff00 + random(200));
          w.set(holder, tags);
          model.set(holder, new Set(tags));
        }
        const tag = 0xffff_ff00 + random(200);
        const holders = [...model].filter(([, t]) => t.has(tag)).map(([h]) => h);
        expect([...(w.of(tag) ?? [])].sort()).toEqual(holders.sort());
      }
      expect(w.size).toBe(model.size);
      expect(w.entries).toBe([...model.values()].reduce((n, t) => n + t.size, 0));
      for (const holder of model.keys()) w.delete(holder);
      expect([w.size, w.entries]).toEqual([0, 0]);
    }
  });

  it('one of many holders of a popular tag goes without a walk past the others', () => {
    const w = new Watchers<number>();
    for (let i = 0; i < 20_000; i++) w.set(i, [42, i]);
    expect(w.of(42)).toHaveLength(20_000);
    for (let i = 0; i < 20_000; i += 2) w.delete(i);
    expect(w.of(42)).toHaveLength(10_000);
    expect(w.of(42)?.every((i) => i % 2 === 1)).toBe(true);
    expect([w.of(2), w.of(3)]).toEqual([null, [3]]);
  });
});

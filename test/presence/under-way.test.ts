import { describe, expect, it } from 'vitest';
import { UnderWay, type Waiting } from '../../src/presence/under-way.js';
import { seededRandom } from '../support/random.js';

interface Item extends Waiting {
  readonly n: number;
}

/** All that the table finds for a hash, newest first. */
function found(table: UnderWay<Item>, hash: number): number[] {
  const out: number[] = [];
  for (let i = table.first(hash); i !== null; i = table.after(i)) if (i.hash === hash) out.push(i.n);
  return out;
}

describe('what is under way', () => {
  it('is found by its hash until it is over, several of one hash included', () => {
    const table = new UnderWay<Item>();
    const items = [5, 5, -7, 5].map((hash, n): Item => ({ hash, n, slot: 0 }));
    for (const i of items) table.add(i);
    expect(found(table, 5)).toEqual([3, 1, 0]);
    expect(found(table, -7)).toEqual([2]);
    expect(found(table, 6)).toEqual([]);
    table.delete(items[1]!);
    expect(found(table, 5)).toEqual([3, 0]);
    table.delete(items[3]!);
    table.delete(items[0]!);
    expect(found(table, 5)).toEqual([]);
    table.add(items[1]!);
    expect(found(table, 5)).toEqual([1]);
  });

  it('agrees with a list through growth and reuse', () => {
    const next = seededRandom(7);
    const random = (below: number): number => Math.floor(below * next());
    const table = new UnderWay<Item>();
    const waiting: Item[] = [];
    for (let n = 0; n < 20_000; n++) {
      // It fills up to thousands, drains, and fills again.
      const filling = Math.floor(n / 5_000) % 2 === 0;
      if (waiting.length === 0 || random(10) < (filling ? 8 : 2)) {
        const item: Item = { hash: random(400) - 200, n, slot: 0 };
        waiting.push(item);
        table.add(item);
      } else table.delete(waiting.splice(random(waiting.length), 1)[0]!);
      if (n % 50 !== 0) continue;
      const hash = random(400) - 200;
      const expected = waiting.filter((i) => i.hash === hash).map((i) => i.n);
      expect(found(table, hash).sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
    }
    for (const i of waiting) table.delete(i);
    for (let hash = -200; hash < 200; hash++) expect(table.first(hash)).toBeNull();
  });
});

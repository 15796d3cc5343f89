import { cachedDataVersionTag } from 'node:v8';
import { afterEach, describe, expect, it } from 'vitest';
import {
  HeapGrowth,
  heapGrowthPercent,
  heapGrowthPercentMost,
  heapSlackBytes,
} from '../../src/cli/heap-growth.js';

const MIB = 1024 * 1024;

describe('how far the heap may grow between full collections', () => {
  it.each([
    [0, heapGrowthPercentMost],
    [20 * MIB, heapGrowthPercentMost],
    [128 * MIB, 200],
    [256 * MIB, 100],
    [257 * MIB, 0],
    [4096 * MIB, 0],
  ])('%i bytes alive: %i percent', (bytes, percent) => {
    expect(heapGrowthPercent(bytes)).toBe(percent);
  });

  it('never more than its slack beyond what is alive', () => {
    for (let mib = 1; mib < 2_000; mib++)
      expect((mib * MIB * heapGrowthPercent(mib * MIB)) / 100).toBeLessThanOrEqual(heapSlackBytes);
  });
});

describe('V8', () => {
  const growth = new HeapGrowth();
  let held: Uint8Array | null = null;
  afterEach(() => {
    growth.stop();
    held = null;
  });

  it('is told while little is alive, left alone while much is, and as before in the end', () => {
    // The tag stands for V8's flags: it tells whether they were changed.
    const before = cachedDataVersionTag();
    held = new Uint8Array(2 * heapSlackBytes);
    growth.adjust();
    expect([growth.percent, cachedDataVersionTag()]).toEqual([0, before]);
    expect(held.length).toBeGreaterThan(0);
  });

  it('takes the percentage, and gives it back', () => {
    const before = cachedDataVersionTag();
    growth.start();
    growth.adjust();
    // As much as this test's process has, little or not.
    expect(cachedDataVersionTag() === before).toBe(growth.percent === 0);
    growth.stop();
    expect([growth.percent, cachedDataVersionTag()]).toEqual([0, before]);
  });
});

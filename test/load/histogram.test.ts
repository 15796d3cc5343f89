import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HdrHistogram } from '../../src/load/index.js';

const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);

test('quantiles are within 1.6 % of the sorted values', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2 ** 31 - 1 })), {
        minLength: 1,
        maxLength: 400,
      }),
      fc.constantFrom(0, 0.5, 0.9, 0.99, 1),
      (values, q) => {
        const h = new HdrHistogram();
        for (const v of values) h.record(v);
        const exact = [...values].sort((a, b) => a - b)[Math.max(1, Math.ceil(q * values.length)) - 1]!;
        const found = h.quantile(q);
        expect(found).toBeGreaterThanOrEqual(exact);
        expect(found).toBeLessThanOrEqual(exact * 1.016 + 1);
        expect(h.summary().max).toBe(Math.max(...values));
        expect(h.summary().min).toBe(Math.min(...values));
      },
    ),
    { seed },
  );
});

test('several merged are the same as one that saw everything', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }))), (parts) => {
      const whole = new HdrHistogram();
      const merged = new HdrHistogram();
      for (const part of parts) {
        const h = new HdrHistogram();
        for (const v of part) {
          h.record(v);
          whole.record(v);
        }
        merged.add(structuredClone(h.data()));
      }
      expect(merged.data()).toEqual(whole.data());
    }),
    { seed },
  );
});

test('values outside the range count at its ends, fractions are cut off', () => {
  const h = new HdrHistogram();
  for (const v of [-5, 0.9, 1e15]) h.record(v);
  expect(h.summary()).toMatchObject({ count: 3, min: 0, max: 2 ** 31 - 1 });
  expect(h.quantile(0.5)).toBe(0);
});

test('an empty one answers 0, and one that was reset is empty', () => {
  const h = new HdrHistogram();
  expect(h.summary()).toEqual({ count: 0, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
  h.record(7);
  h.reset();
  expect(h.data()).toEqual(new HdrHistogram().data());
});

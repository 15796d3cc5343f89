// Bars and verdicts, by the same rule as the benchmarks of the core.

import { judge, median, noiseOf } from '../core/measure.mjs';

export { median, noiseOf };

/** How far figures of one thing stray from the one in the middle. */
export const spreadOf = (figures) => noiseOf(figures.map((v) => v / median(figures)));

/** A bar that the measured value must not exceed. */
export const atMost = (name, bar, measured, spread, more = {}) => ({
  ...judge({ name, bar, measured, interval: spread, below: true }),
  at: 'most',
  ...more,
});

/** A bar that the measured value must reach. */
export const atLeast = (name, bar, measured, spread, more = {}) => ({
  ...judge({ name, bar, measured, interval: spread }),
  at: 'least',
  ...more,
});

/** A count that must be reached: it has no noise. */
export const counted = (name, bar, measured, more = {}) => ({
  name,
  bar,
  measured,
  spread: 0,
  verdict: measured >= bar ? 'holds' : 'missed',
  at: 'least',
  ...more,
});

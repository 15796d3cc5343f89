import { expect, it } from 'vitest';
import { runSuite } from './suite.js';
import { makeVectors } from './vectors.js';
import { runVerifySuite } from './verify.js';

// The suite of every runtime in this Node, with the built package: what `npm test` sees of it.
it('the suite of every runtime passes in this Node', async () => {
  const report = await runSuite(makeVectors());
  expect(report.cases.filter((c) => c.error !== null)).toEqual([]);
  expect(report.cases.length).toBeGreaterThan(12);
});

it('its verify engines agree in this Node', async () => {
  const report = await runVerifySuite(makeVectors());
  expect(report.cases.filter((c) => c.error !== null)).toEqual([]);
  expect(report.cases.length).toBeGreaterThanOrEqual(6);
  expect(report.auto).toBe('native');
});

import { expect, it } from 'vitest';
import { family06 } from '../../src/cli/vectors/family-06-sectors.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('06-sectors: every golden case passes', async () => {
  const outcomes = await runFamily(family06);
  expect(notPassed(outcomes)).toEqual([]);
  expect(outcomes.length).toBeGreaterThan(150);
});

it('06-sectors: a damaged expectation fails', async () => {
  expect(await damageSample(family06, { every: 1, leaves: 3 })).toEqual([]);
});

import { expect, it } from 'vitest';
import { family05 } from '../../src/cli/vectors/family-05-presence.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('05-presence: every golden case passes', async () => {
  const outcomes = await runFamily(family05);
  expect(notPassed(outcomes)).toEqual([]);
  expect(outcomes.length).toBeGreaterThan(400);
}, 60_000);

it('05-presence: a damaged expectation fails', async () => {
  expect(await damageSample(family05, { every: 3, leaves: 4, observations: ['**.error', 'error'] })).toEqual(
    [],
  );
}, 120_000);

import { expect, it } from 'vitest';
import { family01 } from '../../src/cli/vectors/family-01-encoding.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('answers every golden case of the primitive encodings', async () => {
  expect(notPassed(await runFamily(family01))).toEqual([]);
});

it('fails a case whose expected value was damaged', async () => {
  // Names of the reference's exceptions are information (README §1).
  const survivors = await damageSample(family01, { every: 1, leaves: 40, observations: ['**error'] });
  expect(survivors).toEqual([]);
});

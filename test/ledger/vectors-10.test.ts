import { expect, it } from 'vitest';
import { family10 } from '../../src/cli/vectors/family-10-transactions.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('answers every golden case of document 10', async () => {
  expect(notPassed(await runFamily(family10))).toEqual([]);
});

it('fails on damaged copies of document 10', async () => {
  expect(await damageSample(family10)).toEqual([]);
});

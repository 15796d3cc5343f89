import { expect, it } from 'vitest';
import { family09 } from '../../src/cli/vectors/family-09-dlt.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('answers every golden case of document 09', async () => {
  expect(notPassed(await runFamily(family09))).toEqual([]);
});

it('fails on damaged copies of document 09', async () => {
  expect(await damageSample(family09)).toEqual([]);
});

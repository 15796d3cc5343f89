import { describe, expect, it } from 'vitest';
import { family07 } from '../../src/cli/vectors/family-07-streaming.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

describe('07-streaming vectors', () => {
  it('passes every case', async () => {
    expect(notPassed(await runFamily(family07))).toEqual([]);
  });

  it('fails when a compared value is damaged', async () => {
    expect(await damageSample(family07, { every: 1, leaves: 12 })).toEqual([]);
  });
});

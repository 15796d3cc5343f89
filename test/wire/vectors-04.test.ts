import { expect, it } from 'vitest';
import { family04 } from '../../src/cli/vectors/family-04-events.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('answers every golden case of events, Cuckoo filter and inventory', async () => {
  expect(notPassed(await runFamily(family04))).toEqual([]);
});

it('fails a case whose expected value was damaged', async () => {
  const survivors = await damageSample(family04, {
    every: 1,
    leaves: 40,
    // One possible result of random kicks (README §3); names of the reference's exceptions (§1).
    observations: ['exampleBytes', '**error'],
  });
  expect(survivors).toEqual([]);
});

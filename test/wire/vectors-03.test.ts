import { expect, it } from 'vitest';
import { family03 } from '../../src/cli/vectors/family-03-wire.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('answers every golden case of frames, handshake and payloads', async () => {
  expect(notPassed(await runFamily(family03))).toEqual([]);
});

it('fails a case whose expected value was damaged', async () => {
  const survivors = await damageSample(family03, {
    every: 2,
    leaves: 12,
    // README §3: the text of a bye, the bytes it is in, how far the reference read, how a payload was made;
    // names of the reference's exceptions (§1).
    observations: ['bytesRead', 'sent[*].text', 'sent[*].payload', 'built', 'error'],
  });
  expect(survivors).toEqual([]);
});

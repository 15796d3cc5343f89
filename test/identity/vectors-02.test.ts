import { expect, it } from 'vitest';
import { family02 } from '../../src/cli/vectors/family-02-identity.js';
import { damageSample, notPassed, runFamily } from '../support/vectors.js';

it('answers every identity case and test wallet as the files say', async () => {
  const outcomes = await runFamily(family02);
  expect(outcomes.length).toBe(474 + 7 + 4);
  expect(notPassed(outcomes)).toEqual([]);
});

it('fails every case with one damaged value', async () => {
  // That a parser fails is compared, not with which exception (README §1).
  const observations = ['textPath.error', 'base58ThenBytes.error'];
  expect(await damageSample(family02, { every: 4, leaves: 6, observations })).toEqual([]);
});

it('fails a case whose strict mark is taken away', async () => {
  const { runCase } = await import('../../src/cli/vectors/run.js');
  const { vectorContext, vectorFiles } = await import('../support/vectors.js');
  const ctx = vectorContext();
  const marked = vectorFiles()
    .filter((f) => f.kind === 'cases')
    .flatMap((f) => f.cases)
    .filter((c) => c.name.startsWith('address/') && c.strict !== undefined);
  expect(marked.length).toBe(19);
  for (const c of marked) {
    const { strict: _strict, ...plain } = c;
    expect((await runCase(family02, plain, ctx, '02-identity.json')).kind, c.name).toBe('failed');
  }
});

import { describe, expect, it } from 'vitest';
import type { Json, JsonObject, VectorCase } from '../../src/cli/vectors/case.js';
import { family08 } from '../../src/cli/vectors/family-08-communication.js';
import { runCase } from '../../src/cli/vectors/run.js';
import { damageSample, notPassed, runFamily, vectorContext } from '../support/vectors.js';

/** Transcripts with a strict mark are left out by the common damage test: these are their compared leaves. */
const COMPARED =
  /^(messages\[\d+\]\.(bytes|plaintext|checksum|aad|spixiType|decrypts)|steps\[\d+\]\.(handled|contact\..+))$/;

interface Leaf {
  readonly path: string;
  readonly damaged: VectorCase;
}

function leaves(c: VectorCase): Leaf[] {
  const found: Leaf[] = [];
  const visit = (v: Json, path: string, rebuild: (leaf: Json) => Json): void => {
    if (Array.isArray(v)) {
      v.forEach((x, i) => {
        visit(x as Json, `${path}[${i}]`, (leaf) => rebuild(v.map((y, j) => (j === i ? leaf : (y as Json)))));
      });
      return;
    }
    if (v !== null && typeof v === 'object') {
      for (const [k, x] of Object.entries(v as JsonObject))
        visit(x, path === '' ? k : `${path}.${k}`, (leaf) => rebuild({ ...(v as JsonObject), [k]: leaf }));
      return;
    }
    if (COMPARED.test(path)) found.push({ path, damaged: { ...c, out: rebuild(damage(v)) as JsonObject } });
  };
  visit(c.out, '', (x) => x);
  return found;
}

function damage(v: Json): Json {
  if (typeof v === 'boolean') return !v;
  if (typeof v === 'number') return v + 1;
  if (typeof v !== 'string' || v === '') return '00';
  return v.slice(0, -1) + (v.endsWith('1') ? '2' : '1');
}

const ctx = vectorContext();
const sessions = ['08-sessions.json', '08-sessions-more.json'].flatMap((file) =>
  ctx.cases(file).map((c) => ({ file, c })),
);

/** Steps whose outcome a strict rule replaces, and key pairs that our side makes later than the reference. */
function replaced(c: VectorCase, path: string): boolean {
  const step = /^steps\[(\d+)\]\.(.+)$/.exec(path);
  if (step === null || c.strict === undefined) return false;
  const marked = Array.isArray(c.strict.steps) && c.strict.steps.includes(Number(step[1]));
  if (marked && step[2] === 'handled') return true;
  if (c.strict.accept !== true) return false;
  return step[2] === 'contact.aesSalt' || step[2] === 'contact.ecdhPrivateKey' || c.line === '0.9.7';
}

describe('08-communication vectors', () => {
  it('passes every case, transcripts included', async () => {
    expect(notPassed(await runFamily(family08))).toEqual([]);
  });

  it('fails when a compared value is damaged', async () => {
    const observations = ['messages[*].sentVia', 'steps[*].secrets**', 'steps[*].time', 'steps[*].action'];
    expect(await damageSample(family08, { every: 3, leaves: 6, observations })).toEqual([]);
  });

  it('fails when a byte, key or state of a transcript is damaged', async () => {
    const survivors: string[] = [];
    for (const [n, { file, c }] of sessions.entries()) {
      const candidates = leaves(c).filter((l) => !replaced(c, l.path));
      expect(candidates.length).toBeGreaterThan(50);
      // Two per transcript, spread by stride; a full pass over all of them takes half an hour.
      const picked = [1, 2].map((k) => candidates[((n * 37 + k * 101) * 7) % candidates.length]!);
      for (const l of picked)
        if ((await runCase(family08, l.damaged, ctx, file)).kind === 'passed')
          survivors.push(`${c.name} ${l.path}`);
    }
    expect(survivors).toEqual([]);
  }, 120_000);
});

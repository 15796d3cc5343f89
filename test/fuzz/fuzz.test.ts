import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DecodeError, fromHex } from '../../src/wire/index.js';
import { check, Finding, fuzz, random, watchingAllocations } from './engine.js';
import type { Target } from './target.js';
import { TARGETS } from './targets.js';

/** Seconds for all decoders together; more on request (a minute in CI, an hour before a release). */
const seconds = Number(process.env.FUZZ_SECONDS ?? 2);
/** Repeats a run: printed with every finding. */
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff);
const corpusBytesMax = 300_000;

const folder = new URL('corpus/', import.meta.url);

function corpusOf(target: Target): Uint8Array[] {
  const dir = new URL(`${target.name}/`, folder);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((f) => f.endsWith('.hex'))
    .sort()
    .map((f) => fromHex(readFileSync(new URL(f, dir), 'utf8').trim()));
}

describe(`decoders under damaged input, FUZZ_SEED=${seed}`, () => {
  it.each(TARGETS)(
    '$name answers with a value or its own error',
    (target) => {
      const corpus = corpusOf(target);
      expect(corpus.length).toBeGreaterThan(0);
      const report = fuzz(target, corpus, (seconds * 1000) / TARGETS.length, seed);
      expect(report.runs).toBeGreaterThanOrEqual(corpus.length);
      expect(report.accepted).toBeGreaterThan(0);
    },
    Math.max(20_000, seconds * 2_000),
  );

  it('the corpus is complete and small', () => {
    let bytes = 0;
    const folders = readdirSync(folder);
    for (const name of folders)
      for (const f of readdirSync(new URL(`${name}/`, folder)))
        bytes += readFileSync(new URL(`${name}/${f}`, folder)).length;
    expect(bytes).toBeLessThan(corpusBytesMax);
    expect(folders.sort()).toEqual(TARGETS.map((t) => t.name).sort());
  });
});

describe('the checks themselves', () => {
  const input = fromHex('010203');
  const target = (run: Target['run']): Target => ({ name: 'bad', run, throws: [DecodeError] });
  const found = (run: Target['run']): string => {
    try {
      watchingAllocations(() => check(target(run), input));
      return '';
    } catch (e) {
      return e instanceof Finding ? e.message : `not a finding: ${String(e)}`;
    }
  };

  it('see a foreign error, an over-read, a large allocation, a slow call and a changed input', () => {
    expect(found(() => 1)).toBe('');
    expect(found((b) => new DataView(b.buffer, b.byteOffset).getUint32(b.length))).toContain('not its input');
    expect(found(() => (undefined as unknown as { x: number }).x)).toContain('throws TypeError');
    expect(found(() => new Uint8Array(1_000_000).length)).toContain('in one piece');
    expect(found(() => 'x'.repeat(1_000_000))).toContain('holds');
    expect(found((b) => b.fill(0).length)).toContain('changes its input');
    const wait = (): number => {
      const end = Date.now() + 220;
      while (Date.now() < end);
      return 1;
    };
    expect(found(wait)).toContain('takes');
    expect(
      found(() => {
        throw new DecodeError('EOF', 'x', 0);
      }),
    ).toBe('');
  });

  it('damage repeats with its seed', () => {
    const [a, b, c] = [random(5), random(5), random(6)];
    const take = (r: () => number): number[] => Array.from({ length: 8 }, () => r());
    const first = take(a);
    expect(take(b)).toEqual(first);
    expect(take(c)).not.toEqual(first);
  });
});

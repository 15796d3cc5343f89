import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Family, JsonObject } from '../../src/cli/vectors/case.js';
import { assignFamily, folderContext, loadFolder, VectorFileError } from '../../src/cli/vectors/load.js';
import { runFiles, tally } from '../../src/cli/vectors/run.js';
import { DecodeError } from '../../src/wire/index.js';

/** Doubles a number; refuses negative ones with a decoder's error. */
const doubling: Family = {
  name: '90-doubling',
  files: ['90-doubling.json', 'extra.json'],
  run(c, ctx, file) {
    const value = c.in.value as number;
    if (value < 0) throw new DecodeError('RANGE', 'value', 0);
    if (value === 1000) throw new TypeError('our own defect');
    if (c.name === 'wallet') return { out: { found: ctx.find('wallets.json', 'w0').name } };
    if (c.name === 'nowhere') return { out: { found: ctx.find('no-such-file.json', 'x').name } };
    return { out: { value: value * 2, file } };
  },
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starling-vectors-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (name: string, json: unknown): void => writeFileSync(join(folder, name), JSON.stringify(json));
const c = (name: string, value: number, out: JsonObject, more: JsonObject = {}): JsonObject => ({
  name,
  line: 'both',
  in: { value },
  out,
  ...more,
});

async function results(filter?: string): Promise<Map<string, string>> {
  const files = loadFolder(folder);
  const all = await runFiles({
    families: [doubling],
    files,
    context: folderContext(folder, files),
    ...(filter === undefined ? {} : { filter }),
  });
  return new Map(
    all.map((r) => [r.name, `${r.outcome.kind} ${'detail' in r.outcome ? r.outcome.detail : ''}`.trim()]),
  );
}

describe('running a folder of conformance files', () => {
  it('passes what is equal, names the first difference of what is not', async () => {
    put('90-doubling.json', {
      family: '90-doubling',
      source: 'here',
      cases: [
        c('right', 2, { value: 4 }),
        c('wrong', 2, { value: 5 }),
        c('member missing', 2, { other: 1 }),
        c('negative', -1, { error: 'X' }),
        c('negative but accepted by the file', -1, { value: -2 }),
        c('refusal wanted', 3, { error: 'X' }),
        c('defect where refusal is wanted', 1000, { error: 'X' }),
        c('skipped', 3, { value: 0 }, { strict: { skip: true, rule: '01 §1' } }),
      ],
    });
    const r = await results();
    expect(r.get('right')).toBe('passed');
    expect(r.get('wrong')).toBe('failed value: expected 5, got 4');
    expect(r.get('member missing')).toBe('failed other: expected 1, got nothing');
    expect(r.get('negative')).toBe('passed');
    expect(r.get('negative but accepted by the file')).toMatch(/^failed refused \(DecodeError/);
    expect(r.get('refusal wanted')).toMatch(/^failed accepted/);
    expect(r.get('defect where refusal is wanted')).toMatch(/^failed threw TypeError: our own defect/);
    expect(r.get('skipped')).toBe('skipped 01 §1');
  });

  it('maps a file by the family it states, then by its name, under the name its family knows', () => {
    const file = (path: string, family: string) => ({ kind: 'cases' as const, path, family, cases: [] });
    const of = (path: string, family: string) => assignFamily([doubling], file(path, family))?.file;
    expect(of('anything.json', '90-doubling')).toBe('90-doubling.json');
    expect(of('anything.json', 'extra')).toBe('extra.json');
    expect(of('deep/extra-damaged.json', 'unheard of')).toBe('extra.json');
    expect(of('anything.json', '90-doubling-more')).toBe('90-doubling.json');
    expect(of('anything.json', '90-doublings')).toBeUndefined();
  });

  it('counts every case of an unknown family as not covered', async () => {
    put('77-strange.json', { family: '77-strange', source: '', cases: [c('a', 1, {}), c('b', 1, {})] });
    const files = loadFolder(folder);
    const all = await runFiles({ families: [doubling], files, context: folderContext(folder, files) });
    expect(tally(all)).toEqual({ passed: 0, failed: 0, uncovered: 2, skipped: 0 });
  });

  it('borrows the wallets when the folder has none, and says what cannot be found', async () => {
    put('90-doubling.json', {
      family: '90-doubling',
      cases: [c('wallet', 1, { found: 'w0' }), c('nowhere', 1, { found: 'x' })],
    });
    const r = await results();
    expect(r.get('wallet')).toBe('passed');
    expect(r.get('nowhere')).toMatch(/^uncovered no-such-file.json is not in /);
  });

  it('runs only what the filter names', async () => {
    put('90-doubling.json', { family: '90-doubling', cases: [c('one', 1, {}), c('two', 2, {})] });
    expect([...(await results('doubling/two')).keys()]).toEqual(['two']);
  });

  it('leaves JSON of another shape alone and refuses a broken file by name', () => {
    put('package.json', { name: 'x' });
    expect(loadFolder(folder)).toEqual([]);
    writeFileSync(join(folder, 'cut.json'), '{"family": "90-doubling", "cases": [');
    expect(() => loadFolder(folder)).toThrow(VectorFileError);
    expect(() => loadFolder(folder)).toThrow(/^cut\.json: /);
    put('cut.json', { family: 'x', cases: [{ name: 'no out', in: {} }] });
    expect(() => loadFolder(folder)).toThrow('cut.json: case 0 (no out) has no object "out"');
  });
});

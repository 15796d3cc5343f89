import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliError } from '../../src/cli/exit.js';
import type { Output } from '../../src/cli/terminal.js';
import { run } from '../../src/cli/vectors/command.js';
import { VECTOR_FOLDER } from '../support/vectors.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starling-vectors-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function vectors(...args: string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const o: Output = { out: (t) => (text += t), err: (t) => (text += t), colour: false, live: false };
  return { code: await run(args, o), text };
}

interface CaseLike {
  out: Record<string, unknown>;
}
function edit(file: string, change: (cases: CaseLike[]) => void): void {
  const path = join(folder, file);
  const json = JSON.parse(readFileSync(path, 'utf8')) as { cases: CaseLike[] };
  change(json.cases);
  writeFileSync(path, JSON.stringify(json));
}

describe('starling vectors', () => {
  it('prints a table by family and the totals last, exit 0 when all is passed', async () => {
    cpSync(join(VECTOR_FOLDER, 'sector-tree.json'), join(folder, 'sector-tree.json'));
    cpSync(join(VECTOR_FOLDER, '06-sectors.json'), join(folder, '06-sectors.json'));
    const { code, text } = await vectors(folder);
    expect(text).toBe(
      [
        'family       passed  failed  not covered  skipped',
        '06-sectors       90       0            0        0',
        'sector-tree      72       0            0        0',
        '162 passed, 0 failed, 0 not covered, 0 skipped',
        '',
      ].join('\n'),
    );
    expect(code).toBe(0);
  });

  it('names case, line and first differing byte of a damaged copy, exit 1', async () => {
    cpSync(join(VECTOR_FOLDER, '06-sectors.json'), join(folder, 'copy.json'));
    edit('copy.json', (cases) => {
      cases[0]!.out.prefix = `ff${String(cases[0]!.out.prefix).slice(2)}`;
    });
    const { code, text } = await vectors(folder);
    expect(code).toBe(1);
    expect(text).toMatch(/^FAILED 06-sectors \S+ \[both\]: prefix: first differing byte 0: expected ff/m);
    expect(text.trimEnd().split('\n').at(-1)).toBe('89 passed, 1 failed, 0 not covered, 0 skipped');
  });

  it('counts a family nobody knows as not covered, exit 1', async () => {
    const one = { name: 'a', line: 'both', in: {}, out: { x: 1 } };
    writeFileSync(join(folder, 'x.json'), JSON.stringify({ family: '66-unknown', cases: [one, one] }));
    const { code, text } = await vectors(folder);
    expect(code).toBe(1);
    expect(text).toContain('66-unknown       0       0            2        0');
    expect(text).toMatch(/0 passed, 0 failed, 2 not covered, 0 skipped\n$/);
  });

  it('writes one JSON object for scripts', async () => {
    cpSync(join(VECTOR_FOLDER, 'sector-tree.json'), join(folder, 'sector-tree.json'));
    const { text } = await vectors(folder, '--json');
    expect(JSON.parse(text)).toEqual({
      totals: { passed: 72, failed: 0, uncovered: 0, skipped: 0 },
      families: [{ family: 'sector-tree', passed: 72, failed: 0, uncovered: 0, skipped: 0 }],
      problems: [],
    });
  });

  it.each([
    [[], /wants one folder/],
    [['a', 'b'], /wants one folder/],
    [['/no/such/folder'], /is not a folder/],
    [['--engine', 'abacus', '.'], /unknown engine abacus/],
    [['--fliter', 'x', '.'], /unknown switch --fliter/],
  ])('refuses wrong use: %j', async (args, message) => {
    const error = await vectors(...args).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CliError);
    expect((error as CliError).message).toMatch(message);
    expect((error as CliError).exitCode).toBe(2);
  });

  it('refuses a folder without any conformance file', async () => {
    await expect(vectors(folder)).rejects.toThrow('holds no conformance file');
  });
});

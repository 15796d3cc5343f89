import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

const SUMMARY = resolve(import.meta.dirname, '../../.ci/summary.mjs');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starling-summary-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const report = (name: string, passed: number, failed: number, skipped = 0): void =>
  writeFileSync(
    join(folder, `${name}.json`),
    JSON.stringify({
      numPassedTests: passed,
      numFailedTests: failed,
      numPendingTests: skipped,
      numTodoTests: 0,
      testResults: [
        {
          assertionResults: Array.from({ length: failed }, (_, i) => ({
            status: 'failed',
            fullName: `${name} case ${i}`,
          })),
        },
      ],
    }),
  );

async function summary(
  steps: readonly (readonly [string, number])[],
): Promise<{ code: number; lines: string[] }> {
  writeFileSync(join(folder, 'steps.txt'), steps.map(([n, c]) => `${n}\t${c}\n`).join(''));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [SUMMARY, folder]);
    return { code: 0, lines: stdout.trimEnd().split('\n') };
  } catch (e) {
    const f = e as { code: number; stdout: string };
    return { code: f.code, lines: f.stdout.trimEnd().split('\n') };
  }
}

it('adds up suites test by test and other steps as one each', async () => {
  report('unit', 10, 0);
  report('slow', 3, 0);
  const { code, lines } = await summary([
    ['lint', 0],
    ['unit', 0],
    ['slow', 0],
  ]);
  expect(lines.at(-1)).toBe('14 passed, 0 failed');
  expect(code).toBe(0);
});

it('a failed test makes the run fail and is named', async () => {
  report('unit', 9, 1);
  const { code, lines } = await summary([['unit', 1]]);
  expect(lines.at(-1)).toBe('9 passed, 1 failed');
  expect(lines).toContain('  FAILED unit case 0');
  expect(code).toBe(1);
});

it('a step that failed, or a suite that stopped without a failed test, counts as one failure', async () => {
  report('unit', 9, 0);
  expect((await summary([['lint', 1]])).lines.at(-1)).toBe('0 passed, 1 failed');
  const { code, lines } = await summary([['unit', 124]]);
  expect(lines.at(-1)).toBe('9 passed, 1 failed');
  expect(code).toBe(1);
});

it('tells skipped tests', async () => {
  report('unit', 9, 0, 2);
  expect((await summary([['unit', 0]])).lines.at(-1)).toBe('9 passed, 0 failed, 2 skipped');
});

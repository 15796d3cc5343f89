import { execFile, execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

let clone: string;
beforeAll(() => {
  clone = mkdtempSync(join(tmpdir(), 'starling-clone-'));
  // What a clone would hold, with changes that are not committed yet.
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  for (const file of listed.split('\0'))
    if (file !== '' && !file.startsWith('test/') && existsSync(join(ROOT, file)))
      cpSync(join(ROOT, file), join(clone, file));
});
afterAll(() => rmSync(clone, { recursive: true, force: true }));

async function starling(...args: string[]): Promise<{ out: string; steps: string[] }> {
  const { stdout, stderr } = await promisify(execFile)(
    'npm',
    ['run', '--silent', 'starling', '--', ...args],
    {
      cwd: clone,
    },
  );
  return { out: stdout, steps: ['Installing', 'Building'].filter((word) => stderr.includes(word)) };
}

it('a fresh clone installs and builds by itself, and again only when something changed', async () => {
  const first = await starling('--version');
  expect(first.out).toMatch(/^starling \d+\.\d+\.\d+ \(Node /);
  expect(first.steps).toEqual(['Installing', 'Building']);

  const second = await starling('--version');
  expect(second.steps).toEqual([]);
  expect(second.out).toMatch(/^starling \d/);

  appendFileSync(join(clone, 'src/clock/index.ts'), '\n// changed\n');
  expect((await starling('--version')).steps).toEqual(['Building']);

  // Another lock file that asks for the same packages: nothing to install.
  appendFileSync(join(clone, 'package-lock.json'), '\n');
  expect((await starling('--version')).steps).toEqual([]);

  // A package is missing: installed anew.
  rmSync(join(clone, 'node_modules/.starling-lock'));
  rmSync(join(clone, 'node_modules/.package-lock.json'));
  expect((await starling('--version')).steps).toEqual(['Installing']);
});

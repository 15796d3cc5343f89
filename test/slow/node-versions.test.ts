import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// The build of this Node, run by the other supported ones: their binaries come from the registry.
const VERSIONS = ['22.23.3', '24.21.0'];
const MAIN = resolve(import.meta.dirname, '../../dist/cli/main.js');
const VECTORS = resolve(import.meta.dirname, '../vectors');
const execute = promisify(execFile);

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-nodes-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function binary(version: string): Promise<string> {
  const place = join(dir, version);
  await rm(place, { recursive: true, force: true });
  await mkdir(place);
  await writeFile(join(place, 'package.json'), '{"private":true}');
  const npm = process.env.npm_execpath;
  const args = ['install', `node@${version}`, '--no-audit', '--no-fund', '--loglevel=error'];
  if (npm?.endsWith('.js') === true) await execute(process.execPath, [npm, ...args], { cwd: place });
  else await execute('npm', args, { cwd: place });
  return join(place, 'node_modules', 'node', 'bin', 'node');
}

describe.each(VERSIONS)('Node %s', (version) => {
  let node = '';
  beforeAll(async () => {
    node = await binary(version);
  });

  it('is that version', async () => {
    expect((await execute(node, ['--version'])).stdout.trim()).toBe(`v${version}`);
  });

  it('passes every conformance case', async () => {
    const { stdout } = await execute(node, [MAIN, 'vectors', VECTORS], { maxBuffer: 1 << 24 });
    expect(stdout.trim().split('\n').at(-1)).toMatch(/^\d{4,} passed, 0 failed, 0 not covered/);
  });

  it('tells the whole lifecycle of a local network and verifies every stage', async () => {
    const { stdout } = await execute(node, [MAIN, 'devnet', '--once'], { timeout: 180_000 });
    expect(stdout).toMatch(/all \d+ checks hold/);
  });
});

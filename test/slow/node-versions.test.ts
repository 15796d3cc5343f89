import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { runtimeProgram, runtimeVersion } from '../support/runtimes.js';

// The build of this Node, run by the other supported ones: their binaries come from the registry.
const MAIN = resolve(import.meta.dirname, '../../dist/bin/main.js');
const VECTORS = resolve(import.meta.dirname, '../vectors');
const execute = promisify(execFile);

describe.each(['node 22', 'node 24'] as const)('%s', (name) => {
  let node = '';
  beforeAll(async () => {
    node = await runtimeProgram(name);
  });

  it('is that version', async () => {
    expect((await execute(node, ['--version'])).stdout.trim()).toBe(`v${runtimeVersion(name)}`);
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

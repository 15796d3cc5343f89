import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../src/cli/devnet/child.js';

const ROOT = resolve(import.meta.dirname, '../..');

// A package of its own: what its relays leave beside the command must not be found by other tests.
let root: string;
let bin: string;
let main: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'starling-start-'));
  bin = join(root, 'dist', 'bin');
  main = join(bin, 'main.js');
  cpSync(join(ROOT, 'dist/bin'), bin, { recursive: true, filter: (f) => !f.endsWith('.compiled') });
  cpSync(join(ROOT, 'dist/pages'), join(root, 'dist/pages'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(root, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'password'), 'correct horse battery staple');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const compiled = (): string[] => readdirSync(bin).filter((f) => f.includes('.compiled'));

/** Starts a relay, waits until it serves, and ends it; the exit code as `Child` tells it. */
async function serveOnce(...more: string[]): Promise<string> {
  const relay = new Child('relay', main, [
    ...['relay', '--json', '--networkType=regtest', '--standalone', '--opsBind=off', '--apiBind=off'],
    ...['--port=0', '--wsPort=0', '--ip=127.0.0.1', `--dataFolderPath=${join(root, 'data')}`],
    ...[`--wallet=${join(root, 'relay.wal')}`, `--walletPasswordFile=${join(root, 'password')}`],
    ...more,
  ]);
  try {
    const started = await relay.waitFor('the start', 60_000, (e) => e.event === 'started');
    expect(started.port).toBeGreaterThan(0);
    process.kill(started.pid as number, 'SIGTERM');
    return await relay.waitFor('the end', 60_000, () => false).then(String, String);
  } finally {
    await relay.stop();
  }
}

describe('the code a relay leaves compiled', () => {
  it('is not left by a command that serves nothing', async () => {
    const help = new Child('help', main, ['relay', '--help']);
    await help.waitFor('the end', 60_000, () => false).catch(() => undefined);
    expect(compiled()).toEqual([]);
  });

  it('is left once, taken by the next start, and replaced when it was damaged', async () => {
    expect(await serveOnce()).toMatch(/\(exit 0\)/);
    const [name, ...others] = compiled();
    expect(name).toMatch(/^starling-[0-9a-f]{16}\.js\.v\d+.*\.compiled$/);
    expect(others).toEqual([]);
    const path = join(bin, name!);
    const whole = readFileSync(path);

    expect(await serveOnce()).toMatch(/\(exit 0\)/);
    expect(compiled()).toEqual([name]);
    expect(readFileSync(path).equals(whole)).toBe(true);

    const torn = whole.subarray(0, whole.length >> 1);
    writeFileSync(path, torn);
    expect(await serveOnce()).toMatch(/\(exit 0\)/);
    expect(compiled()).toEqual([name]);
    expect(readFileSync(path).length).toBeGreaterThan(torn.length);
  });
});

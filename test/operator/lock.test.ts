import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DataFolderLock, DataFolderLocked } from '../../src/operator/index.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'starling-lock-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const file = (): string => join(dir, 'starling.lock');

it('a second holder is refused until the first lets go', async () => {
  const first = await DataFolderLock.take(dir);
  expect(readFileSync(file(), 'utf8')).toContain(String(process.pid));
  await expect(DataFolderLock.take(dir)).rejects.toThrow(DataFolderLocked);
  await first.release();
  expect(existsSync(file())).toBe(false);
  await (await DataFolderLock.take(dir)).release();
});

it('a lock of a process that is gone, or whose id was given to another, is taken over', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((r) => child.on('exit', r));
  for (const text of [`${child.pid} 5\n`, `${process.pid} 1\n`, 'nonsense', '']) {
    writeFileSync(file(), text);
    await (await DataFolderLock.take(dir)).release();
  }
});

it('of several at once on a dead lock exactly one wins', async () => {
  writeFileSync(file(), '999999999 1\n');
  const all = await Promise.allSettled([1, 2, 3, 4].map(() => DataFolderLock.take(dir)));
  expect(all.filter((r) => r.status === 'fulfilled').length).toBe(1);
});

it('a folder that cannot be written is refused with the reason', async () => {
  await expect(DataFolderLock.take(join(dir, 'missing'))).rejects.toThrow(/cannot write .*ENOENT/);
});

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DataFolderLock, DataFolderLocked } from '../../src/operator/index.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'starling-lock-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
/** Of this process, as its locks say it. */
const birth = (): string => {
  const stat = existsSync('/proc/self/stat') ? readFileSync('/proc/self/stat', 'utf8') : ') ';
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
};
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
  for (let round = 0; round < 100; round++) {
    writeFileSync(file(), '999999999 1\n');
    const all = await Promise.allSettled([1, 2, 3, 4].map(() => DataFolderLock.take(dir)));
    expect(all.filter((r) => r.status === 'fulfilled').length).toBe(1);
    expect(readFileSync(file(), 'utf8')).toContain(String(process.pid));
    expect(readdirSync(dir)).toEqual(['starling.lock']);
    rmSync(file());
  }
});

it('of several at once on a free folder exactly one wins, and none is seen without its process', async () => {
  for (let round = 0; round < 100; round++) {
    const all = await Promise.allSettled([1, 2, 3, 4].map(() => DataFolderLock.take(dir)));
    const won = all.filter((r) => r.status === 'fulfilled');
    expect(won.length).toBe(1);
    await won[0]!.value.release();
    expect(readdirSync(dir)).toEqual([]);
  }
});

it('a process killed while it took over a dead lock keeps nobody out', async () => {
  writeFileSync(file(), '999999999 1\n');
  writeFileSync(`${file()}.over`, '999999998 1\n');
  await (await DataFolderLock.take(dir)).release();
  expect(readdirSync(dir)).toEqual([]);
  writeFileSync(file(), '999999999 1\n');
  writeFileSync(`${file()}.over`, `${process.pid} ${birth()}\n`);
  await expect(DataFolderLock.take(dir)).rejects.toThrow('another process is taking');
});

it('a folder that cannot be written is refused with the reason', async () => {
  await expect(DataFolderLock.take(join(dir, 'missing'))).rejects.toThrow(/cannot write .*ENOENT/);
});

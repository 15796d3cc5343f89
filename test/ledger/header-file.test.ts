import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FileHeaderStorage } from '../../src/ledger/node/index.js';

let dir = '';
let path = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-headers-'));
  path = join(dir, 'deep', 'headers.bin');
});
afterEach(() => rm(dir, { recursive: true }));

const record = (n: number): Uint8Array => new Uint8Array(10 + n).fill(n);

it('keeps records over a restart, in order, and reads windows', async () => {
  const a = new FileHeaderStorage(path);
  expect(await a.load()).toEqual([]);
  await a.append([record(1), record(2)]);
  await a.append([record(3)]);
  await a.close();
  const b = new FileHeaderStorage(path);
  expect((await b.load()).map((r) => [...r])).toEqual([1, 2, 3].map((n) => [...record(n)]));
  expect((await b.read(1, 5)).map((r) => r[0])).toEqual([2, 3]);
  expect(await b.read(3, 1)).toEqual([]);
  await b.truncate(1);
  await b.append([record(9)]);
  expect((await b.read(0, 9)).map((r) => r[0])).toEqual([1, 9]);
  await b.close();
});

it('drops the torn end that a crash leaves, and goes on from there', async () => {
  const a = new FileHeaderStorage(path);
  await a.load();
  await a.append([record(1), record(2)]);
  await a.close();
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, bytes.length - 3));
  const b = new FileHeaderStorage(path);
  expect((await b.load()).length).toBe(1);
  await b.append([record(7)]);
  await b.close();
  const c = new FileHeaderStorage(path);
  expect((await c.load()).map((r) => r[0])).toEqual([1, 7]);
  await c.close();
});

it('sets a file of another kind aside instead of overwriting it', async () => {
  const foreign = join(dir, 'headers.bin');
  await writeFile(foreign, 'something else entirely');
  const s = new FileHeaderStorage(foreign);
  expect(await s.load()).toEqual([]);
  await s.append([record(1)]);
  await s.close();
  expect(await readFile(`${foreign}.unreadable`, 'utf8')).toBe('something else entirely');
});

import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileStorage, FileStorageError, storageSecret } from '../../src/client/node/index.js';
import { testWallet } from './world.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starling-client-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const journal = (): string => join(folder, 'client.journal');

describe('file storage', () => {
  it('gives back after closing what was committed, in key order, for the owner alone', async () => {
    const a = await FileStorage.open(folder);
    await a.commit([
      { key: 'b/2', value: 'two' },
      { key: 'b/1', value: 'one\nwith a line feed' },
      { key: 'a', value: 'x' },
    ]);
    await a.commit([{ key: 'a', value: null }]);
    await a.close();
    expect((await stat(journal())).mode & 0o777).toBe(0o600);
    const b = await FileStorage.open(folder);
    expect(await b.list('')).toEqual([
      ['b/1', 'one\nwith a line feed'],
      ['b/2', 'two'],
    ]);
    await b.close();
  });

  it('a line torn by a crash is dropped as a whole, and writing goes on behind the last good one', async () => {
    const a = await FileStorage.open(folder);
    await a.commit([{ key: 'k', value: 'kept' }]);
    await a.close();
    const good = await readFile(journal(), 'utf8');
    for (const torn of ['0123456789abcdef [["k","lost"]', '0123456789abcdef [["k","lost"]]\n', '0']) {
      await writeFile(journal(), good);
      await appendFile(journal(), torn);
      const b = await FileStorage.open(folder);
      expect(await b.list('')).toEqual([['k', 'kept']]);
      await b.commit([{ key: 'k2', value: 'new' }]);
      await b.close();
      const c = await FileStorage.open(folder);
      expect(await c.list('')).toEqual([
        ['k', 'kept'],
        ['k2', 'new'],
      ]);
      await c.close();
    }
  });

  it('damage before the last line is an error that says where, never silence', async () => {
    const a = await FileStorage.open(folder);
    await a.commit([{ key: 'k', value: 'one' }]);
    await a.commit([{ key: 'k', value: 'two' }]);
    await a.close();
    await writeFile(journal(), (await readFile(journal(), 'utf8')).replace('one', 'eno'));
    await expect(FileStorage.open(folder)).rejects.toThrow(/damaged in line 1/);
    await expect(FileStorage.open(folder)).rejects.toThrow(/damaged/); // the lock was given back
  });

  it('is held by one opener at a time; the lock of a dead process is taken over', async () => {
    const a = await FileStorage.open(folder);
    await expect(FileStorage.open(folder)).rejects.toBeInstanceOf(FileStorageError);
    await a.close();
    await writeFile(join(folder, 'client.lock'), '999999999');
    await (await FileStorage.open(folder)).close();
  });

  it('with a secret the disk holds nothing readable, another secret is refused, plain lines are still read', async () => {
    const secret = new Uint8Array(32).fill(7);
    const a = await FileStorage.open(folder);
    await a.commit([{ key: 'old', value: 'from before' }]);
    await a.close();
    const b = await FileStorage.open(folder, { secret });
    await b.commit([{ key: 'contact/x', value: 'session key' }]);
    await b.close();
    expect(await readFile(journal(), 'utf8')).not.toContain('session');
    const other = FileStorage.open(folder, { secret: new Uint8Array(32).fill(8) });
    await expect(other).rejects.toThrow(/another wallet/);
    await expect(FileStorage.open(folder)).rejects.toThrow(/another wallet/);
    const c = await FileStorage.open(folder, { secret });
    expect(await c.list('')).toEqual([
      ['contact/x', 'session key'],
      ['old', 'from before'],
    ]);
    await c.close();
  });

  it('the secret of a wallet is the same each time, and another wallet’s is another', async () => {
    const [w3, w4] = [await testWallet('w3'), await testWallet('w4')];
    const secret = await storageSecret(w3);
    expect(secret.length).toBe(32);
    expect(await storageSecret(w3)).toEqual(secret);
    expect(await storageSecret(w4)).not.toEqual(secret);
  });

  it('rewrites itself when most of it is history of changes', async () => {
    const a = await FileStorage.open(folder, { durable: false });
    const value = 'v'.repeat(1000);
    for (let i = 0; i < 3000; i++) void a.commit([{ key: 'k', value: `${value}${i}` }]);
    await a.commit([{ key: 'end', value: '1' }]);
    for (let i = 0; i < 10; i++) await a.commit([{ key: 'end', value: String(i) }]);
    await a.close();
    expect((await stat(journal())).size).toBeLessThan(100_000);
    const b = await FileStorage.open(folder);
    expect(await b.list('')).toEqual([
      ['end', '9'],
      ['k', `${value}2999`],
    ]);
    await b.close();
  });
});

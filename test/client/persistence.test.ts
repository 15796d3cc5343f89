import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { expect, it } from 'vitest';
import { MemoryStorage, StarlingClient } from '../../src/client/index.js';
import { dialTcpRelay, FileStorage } from '../../src/client/node/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { engine } from '../link/support.js';
import { friends, join, type SuiteEnv, until } from './suite.js';
import { startWorld, testWallet } from './world.js';

it('what is on the disk at any moment is enough to go on: contacts, keys, unconfirmed messages, history', async () => {
  const world = await startWorld(3);
  const folder = await mkdtemp(joinPath(tmpdir(), 'starling-persist-'));
  try {
    const env: SuiteEnv = {
      network: NETWORKS.reg,
      relays: world.relays.map((r) => ({ endpoint: r.endpoint, seed: { host: r.endpoint } })),
      dial: dialTcpRelay(),
      engine: await engine(),
      wallet: testWallet,
      storage: () => Promise.resolve(new MemoryStorage()),
      kill: () => Promise.resolve(),
    };
    const storage = await FileStorage.open(joinPath(folder, 'a'));
    const [a, b] = await friends(env, { storage });
    await a.client.send(b.address, 'first');
    await until('first', () => a.delivered.length === 1);
    await b.client.stop();
    const id = await a.client.send(b.address, 'second');
    // The disk as a power cut would leave it: the client has no chance to say goodbye to its storage.
    await mkdir(joinPath(folder, 'b'));
    await copyFile(joinPath(folder, 'a', 'client.journal'), joinPath(folder, 'b', 'client.journal'));
    await a.client.stop();
    const copy = await FileStorage.open(joinPath(folder, 'b'));
    const a2 = await join(env, 'w3', { storage: copy });
    expect(a2.client.contacts().map((c) => [c.address, c.established, c.unconfirmed])).toEqual([
      [b.address, true, 1],
    ]);
    expect(a2.client.history(b.address).map((m) => [m.text, m.state])).toEqual([
      ['first', 'delivered'],
      ['second', 'queued'],
    ]);
    const b2 = await join(env, 'w4', { storage: b.storage });
    await until('second', () => b2.texts.length === 1 && a2.delivered.length === 1);
    expect([b2.texts, a2.delivered.map((d) => d.id)]).toEqual([['second'], [id]]);
    await a2.client.stop();
    await b2.client.stop();
    await Promise.all([storage.close(), copy.close()]);
  } finally {
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

it('contents that do not read are an error when opening, with what is wrong', async () => {
  const storage = new MemoryStorage([['contact/zz', '{"address":"zz"}']]);
  const options = {
    network: NETWORKS.reg,
    relays: [],
    dial: dialTcpRelay(),
    storage,
    engine: await engine(),
  };
  const opening = StarlingClient.open({ ...options, wallet: await testWallet('w3') });
  await expect(opening).rejects.toMatchObject({ name: 'ClientError', code: 'storage' });
});

it('a storage serves the wallet that began it and no other', async () => {
  const storage = new MemoryStorage();
  const options = {
    network: NETWORKS.reg,
    relays: [],
    dial: dialTcpRelay(),
    storage,
    engine: await engine(),
  };
  const mine = await StarlingClient.open({ ...options, wallet: await testWallet('w3') });
  const other = StarlingClient.open({ ...options, wallet: await testWallet('w4') });
  await expect(other).rejects.toThrow(mine.address);
});

it('start rejects when the client is stopped before a relay was reached', async () => {
  const c = await StarlingClient.open({
    network: NETWORKS.reg,
    relays: [{ host: '127.0.0.1:1' }],
    dial: dialTcpRelay(),
    storage: new MemoryStorage(),
    engine: await engine(),
    wallet: await testWallet('w3'),
  });
  const starting = c.start();
  await Promise.all([expect(starting).rejects.toMatchObject({ code: 'stopped' }), c.stop()]);
  expect(c.state).toBe('stopped');
});

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { expect, it } from 'vitest';
import * as client from '../../src/client/index.js';
import * as node from '../../src/client/node/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { engine } from '../link/support.js';
import { join, type SuiteEnv, until } from './suite.js';
import { startWorld, testWallet } from './world.js';

const modules: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'starling-relay/client': client,
  'starling-relay/client/node': node,
};

/** The lines of the example, and what it imports. */
async function example(): Promise<{ lines: string[]; imported: Record<string, unknown> }> {
  const source = await readFile(new URL('../../src/client/index.ts', import.meta.url), 'utf8');
  const block = /```ts\n([\s\S]*?)```/.exec(source)![1]!;
  const lines = block.split('\n').map((l) => l.replace(/^ \* ?/, ''));
  const imported: Record<string, unknown> = {};
  for (const l of lines) {
    const m = /^import \{ (.*) \} from '(.*)';$/.exec(l);
    for (const name of m?.[1]?.split(', ') ?? []) imported[name] = modules[m![2]!]![name];
  }
  return { lines: lines.filter((l) => !l.startsWith('import ')), imported };
}

it('the example of the SDK sends its first message, in about a dozen lines', async () => {
  const { lines, imported } = await example();
  expect(Object.values(imported).every((x) => typeof x === 'function')).toBe(true);
  expect(lines.filter((l) => l.trim() !== '').length).toBeLessThanOrEqual(13);
  const world = await startWorld(3);
  const folder = await mkdtemp(joinPath(tmpdir(), 'starling-example-'));
  const printed: string[] = [];
  let started: client.StarlingClient | null = null;
  try {
    const env: SuiteEnv = {
      network: NETWORKS.reg,
      relays: world.relays.map((r) => ({ endpoint: r.endpoint, seed: { host: r.endpoint } })),
      dial: node.dialTcpRelay(),
      engine: await engine(),
      wallet: testWallet,
      storage: () => Promise.resolve(new client.MemoryStorage()),
      kill: () => Promise.resolve(),
    };
    const bob = await join(env, 'w4', { autoAccept: true });
    const scope: Record<string, unknown> = {
      ...imported,
      wallet: await testWallet('w3'),
      network: NETWORKS.reg,
      relay: world.relays[0]!.endpoint,
      folder,
      friend: bob.address,
      console: { log: (text: string) => printed.push(text) },
    };
    const AsyncFunction = (async () => undefined).constructor as new (
      ...args: string[]
    ) => (...values: unknown[]) => Promise<client.StarlingClient>;
    const run = new AsyncFunction(...Object.keys(scope), `${lines.join('\n')}\nreturn client;`);
    started = await run(...Object.values(scope));
    await until('message', () => bob.texts.length === 1);
    expect(bob.texts).toEqual(['Hello from Starling']);
    await until('confirmation', () => printed.some((l) => l.includes('arrived after')));
    await bob.client.send(started.address, 'Hello back');
    await until('answer', () => printed.includes(`${bob.address}: Hello back`));
    await bob.client.stop();
  } finally {
    await started?.stop();
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

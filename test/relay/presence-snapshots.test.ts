import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock/index.js';
import { decodePresence, encodePresence } from '../../src/presence/index.js';
import type { Relay, RelayOptions } from '../../src/relay/index.js';
import { Code, encodeGetPresence2, toHex } from '../../src/wire/index.js';
import { signerOf } from '../link/support.js';
import { connected, keepAliveFor, nowSeconds, presenceFor, startRelay, until } from './support.js';

let dir: string;
let relay: Relay | null = null;
let events: string[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-warm-'));
  events = [];
});
afterEach(async () => {
  await relay?.stop();
  relay = null;
  await rm(dir, { recursive: true, force: true });
});

const file = (): string => join(dir, 'testnet-presences.bin');

async function start(over: Partial<RelayOptions> = {}): Promise<Relay> {
  relay = await startRelay({
    dataDir: dir,
    log: (level, event, fields) => {
      if (event.startsWith('presences_'))
        events.push(`${level} ${event} ${fields.problem ?? fields.addresses ?? ''}`.trim());
    },
    ...over,
  });
  return relay;
}

/** Tells the relay where `wallet` is, as its owner would. */
async function announce(to: Relay, wallet: string, timestamp = nowSeconds()): Promise<void> {
  const c = await connected(to, { wallet });
  const before = to.status().presences;
  c.link.send(
    Code.updatePresence,
    encodePresence(await presenceFor(wallet, await keepAliveFor(wallet, { timestamp }))),
  );
  await until(`${wallet} stored`, () => to.status().presences === before + 1);
}

/** What the relay answers about `wallet`; null within a quarter of a second of silence. */
async function lookUp(at: Relay, wallet: string): Promise<string | null> {
  const c = await connected(at, { wallet: 'w3' });
  const { address } = await signerOf(wallet);
  c.link.send(Code.getPresence2, encodeGetPresence2(address));
  const answer = (): Uint8Array | undefined =>
    c.messages.find((m) => m.code === Code.updatePresence)?.payload;
  for (let i = 0; i < 50 && answer() === undefined; i++) await new Promise((r) => setTimeout(r, 5));
  const got = answer();
  return got === undefined ? null : toHex(decodePresence(got).addresses[0]!.signature!);
}

it('a relay that was restarted answers at once about clients that have not come back yet', async () => {
  const first = await start();
  await announce(first, 'w1');
  const before = await lookUp(first, 'w1');
  expect(before).not.toBe(null);
  await first.stop();
  const second = await start();
  expect(await lookUp(second, 'w1')).toBe(before);
  expect(await lookUp(second, 'w2')).toBe(null);
  // Its own presence is there too, and counted once.
  expect(second.status().presences).toBe(2);
  expect(events).toEqual(['info presences_loaded 2']);
});

it('what became too old while the relay was down is not served', async () => {
  const first = await start();
  await announce(first, 'w1');
  await first.stop();
  // Five minutes and a second later by the relay's clock.
  const later: Clock = {
    nowMs: () => systemClock.nowMs() + 301_000,
    after: (ms, fn) => systemClock.after(ms, fn),
    every: (ms, fn) => systemClock.every(ms, fn),
  };
  const second = await start({ clock: later });
  expect(events).toEqual(['info presences_loaded 0']);
  expect(second.status().presences).toBe(1);
});

it('a damaged snapshot is told of and set aside, and the relay serves', async () => {
  const first = await start();
  await announce(first, 'w1');
  await first.stop();
  const bytes = await readFile(file());
  bytes[bytes.length - 100]! ^= 1;
  await writeFile(file(), bytes);
  const second = await start();
  expect(events).toEqual(['warn presences_refused mac']);
  expect(await lookUp(second, 'w1')).toBe(null);
  await announce(second, 'w1');
  expect(await lookUp(second, 'w1')).not.toBe(null);
  expect((await readdir(dir)).filter((n) => n.startsWith('testnet-presences')).sort()).toEqual([
    'testnet-presences.bin.key',
    'testnet-presences.bin.refused',
  ]);
});

it('a snapshot that cannot be written is told of, and the relay stops in order', async () => {
  const r = await start();
  // A folder stands where the new file is to be built.
  await mkdir(`${file()}.tmp`);
  await r.stop();
  expect(events).toEqual(['error presences_not_saved']);
});

it('a relay without a folder keeps nothing', async () => {
  const r = await start({ dataDir: null });
  await announce(r, 'w1');
  await r.stop();
  expect(await readdir(dir)).toEqual([]);
});

import { describe, expect, it } from 'vitest';
import { crc32c } from '../../src/core/index.js';
import {
  MemoryPresenceStore,
  type PresenceAddress,
  type PresenceStore,
  SlabPresenceStore,
} from '../../src/presence/index.js';
import { SectorAnswers, sectorWindowsMax } from '../../src/relay/sector-answers.js';
import { followPresences, RelayTree } from '../../src/sectors/index.js';
import { Code, decodeSectorNodes, FRAME_HEADER_BYTES, readFrameHeader, toHex } from '../../src/wire/index.js';
import { random } from '../fuzz/engine.js';

const SECOND = 1_770_000_000;
const walletOf = (n: number): Uint8Array => {
  const w = new Uint8Array(33).fill(n >> 8, 1);
  w[1] = n & 255;
  return w;
};
const owner = (n: number) => ({ wallet: walletOf(n), publicKey: new Uint8Array(520).fill(n), version: 1 });
const at = (over: Partial<PresenceAddress> = {}): PresenceAddress => ({
  version: 2,
  device: Uint8Array.of(1),
  hostname: '10.0.0.1:10235',
  type: 'R',
  nodeVersion: 'v',
  lastSeen: SECOND,
  signature: new Uint8Array(512).fill(7),
  pow: null,
  ...over,
});

const STORES: readonly [string, () => PresenceStore][] = [
  ['objects', () => new MemoryPresenceStore()],
  ['slab', () => new SlabPresenceStore()],
];

describe.each(STORES)('answers about sectors from a store of %s', (_, make) => {
  function stage(relays: number) {
    const store = make();
    const tree = new RelayTree();
    followPresences(tree, store);
    for (let i = 0; i < relays; i++) store.upsert(owner(i), at());
    const answers = new SectorAnswers(store, tree);
    /** The answer put together from scratch, beside what the frame says. */
    const check = (prefix: Uint8Array, max: number): void => {
      const frame = answers.frame(prefix, max);
      const h = readFrameHeader(frame, 0)!;
      const payload = frame.slice(FRAME_HEADER_BYTES);
      expect([h.code, h.length, h.crc]).toEqual([Code.sectorNodes, payload.length, crc32c(payload)]);
      const m = decodeSectorNodes(payload);
      const wallets = tree.size === 0 ? [] : tree.select(prefix, max);
      const want = wallets.map((w) => toHex(store.packets(w, Number.POSITIVE_INFINITY)[0]!));
      expect(m.prefix).toEqual(prefix);
      // As text: arrays are compared element by element, which took nine tenths of this file's time.
      expect(m.presences.map(toHex)).toEqual(want);
    };
    return { store, tree, answers, check };
  }
  const prefixOf = (n: number): Uint8Array => new Uint8Array(10).fill(n);

  it('hold the selected presences whole, also of prefixes that share a window', () => {
    const { check, answers } = stage(40);
    for (let n = 0; n < 256; n += 5) for (const max of [2, 7, 20]) check(prefixOf(n), max);
    expect(answers.size).toBeGreaterThan(10);
    const before = answers.size;
    for (let n = 0; n < 256; n += 5) for (const max of [2, 7, 20]) check(prefixOf(n), max);
    expect(answers.size).toBe(before);
  });

  it('without a relay are empty', () => {
    const { check } = stage(0);
    check(prefixOf(1), 7);
  });

  it('follow every change to a presence of a relay: added, renewed, second device, removed, expired', () => {
    const { check, store } = stage(9);
    const all = (): void => {
      for (const n of [0, 90, 200]) check(prefixOf(n), 7);
    };
    all();
    store.upsert(owner(3), at({ lastSeen: SECOND + 5, hostname: '10.0.0.2:1' }));
    all();
    store.upsert(owner(3), at({ device: Uint8Array.of(2), type: 'C', lastSeen: SECOND + 200 }));
    all();
    store.upsert(
      owner(3),
      at({ device: Uint8Array.of(2), type: 'C', lastSeen: SECOND + 250, hostname: 'x:1' }),
    );
    all();
    store.remove(walletOf(3), Uint8Array.of(2));
    all();
    store.upsert(owner(100), at());
    all();
    store.removeWallet(walletOf(5));
    all();
    store.upsert(owner(6), at({ type: 'C', lastSeen: SECOND + 9 }));
    all();
    store.expire(SECOND + 301);
    all();
  });

  it('are not put together anew for a change to a client', () => {
    const { store } = stage(9);
    const before = store.relayVersion;
    store.upsert(owner(500), at({ type: 'C' }));
    store.upsert(owner(500), at({ type: 'C', lastSeen: SECOND + 1 }));
    store.removeWallet(walletOf(500));
    expect(store.relayVersion).toBe(before);
    store.upsert(owner(1), at({ lastSeen: SECOND + 1 }));
    expect(store.relayVersion).toBeGreaterThan(before);
  });

  it('are kept for so many windows and no more', () => {
    const { answers, tree } = stage(400);
    const rnd = random(3);
    const seen = new Set<string>();
    for (let i = 0; i < 3_000; i++) {
      const prefix = Uint8Array.from({ length: 10 }, () => rnd() & 255);
      const max = 2 + (i % 19);
      const { from, to } = tree.window(prefix, max);
      seen.add(`${from} ${to}`);
      answers.frame(prefix, max);
      expect(answers.size).toBeLessThanOrEqual(sectorWindowsMax);
    }
    expect(seen.size).toBeGreaterThan(sectorWindowsMax);
  });
});

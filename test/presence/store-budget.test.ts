import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type EvictionReason,
  MemoryPresenceStore,
  type PresenceAddress,
  type PresenceStore,
  SlabPresenceStore,
  type StoreOptions,
} from '../../src/presence/index.js';
import { bytesEqual } from '../../src/wire/index.js';
import { HOST, T0 } from './support.js';

const MIB = 1024 * 1024;
const wallet = (n: number): Uint8Array => {
  const w = new Uint8Array(45).fill(1);
  new DataView(w.buffer).setUint32(5, Math.imul(n, 0x9e37_79b1) >>> 0);
  new DataView(w.buffer).setUint32(9, n);
  return w;
};
const owner = (n: number) => ({
  wallet: wallet(n),
  publicKey: new Uint8Array(520).fill(n & 255),
  version: 1,
});
const addr = (over: Partial<PresenceAddress> = {}): PresenceAddress => ({
  version: 2,
  device: Uint8Array.of(1),
  hostname: HOST,
  type: 'C',
  nodeVersion: 'v',
  lastSeen: T0,
  signature: new Uint8Array(512).fill(9),
  pow: null,
  ...over,
});

const STORES: readonly [string, (options?: StoreOptions) => PresenceStore][] = [
  ['objects', (options) => new MemoryPresenceStore(options)],
  ['slab', (options) => new SlabPresenceStore(options)],
];

describe.each(STORES)('memory budget of a store of %s', (_, make) => {
  it('a store filled far beyond its bytes keeps the newest, relays and ledger nodes, and its own', () => {
    const evicted: Record<string, number> = {};
    const own = wallet(0);
    const store = make({
      bytesMax: 2 * MIB,
      isPinned: (w) => bytesEqual(w, own),
      evicted: (type: string, why: EvictionReason) => {
        evicted[`${type} ${why}`] = (evicted[`${type} ${why}`] ?? 0) + 1;
      },
    });
    store.upsert(owner(0), addr({ type: 'R', lastSeen: T0 - 250 }));
    for (let n = 1; n <= 20; n++)
      store.upsert(owner(n), addr({ type: n <= 10 ? 'R' : 'M', lastSeen: T0 - 200 }));
    for (let n = 100; n < 10_100; n++) {
      expect(store.upsert(owner(n), addr({ lastSeen: T0 - 150 + Math.floor(n / 100) }))).toBe('added');
      if (store.bytes > 2 * MIB) throw new Error(`${store.bytes} bytes at ${n}`);
    }
    expect(store.counts).toMatchObject({ R: 11, M: 10 });
    expect(store.has(own)).toBe(true);
    // Of the clients the oldest went, and as many as fit are there.
    expect([store.has(wallet(100)), store.has(wallet(10_099))]).toEqual([false, true]);
    expect(store.counts.C).toBeGreaterThan(1_500);
    expect(evicted).toEqual({ 'C bytes': 10_000 - store.counts.C });
  });

  it('a client does not push out relays: it stays out; the own one always gets in', () => {
    const own = wallet(0);
    const store = make({ bytesMax: 20_000, isPinned: (w) => bytesEqual(w, own) });
    let n = 1;
    while (store.upsert(owner(n), addr({ type: 'M', lastSeen: T0 + n })) === 'added' && store.has(wallet(1)))
      n++;
    expect(store.upsert(owner(500), addr())).toBe('full');
    expect(store.upsert(owner(0), addr({ type: 'R' }))).toBe('added');
    expect(store.has(own)).toBe(true);
    expect(store.bytes).toBeLessThanOrEqual(20_000);
  });

  it('an endpoint that grows makes room for itself, and stays', () => {
    const store = make({ bytesMax: 20_000 });
    let n = 1;
    for (; store.bytes < 18_500; n++) store.upsert(owner(n), addr({ lastSeen: T0 + n, signature: null }));
    const before = store.addresses;
    store.upsert(
      owner(n - 1),
      addr({ lastSeen: T0 + 1000, pow: new Uint8Array(1_000), signature: new Uint8Array(900) }),
    );
    expect(store.has(wallet(n - 1))).toBe(true);
    expect(store.addresses).toBeLessThan(before);
    expect(store.bytes).toBeLessThanOrEqual(20_000);
  });

  it('smaller bounds are followed by the next expiry, whatever is there', () => {
    const store = make({ bytesMax: 4 * MIB });
    for (let n = 1; n <= 2_000; n++) store.upsert(owner(n), addr());
    store.setBounds({ bytesMax: MIB });
    store.expire(T0);
    expect(store.bytes).toBeLessThanOrEqual(MIB);
    expect(store.addresses).toBeGreaterThan(700);
    store.setBounds({ addressesMax: 10 });
    store.expire(T0);
    expect(store.addresses).toBe(10);
  });
});

it('both stores give up the same, byte for byte', () => {
  const step = fc.record({
    n: fc.nat(60),
    device: fc.nat(3),
    type: fc.constantFrom('C', 'C', 'C', 'R', 'M', 'H'),
    second: fc.integer({ min: T0 - 200, max: T0 }),
    signature: fc.option(fc.integer({ min: 1, max: 1_000 })),
    pow: fc.option(fc.integer({ min: 1, max: 300 })),
  });
  const seed = Number(process.env.SEED ?? Date.now() & 0x7fff_ffff);
  console.log(`store budget: SEED=${seed}`);
  fc.assert(
    fc.property(fc.array(step, { minLength: 80, maxLength: 200 }), (steps) => {
      const options: StoreOptions = { bytesMax: 24_000, isPinned: (w) => bytesEqual(w, wallet(7)) };
      const [objects, slab] = [new MemoryPresenceStore(options), new SlabPresenceStore(options)];
      for (const s of steps) {
        const a = addr({
          device: Uint8Array.of(s.device),
          type: s.type,
          lastSeen: s.second,
          signature: s.signature === null ? null : new Uint8Array(s.signature),
          pow: s.pow === null ? null : new Uint8Array(s.pow),
        });
        expect(slab.upsert(owner(s.n), a)).toBe(objects.upsert(owner(s.n), a));
        expect([slab.bytes, slab.addresses, slab.counts]).toEqual([
          objects.bytes,
          objects.addresses,
          objects.counts,
        ]);
      }
      for (let n = 0; n <= 60; n++) expect(slab.get(wallet(n))).toEqual(objects.get(wallet(n)));
    }),
    { seed, numRuns: 30 },
  );
});

it('what the slab holds in pages is what its budget says, and a thirty-second', () => {
  const store = new SlabPresenceStore({ bytesMax: 32 * MIB });
  for (let n = 0; n < 60_000; n++) store.upsert(owner(n), addr({ lastSeen: T0 + Math.floor(n / 200) }));
  expect(store.bytes).toBeLessThanOrEqual(32 * MIB);
  expect(store.bytes).toBeGreaterThan(31 * MIB);
  expect(store.memory.pageBytes).toBeLessThan(32 * MIB * (1 + 1 / 32) + 4 * MIB);
});

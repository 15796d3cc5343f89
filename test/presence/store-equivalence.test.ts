import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  MemoryPresenceStore,
  type PresenceAddress,
  type PresenceStore,
  SlabPresenceStore,
  type StoreOptions,
  type StoreOwner,
} from '../../src/presence/index.js';
import { bytesKey, toHex } from '../../src/wire/index.js';
import { T0 } from './support.js';

const WALLETS = 24;
const wallet = (n: number): Uint8Array => {
  // Beginnings that collide in the index on purpose, and both lengths an address can have.
  const w = new Uint8Array(n % 3 === 0 ? 45 : 33);
  w[0] = n % 3 === 0 ? 1 : 0;
  w[4] = n & 1;
  w[20] = n;
  return w;
};
const ALL = Array.from({ length: WALLETS }, (_, n) => wallet(n));
const FIRST = new Uint8Array(10);
const LAST = new Uint8Array(10).fill(255);

const anyBytes = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max });
const type = fc.constantFrom('C', 'C', 'C', 'R', 'R', 'M', 'H');
const second = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: T0 - 320, max: T0 + 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(-5, 0, T0 + 5_000_000_000, Number.MAX_SAFE_INTEGER) },
);
const address: fc.Arbitrary<PresenceAddress> = fc
  .record({
    version: fc.constantFrom(2, 2, 2, 1, 3),
    device: fc.oneof(fc.nat(3), fc.nat(40)),
    hostname: fc.constantFrom('1.2.3.4:10234', '255.255.255.255:65535', '', 'é'.repeat(90)),
    type,
    nodeVersion: fc.string({ maxLength: 20 }),
    lastSeen: second,
    signature: fc.option(anyBytes(600)),
    pow: fc.option(anyBytes(300)),
  })
  .map((a) => {
    // The reference's form has device ids of 16 bytes and no proof of work.
    const device = new Uint8Array(a.version === 1 ? 16 : 1 + (a.device % 20)).fill(a.device);
    return { ...a, device, pow: a.version === 1 ? null : a.pow };
  });

type Op =
  | {
      readonly op: 'upsert';
      readonly n: number;
      readonly owner: StoreOwner;
      readonly a: PresenceAddress;
      pow: boolean;
    }
  | {
      readonly op: 'again';
      readonly n: number;
      readonly at: number;
      readonly step: number;
      readonly type: string;
    }
  | { readonly op: 'announced'; readonly n: number; readonly at: number; readonly second: number }
  | { readonly op: 'remove'; readonly n: number; readonly at: number }
  | { readonly op: 'removeWallet'; readonly n: number }
  | { readonly op: 'expire'; readonly now: number };

const n = fc.nat(WALLETS - 1);
const at = fc.nat(9);
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('upsert' as const),
      n,
      owner: fc.record({
        wallet: fc.constant(FIRST),
        publicKey: anyBytes(700),
        version: fc.constantFrom(1, 1, 1, 0, 2, 1000),
      }),
      a: address,
      pow: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('again' as const),
      n,
      at,
      step: fc.integer({ min: -50, max: 120 }),
      type,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('announced' as const), n, at, second }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('remove' as const), n, at }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('removeWallet' as const), n }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('expire' as const),
      now: fc.integer({ min: T0 - 50, max: T0 + 400 }),
    }),
  },
);

const deviceAt = (store: PresenceStore, w: Uint8Array, i: number): Uint8Array => {
  const addresses = store.get(w)?.addresses ?? [];
  return addresses[i % Math.max(1, addresses.length)]?.device ?? Uint8Array.of(1);
};

function apply(store: PresenceStore, op: Op): unknown {
  if (op.op === 'expire') return store.expire(op.now);
  const w = ALL[op.n]!;
  switch (op.op) {
    case 'upsert':
      return store.upsert({ ...op.owner, wallet: w }, op.a, { powVerified: op.pow });
    case 'again': {
      const stored = store.get(w);
      const a = stored?.addresses[op.at % stored.addresses.length];
      if (stored === null || a === undefined) return 'none';
      const next = { ...a, type: op.type, lastSeen: Math.min(a.lastSeen + op.step, Number.MAX_SAFE_INTEGER) };
      return store.upsert(stored, next);
    }
    case 'announced':
      return store.markAnnounced(w, deviceAt(store, w, op.at), op.second);
    case 'remove':
      return store.remove(w, deviceAt(store, w, op.at));
    case 'removeWallet':
      return store.removeWallet(w);
  }
}

/** Everything that can be asked of a store. */
function shown(store: PresenceStore): unknown {
  return {
    wallets: store.wallets,
    addresses: store.addresses,
    counts: store.counts,
    presences: ALL.map((w) => {
      const p = store.get(w);
      return {
        has: store.has(w),
        p,
        key: store.publicKey(w),
        entries: p?.addresses.map((a) => {
          const e = store.entry(w, a.device);
          return e === null ? null : [e.address, e.announced, e.powVerified];
        }),
        packets: [1, 10, Number.POSITIVE_INFINITY].map((max) => store.packets(w, max).map(toHex)),
      };
    }),
    byType: ['C', 'R', 'M', 'H', 'W'].map((t) =>
      [3, 100].map((max) => store.byType(t, max, T0 + 10).map(toHex)),
    ),
    sector: [
      store.inSectorRange(FIRST, LAST, 100),
      store.inSectorRange(new Uint8Array(10).fill(64), new Uint8Array(10).fill(192), 4),
    ].map((list) => list.map(toHex)),
    relays: [...store.relayWallets()].map(bytesKey).sort(),
  };
}

function heard(store: PresenceStore): unknown[] {
  const log: unknown[] = [];
  store.subscribe({
    relayAdded: (w) => log.push(['+R', toHex(w)]),
    relayRemoved: (w) => log.push(['-R', toHex(w)]),
    stored: (w, a) => log.push(['stored', toHex(w), a]),
    removed: (w, a, why) => log.push([why, toHex(w), a]),
  });
  return log;
}

const OPTIONS: readonly StoreOptions[] = [
  {},
  { addressesMax: 12 },
  { addressesMax: 9, isOwnSector: (w) => w[20]! < 8, isPinned: (w) => w[20] === 1 },
  { addressesMax: 30, devicesMax: { C: 3, R: 1 } },
];

it.each(OPTIONS)('both stores answer alike whatever happens to them: %j', { timeout: 60_000 }, (options) => {
  const seed = Number(process.env.SEED ?? Date.now() & 0x7fff_ffff);
  console.log(`store equivalence: SEED=${seed}`);
  fc.assert(
    fc.property(fc.array(anyOp, { minLength: 30, maxLength: 100 }), (ops) => {
      const objects = new MemoryPresenceStore(options);
      const slab = new SlabPresenceStore(options);
      const logs = [heard(objects), heard(slab)];
      for (const [i, op] of ops.entries()) {
        expect(apply(slab, op), `${i}: ${op.op}`).toEqual(apply(objects, op));
        if (i % 16 === 0 || i === ops.length - 1) expect(shown(slab)).toEqual(shown(objects));
      }
      expect(logs[1]).toEqual(logs[0]);
    }),
    { seed, numRuns: 10 },
  );
});

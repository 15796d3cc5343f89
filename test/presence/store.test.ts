import { describe, expect, it } from 'vitest';
import { sectorPrefix } from '../../src/identity/index.js';
import {
  evictionScanMax,
  MemoryPresenceStore,
  type PresenceAddress,
  type PresenceStore,
  SlabPresenceStore,
  type StoreListener,
  type StoreOptions,
  UnknownPresenceType,
} from '../../src/presence/index.js';
import { compareBytes, toHex } from '../../src/wire/index.js';
import { HOST, T0 } from './support.js';

const wallet = (n: number): Uint8Array => {
  const w = new Uint8Array(33);
  w[1] = n >> 8;
  w[2] = n & 255;
  return w;
};
const owner = (n: number) => ({ wallet: wallet(n), publicKey: Uint8Array.of(n & 255), version: 1 });
const addr = (fields: Partial<PresenceAddress> = {}): PresenceAddress => ({
  version: 2,
  device: Uint8Array.of(1),
  hostname: HOST,
  type: 'C',
  nodeVersion: 'v',
  lastSeen: T0,
  signature: Uint8Array.of(9),
  pow: null,
  ...fields,
});
const dev = (n: number) => ({ device: Uint8Array.of(n) });
const FIRST = new Uint8Array(10);
const LAST = new Uint8Array(10).fill(255);

function logged(store: PresenceStore): string[] {
  const log: string[] = [];
  const say =
    (what: string) =>
    (w: Uint8Array, _a?: unknown, why = ''): void =>
      void log.push(`${what}${why} ${w[2]}`);
  const listener: StoreListener = {
    relayAdded: say('+R'),
    relayRemoved: say('-R'),
    removed: say('-'),
  };
  store.subscribe(listener);
  return log;
}

const STORES: readonly [string, (options?: StoreOptions) => PresenceStore][] = [
  ['objects', (options) => new MemoryPresenceStore(options)],
  ['slab', (options) => new SlabPresenceStore(options)],
];

describe.each(STORES)('store of %s', (_, make) => {
  describe('05 §8.1 data', () => {
    it('05 §8.1: a wallet maps to its presence with ordered addresses, metadata dropped', () => {
      const store = make();
      expect(store.get(wallet(1))).toBe(null);
      expect(store.upsert(owner(1), addr())).toBe('added');
      expect(store.upsert(owner(1), addr(dev(2)))).toBe('added');
      const p = store.get(wallet(1))!;
      expect(p).toEqual({ ...owner(1), metadata: null, addresses: [addr(), addr(dev(2))] });
      expect(store.has(wallet(1))).toBe(true);
      expect(store.has(wallet(2))).toBe(false);
      expect(store.publicKey(wallet(1))).toEqual(Uint8Array.of(1));
      expect(store.publicKey(wallet(2))).toBe(null);
      expect([store.wallets, store.addresses]).toEqual([1, 2]);
    });

    it('05 §8.1: counters per type count addresses and follow a change of type', () => {
      const store = make();
      store.upsert(owner(1), addr());
      store.upsert(owner(1), addr(dev(2)));
      store.upsert(owner(2), addr({ type: 'M' }));
      expect(store.counts).toEqual({ M: 1, H: 0, R: 0, C: 2, W: 0 });
      store.upsert(owner(1), addr({ type: 'R', lastSeen: T0 + 1 }));
      expect(store.counts).toEqual({ M: 1, H: 0, R: 1, C: 1, W: 0 });
      store.removeWallet(wallet(2));
      expect(store.counts).toEqual({ M: 0, H: 0, R: 1, C: 1, W: 0 });
    });

    it('05 §8.1 strict: one address per device, indexed by wallet and device', () => {
      const store = make();
      store.upsert(owner(1), addr());
      expect(store.upsert(owner(1), addr({ lastSeen: T0 + 5, nodeVersion: 'other' }))).toBe('replaced');
      expect(store.addresses).toBe(1);
      // Node version stays what it was, everything signed is new.
      expect(store.entry(wallet(1), Uint8Array.of(1))!.address).toEqual(addr({ lastSeen: T0 + 5 }));
      expect(store.entry(wallet(1), Uint8Array.of(2))).toBe(null);
      expect(store.entry(wallet(2), Uint8Array.of(1))).toBe(null);
    });

    it('05 §8.1 strict: two devices of the same type and second expire each at their own time', () => {
      const store = make();
      store.upsert(owner(1), addr());
      store.upsert(owner(1), addr(dev(2)));
      store.upsert(owner(1), addr({ lastSeen: T0 + 100 }));
      expect(store.expire(T0 + 300)).toBe(1);
      expect(store.get(wallet(1))!.addresses.map((a) => a.device[0])).toEqual([1]);
      expect(store.expire(T0 + 400)).toBe(1);
      expect(store.has(wallet(1))).toBe(false);
    });

    it('05 §8.1 strict: at most 8 clients of a wallet, the oldest gives way', () => {
      const store = make();
      for (let i = 1; i <= 8; i++)
        expect(store.upsert(owner(1), addr({ ...dev(i), lastSeen: T0 + i }))).toBe('added');
      const log = logged(store);
      expect(store.upsert(owner(1), addr({ ...dev(9), lastSeen: T0 }))).toBe('device-cap');
      expect(store.addresses).toBe(8);
      expect(store.upsert(owner(1), addr({ ...dev(9), lastSeen: T0 + 1 }))).toBe('added');
      expect(store.get(wallet(1))!.addresses.map((a) => a.device[0])).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
      expect(log).toEqual(['-evicted 1']);
    });

    it.each(['R', 'M', 'H'])('05 §8.1 strict: at most 2 of type %s', (type) => {
      const store = make();
      for (let i = 1; i <= 3; i++) store.upsert(owner(1), addr({ ...dev(i), type, lastSeen: T0 + i }));
      expect(store.get(wallet(1))!.addresses.map((a) => a.device[0])).toEqual([2, 3]);
      expect(store.upsert(owner(1), addr({ ...dev(4), type: 'C' }))).toBe('added');
    });

    it('05 §8.1 strict: of devices equally old the one that came first gives way', () => {
      const store = make();
      for (let i = 1; i <= 3; i++) store.upsert(owner(1), addr({ ...dev(i), type: 'R' }));
      expect(store.get(wallet(1))!.addresses.map((a) => a.device[0])).toEqual([2, 3]);
    });

    it('05 §8.1 strict: a change of type obeys the cap of the new type', () => {
      const store = make();
      store.upsert(owner(1), addr({ ...dev(1), type: 'R', lastSeen: T0 + 1 }));
      store.upsert(owner(1), addr({ ...dev(2), type: 'R', lastSeen: T0 + 2 }));
      store.upsert(owner(1), addr({ ...dev(3), lastSeen: T0 }));
      const log = logged(store);
      store.upsert(owner(1), addr({ ...dev(3), type: 'R', lastSeen: T0 + 3 }));
      expect(store.get(wallet(1))!.addresses.map((a) => a.device[0])).toEqual([2, 3]);
      expect(log).toEqual(['-evicted 1']);
    });

    it('05 §8.1 strict: a full store gives up the oldest client outside its own sectors first', () => {
      const own = new Set([1, 2]);
      const store = make({ addressesMax: 4, isOwnSector: (w) => own.has(w[2]!) });
      for (const [n, age] of [
        [1, 30],
        [2, 20],
        [3, 10],
        [4, 5],
      ] as const)
        store.upsert(owner(n), addr({ lastSeen: T0 - age }));
      expect(store.upsert(owner(5), addr())).toBe('added');
      expect(store.has(wallet(3))).toBe(false);
      store.upsert(owner(6), addr({ lastSeen: T0 + 1 }));
      expect(store.has(wallet(4))).toBe(false);
      store.upsert(owner(7), addr({ lastSeen: T0 + 2 }));
      store.upsert(owner(8), addr({ lastSeen: T0 + 3 }));
      expect([1, 2, 7, 8].map((n) => store.has(wallet(n)))).toEqual([true, true, true, true]);
      own.add(7).add(8).add(9);
      store.upsert(owner(9), addr());
      expect(store.has(wallet(1))).toBe(false);
      expect(store.addresses).toBe(4);
    });

    it('05 §8.1 strict: clients go before relays, relays before ledger nodes, and never the other way', () => {
      const store = make({ addressesMax: 3 });
      store.upsert(owner(1), addr({ type: 'M', lastSeen: T0 - 50 }));
      store.upsert(owner(2), addr({ type: 'R', lastSeen: T0 - 40 }));
      store.upsert(owner(3), addr());
      expect(store.upsert(owner(4), addr({ type: 'R' }))).toBe('added');
      expect(store.has(wallet(3))).toBe(false);
      expect(store.upsert(owner(5), addr())).toBe('full');
      expect(store.has(wallet(5))).toBe(false);
      expect(store.upsert(owner(6), addr({ type: 'H' }))).toBe('added');
      expect(store.has(wallet(2))).toBe(false);
      expect(store.upsert(owner(7), addr({ type: 'M' }))).toBe('added');
      expect(store.has(wallet(4))).toBe(false);
      expect(store.counts).toEqual({ M: 2, H: 1, R: 0, C: 0, W: 0 });
    });

    it('05 §8.1 strict: the own wallet is never given up, and looking for room is bounded', () => {
      const pinned = make({ addressesMax: 1, isPinned: (w) => w[2] === 1 });
      pinned.upsert(owner(1), addr());
      expect(pinned.upsert(owner(2), addr())).toBe('full');
      let asked = 0;
      const store = make({
        addressesMax: evictionScanMax + 50,
        isOwnSector: () => {
          asked++;
          return true;
        },
      });
      for (let i = 0; i < evictionScanMax + 50; i++) store.upsert(owner(i), addr({ lastSeen: T0 + (i % 7) }));
      expect(store.upsert(owner(5000), addr())).toBe('added');
      expect(asked).toBe(evictionScanMax);
      expect(store.addresses).toBe(evictionScanMax + 50);
    });

    it('keeps nothing of the arrays it was handed', () => {
      const store = make();
      const o = owner(1);
      const a = addr({ pow: Uint8Array.of(5) });
      store.upsert(o, a);
      for (const b of [o.wallet, o.publicKey, a.device, a.signature!, a.pow!]) b.fill(77);
      expect(store.get(wallet(1))).toEqual({
        ...owner(1),
        metadata: null,
        addresses: [addr({ pow: Uint8Array.of(5) })],
      });
    });

    it('refuses types that are not stored', () => {
      const store = make();
      expect(() => store.upsert(owner(1), addr({ type: 'W' }))).toThrow(UnknownPresenceType);
      expect(store.wallets).toBe(0);
    });
  });

  describe('06 §3 membership', () => {
    it('tells of the first relay address of a wallet and of the last one gone', () => {
      const store = make();
      const log = logged(store);
      store.upsert(owner(1), addr({ type: 'R' }));
      store.upsert(owner(1), addr({ ...dev(2), type: 'R' }));
      store.upsert(owner(2), addr());
      expect(log).toEqual(['+R 1']);
      expect([...store.relayWallets()].map((w) => w[2])).toEqual([1]);
      store.remove(wallet(1), Uint8Array.of(1));
      store.remove(wallet(1), Uint8Array.of(2));
      expect(log).toEqual(['+R 1', '-removed 1', '-R 1', '-removed 1']);
    });

    it('05 §8.2 strict: a change of type into or out of R counts too', () => {
      const store = make();
      const log = logged(store);
      store.upsert(owner(1), addr());
      store.upsert(owner(1), addr({ type: 'R', lastSeen: T0 + 1 }));
      store.upsert(owner(1), addr({ type: 'R', lastSeen: T0 + 2 }));
      store.upsert(owner(1), addr({ type: 'C', lastSeen: T0 + 3 }));
      expect(log).toEqual(['+R 1', '-R 1']);
      expect([...store.relayWallets()]).toEqual([]);
    });

    it('stops telling when asked to', () => {
      const store = make();
      let told = 0;
      const stop = store.subscribe({ relayAdded: () => void told++ });
      stop();
      store.upsert(owner(1), addr({ type: 'R' }));
      expect(told).toBe(0);
    });
  });

  describe('05 §8.4 expiry', () => {
    it.each([
      [299, 0],
      [300, 1],
      [301, 1],
    ])('05 §8.4: after %i s, %i addresses go', (age, gone) => {
      const store = make();
      store.upsert(owner(1), addr());
      expect(store.expire(T0 + age)).toBe(gone);
      expect(store.has(wallet(1))).toBe(gone === 0);
    });

    it('05 §8.4: only the expired device goes, the wallet with its last one, and is told of', () => {
      const store = make();
      const log = logged(store);
      store.upsert(owner(1), addr({ type: 'R', lastSeen: T0 - 10 }));
      store.upsert(owner(1), addr(dev(2)));
      store.expire(T0 + 290);
      expect(store.get(wallet(1))!.addresses.map((a) => a.device[0])).toEqual([2]);
      expect(log).toEqual(['+R 1', '-R 1', '-expired 1']);
      store.expire(T0 + 300);
      expect(store.wallets).toBe(0);
      expect(store.inSectorRange(FIRST, LAST, 10)).toEqual([]);
    });

    it('05 §8.4: a refreshed address lives on from its new time', () => {
      const store = make();
      store.upsert(owner(1), addr());
      store.upsert(owner(1), addr({ lastSeen: T0 + 200 }));
      expect(store.expire(T0 + 499)).toBe(0);
      expect(store.expire(T0 + 500)).toBe(1);
    });

    it('05 §8.4: what lies 30 s or more ahead goes with an expired one of its wallet and type', () => {
      const at = T0 + 300;
      const build = (ahead: number, type = 'C'): PresenceStore => {
        const store = make();
        store.upsert(owner(1), addr());
        store.upsert(owner(1), addr({ ...dev(2), type, lastSeen: at + ahead }));
        return store;
      };
      expect(build(29).expire(at)).toBe(1);
      expect(build(30).expire(at)).toBe(2);
      expect(build(30, 'H').expire(at)).toBe(1);
    });

    it('05 §8.4: own entries are indexed like all others', () => {
      const store = make({ isPinned: () => true });
      store.upsert(owner(1), addr());
      expect(store.expire(T0 + 300)).toBe(1);
    });

    it('expires everything that is due when the clock jumps, whatever way', () => {
      const store = make();
      for (let i = 0; i < 300; i++) store.upsert(owner(i), addr({ lastSeen: T0 + i }));
      expect(store.expire(T0 + 100_000)).toBe(300);
      store.upsert(owner(1), addr({ lastSeen: T0 }));
      store.upsert(owner(2), addr({ lastSeen: T0 + 512 }));
      expect(store.expire(T0 + 300)).toBe(1);
      expect(store.has(wallet(2))).toBe(true);
      expect(store.expire(T0 - 1000)).toBe(0);
      expect(store.expire(T0 + 811)).toBe(0);
      expect(store.expire(T0 + 812)).toBe(1);
    });

    it('costs nothing for what is not due', () => {
      const store = make();
      store.upsert(owner(1), addr());
      for (let i = 0; i < 299; i++) expect(store.expire(T0 + i)).toBe(0);
      expect(store.addresses).toBe(1);
    });
  });

  describe('05 §8.5 queries', () => {
    const filled = (): PresenceStore => {
      const store = make();
      store.upsert(owner(1), addr({ lastSeen: T0 - 5 }));
      store.upsert(owner(2), addr({ lastSeen: T0 - 9 }));
      store.upsert(owner(3), addr({ lastSeen: T0 - 1 }));
      store.upsert(owner(4), addr({ type: 'R', lastSeen: T0 }));
      return store;
    };
    const byType = (store: PresenceStore, type: string, max: number, now = T0): number[] =>
      store.byType(type, max, now).map((w) => w[2]!);

    it('05 §8.5: by type newest first, stopping at the maximum', () => {
      const store = filled();
      expect(byType(store, 'C', 2)).toEqual([3, 1]);
      expect(byType(store, 'C', 20)).toEqual([3, 1, 2]);
      expect(byType(store, 'R', 20)).toEqual([4]);
      expect(byType(store, 'M', 20)).toEqual([]);
      expect(byType(store, 'C', 0)).toEqual([]);
    });

    it('05 §8.5: each wallet once, at its newest address', () => {
      const store = filled();
      store.upsert(owner(2), addr({ ...dev(2), lastSeen: T0 + 30 }));
      expect(byType(store, 'C', 20)).toEqual([2, 3, 1]);
    });

    it('05 §8.5: W has no entries, any other letter is an error', () => {
      expect(byType(filled(), 'W', 20)).toEqual([]);
      for (const letter of ['X', 'c', '', 'CC'])
        expect(() => filled().byType(letter, 20, T0)).toThrow(UnknownPresenceType);
    });

    it('05 §8.5: what is outside the time window is not given', () => {
      const store = filled();
      expect(byType(store, 'C', 20, T0 + 291)).toEqual([3, 1, 2]);
      expect(byType(store, 'C', 20, T0 + 292)).toEqual([3, 1]);
      expect(byType(store, 'R', 20, T0 - 30)).toEqual([4]);
      expect(byType(store, 'R', 20, T0 - 31)).toEqual([]);
    });

    it('06 §1: wallets by sector prefix, in order, bounded, both ends inclusive', () => {
      const store = make();
      const all = Array.from({ length: 200 }, (_, i) => wallet(i)).sort((a, b) =>
        compareBytes(sectorPrefix(a), sectorPrefix(b)),
      );
      for (let i = 0; i < 200; i++) store.upsert(owner(i), addr());
      expect(store.inSectorRange(FIRST, LAST, 500).map(toHex)).toEqual(all.map(toHex));
      const range = store.inSectorRange(sectorPrefix(all[20]!), sectorPrefix(all[80]!), 500).map(toHex);
      expect(range).toEqual(all.slice(20, 81).map(toHex));
      expect(store.inSectorRange(FIRST, LAST, 7).map(toHex)).toEqual(all.slice(0, 7).map(toHex));
      expect(store.inSectorRange(LAST, FIRST, 7)).toEqual([]);
      store.removeWallet(all[3]!);
      expect(store.inSectorRange(FIRST, LAST, 500).map(toHex)).toEqual(
        all.filter((_, i) => i !== 3).map(toHex),
      );
    });

    it('removing tells whether something was there', () => {
      const store = filled();
      expect(store.remove(wallet(1), Uint8Array.of(7))).toBe(false);
      expect(store.remove(wallet(1), Uint8Array.of(1))).toBe(true);
      expect(store.removeWallet(wallet(1))).toBe(false);
      expect(store.removeWallet(wallet(2))).toBe(true);
    });

    it('remembers what was announced and whether work was checked', () => {
      const store = filled();
      const entry = () => store.entry(wallet(1), Uint8Array.of(1))!;
      expect(entry().announced).toBe(Number.NEGATIVE_INFINITY);
      expect(entry().powVerified).toBe(false);
      store.markAnnounced(wallet(1), Uint8Array.of(1), T0);
      store.upsert(owner(1), addr({ lastSeen: T0 + 1 }), { powVerified: true });
      expect(entry().announced).toBe(T0);
      expect(entry().powVerified).toBe(true);
      store.upsert(owner(1), addr({ lastSeen: T0 + 2 }));
      expect(entry().powVerified).toBe(false);
    });
  });
});

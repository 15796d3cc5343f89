import { describe, expect, it } from 'vitest';
import { addressesPerPacketMax, encodePresence, type PresenceAddress } from '../../src/presence/index.js';
import {
  address,
  Bench,
  DEVICE,
  engine,
  forged,
  keepAlive,
  OTHER_HOST,
  packet,
  presence,
  settle,
  signer,
  somePow,
  T0,
} from './support.js';

const stored = async (b: Bench, who = 'w0') => b.store.get((await signer(who)).address)?.addresses ?? [];
const devices = (list: readonly PresenceAddress[]): number[] => list.map((a) => a.device[0]!);

describe('05 §8.2 A: a known wallet', () => {
  it('05 §8.2 rule A1: what may not be stored is skipped, the rest goes on', async () => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    const o = await b.service.receivePresence(
      await packet([
        await address({ device: Uint8Array.of(2), type: 'Z' }),
        await address({ device: Uint8Array.of(3), timestamp: T0 - 301 }),
        await address({ device: Uint8Array.of(4), timestamp: T0 + 31 }),
        await address({ device: Uint8Array.of(5), signature: null }),
        await address({ device: Uint8Array.of(6) }),
      ]),
    );
    expect(o.kind === 'changed' && devices(o.presence.addresses)).toEqual([6]);
    expect(o.dropped.map((d) => [d.device?.[0], d.reason])).toEqual([
      [2, 'type'],
      [3, 'stale'],
      [4, 'future'],
      [5, 'unsigned'],
    ]);
    expect(b.operations).toBe(1);
  });

  it('05 §8.2 rule A2: the stored address is the one of the same device, whatever its type', async () => {
    const b = new Bench(await engine());
    await b.seed([await address(), await address({ device: Uint8Array.of(2) })]);
    b.now = T0 + 200;
    const o = await b.service.receivePresence(
      await packet([await address({ type: 'R', timestamp: T0 + 200 })]),
    );
    expect(o.kind).toBe('changed');
    expect((await stored(b)).map((a) => [a.device[0], a.type, a.lastSeen])).toEqual([
      [1, 'R', T0 + 200],
      [2, 'C', T0],
    ]);
  });

  it.each([
    [50, 'unchanged'],
    [51, 'changed'],
  ])('05 §8.2 rule A3: a client %i s newer: %s', async (later, kind) => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    b.now = T0 + later;
    const o = await b.service.receivePresence(await packet([await address({ timestamp: T0 + later })]));
    expect(o.kind).toBe(kind);
    expect((await stored(b))[0]!.lastSeen).toBe(kind === 'changed' ? T0 + later : T0);
    // What would be ignored costs no RSA operation.
    expect(b.operations).toBe(kind === 'changed' ? 1 : 0);
  });

  it('05 §8.2 rule A3: the proof of work is replaced always, so the stored claim stays valid', async () => {
    const b = new Bench(await engine());
    await b.seed([await address({ type: 'M', pow: somePow() })]);
    b.now = T0 + 150;
    await b.service.receivePresence(await packet([await address({ type: 'R', timestamp: T0 + 150 })]));
    expect((await stored(b))[0]!.pow).toBe(null);
  });

  it('05 §8.2 rule A3: version, hostname, time and signature come from the packet, the node version stays', async () => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    const a = await address({ hostname: OTHER_HOST, timestamp: T0 + 2, nodeVersion: 'new' });
    const o = await b.service.receivePresence(await packet([a]));
    expect(o.kind).toBe('changed');
    expect((await stored(b))[0]).toEqual({ ...a, nodeVersion: 'v' });
  });

  it('05 §8.2 rule A4: an unknown device is appended and is all that is handed on', async () => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    const a = await address({ device: Uint8Array.of(9), type: 'R' });
    const o = await b.service.receivePresence(await packet([await address(), a]));
    const p = await presence([a]);
    expect(o).toEqual({ kind: 'changed', presence: p, dropped: [] });
    expect(devices(await stored(b))).toEqual([1, 9]);
    expect(b.store.counts).toEqual({ M: 0, H: 0, R: 1, C: 1, W: 0 });
    expect([...b.store.relayWallets()]).toHaveLength(1);
    expect(b.operations).toBe(1);
  });

  it('05 §8.2: stored key and metadata are never updated', async () => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    const p = await presence([await address({ device: Uint8Array.of(2) })]);
    const o = await b.service.receivePresence(encodePresence({ ...p, metadata: new Uint8Array(1000) }));
    expect(o.kind === 'changed' && o.presence.metadata).toBe(null);
    expect(b.store.get(p.wallet)!.metadata).toBe(null);
    expect(b.store.publicKey(p.wallet)).toEqual(p.publicKey);
  });
});

describe('05 §8.2 B: an unknown wallet', () => {
  it('05 §8.2 rule B: the whole presence is stored and handed on, without metadata', async () => {
    const b = new Bench(await engine());
    const addresses = [await address({ type: 'R' }), await address({ device: Uint8Array.of(2) })];
    const p = await presence(addresses);
    const o = await b.service.receivePresence(encodePresence({ ...p, metadata: Uint8Array.of(1) }));
    expect(o).toEqual({ kind: 'changed', presence: p, dropped: [] });
    expect(b.store.get(p.wallet)).toEqual(p);
    expect(b.store.counts).toEqual({ M: 0, H: 0, R: 1, C: 1, W: 0 });
  });

  it('05 §8.2 rule B strict: unknown types are dropped before storing', async () => {
    const b = new Bench(await engine());
    const o = await b.service.receivePresence(await packet([await address({ type: 'Z' })]));
    expect(o).toEqual({
      kind: 'refused',
      reason: 'no-address',
      dropped: [{ device: DEVICE, reason: 'type' }],
    });
    expect(b.store.wallets).toBe(0);
    expect(b.operations).toBe(0);
  });

  it('05 §8.1 strict: of several addresses of one device the newest valid one stays', async () => {
    const b = new Bench(await engine());
    const old = await address({ timestamp: T0 - 50 });
    const good = await address({ timestamp: T0 - 10, hostname: OTHER_HOST });
    const fake = forged(await address({ timestamp: T0 }));
    const o = await b.service.receivePresence(await packet([old, good, fake]));
    expect(o.kind === 'changed' && o.presence.addresses).toEqual([good]);
    expect(await stored(b)).toEqual([good]);
    expect(b.store.addresses).toBe(1);
  });
});

describe('05 §7.4 strict at the door of the store', () => {
  it('05 §7.4 strict: a presence with a key that is not the wallet’s is refused without RSA', async () => {
    const b = new Bench(await engine());
    const p = await presence([await address()]);
    const o = await b.service.receivePresence(encodePresence({ ...p, wallet: (await signer('w1')).address }));
    expect(o).toEqual({ kind: 'refused', reason: 'foreign-key', dropped: [] });
    expect(b.operations).toBe(0);
    expect(b.store.wallets).toBe(0);
  });

  it('05 §7.4 strict: one forged endpoint among valid ones loses just that one', async () => {
    const b = new Bench(await engine());
    const all = await Promise.all([1, 2, 3, 4].map((n) => address({ device: Uint8Array.of(n) })));
    const o = await b.service.receivePresence(await packet(all.map((a, i) => (i === 2 ? forged(a) : a))));
    expect(o.kind === 'changed' && devices(o.presence.addresses)).toEqual([1, 2, 4]);
    expect(o.dropped).toEqual([{ device: Uint8Array.of(3), reason: 'signature' }]);
    expect(devices(await stored(b))).toEqual([1, 2, 4]);
  });

  it('05 §7.4 strict: an endpoint that does not decode loses just that one', async () => {
    const b = new Bench(await engine());
    const good = await address();
    const o = await b.service.receivePresence(
      await packet([{ ...(await address({ device: Uint8Array.of(2) })), version: 3 }, good]),
    );
    expect(o.kind === 'changed' && o.presence.addresses).toEqual([good]);
    expect(o.dropped).toEqual([{ device: null, reason: 'malformed' }]);
  });

  it('05 §7.4: replayed, stale and future endpoints cost no RSA operation', async () => {
    const b = new Bench(await engine());
    const bytes = await packet([await address()]);
    expect((await b.service.receivePresence(bytes)).kind).toBe('changed');
    expect(b.operations).toBe(1);
    for (let i = 0; i < 10; i++) expect((await b.service.receivePresence(bytes)).kind).toBe('unchanged');
    for (const timestamp of [T0 - 301, T0 + 31]) {
      const o = await b.service.receivePresence(await packet([await address({ timestamp }, 'w1')], 'w1'));
      expect(o.kind === 'refused' && o.reason).toBe('no-address');
    }
    expect(b.operations).toBe(1);
  });

  it('05 §7.4: a forged endpoint sent again and again costs one RSA operation in all', async () => {
    const b = new Bench(await engine());
    const bytes = await packet([await address(), forged(await address({ device: Uint8Array.of(2) }))]);
    for (let i = 0; i < 10; i++) await b.service.receivePresence(bytes);
    expect(b.operations).toBe(2);
  });

  it('05 §7.4: the same packet many times at once costs one operation per endpoint', async () => {
    const b = new Bench(await engine(), {}, {}, true);
    const bytes = await packet([await address(), await address({ device: Uint8Array.of(2) })]);
    const runs = Array.from({ length: 8 }, () => b.service.receivePresence(bytes));
    await settle();
    expect(b.operations).toBe(2);
    b.engine.releaseAll();
    const kinds = (await Promise.all(runs)).map((o) => o.kind);
    expect(kinds.filter((k) => k === 'changed')).toHaveLength(1);
    expect(kinds.filter((k) => k === 'unchanged')).toHaveLength(7);
  });

  it('05 §7.4: what aged while its signature was checked is not stored', async () => {
    const b = new Bench(await engine(), {}, {}, true);
    const run = b.service.receivePresence(await packet([await address()]));
    await settle();
    b.now = T0 + 301;
    b.engine.releaseAll();
    expect((await run).kind).toBe('unchanged');
    expect(b.store.wallets).toBe(0);
  });

  it('05 §7.4: the sender is charged with the operations due, and refused ones are told', async () => {
    const b = new Bench(await engine());
    const charged: number[] = [];
    const bytes = await packet([
      await address(),
      await address({ device: Uint8Array.of(2) }),
      await address({ device: Uint8Array.of(3), hostname: '10.0.0.1:1' }),
    ]);
    const o = await b.service.receivePresence(bytes, {
      allow: (n) => {
        charged.push(n);
        return false;
      },
    });
    expect(charged).toEqual([2]);
    expect(o.kind).toBe('refused');
    expect(o.dropped.map((d) => d.reason)).toEqual(['hostname', 'rate', 'rate']);
    expect(b.operations).toBe(0);
  });

  it('checks at most 16 endpoints of a packet, the newest', async () => {
    const b = new Bench(await engine());
    const bare = await Promise.all(
      Array.from({ length: addressesPerPacketMax + 2 }, (_, i) =>
        address({ device: Uint8Array.of(i), timestamp: T0 - i, signature: new Uint8Array(512).fill(i + 1) }),
      ),
    );
    const o = await b.service.receivePresence(await packet(bare));
    expect(b.operations).toBe(addressesPerPacketMax);
    expect(o.dropped.filter((d) => d.reason === 'surplus').map((d) => d.device![0])).toEqual([16, 17]);
  });

  it('refuses what does not decode, broken chunks of the reference included', async () => {
    const b = new Bench(await engine());
    const p = encodePresence(await presence([]));
    // 05 §4.3: announces two slots, holds none.
    const broken = p.slice();
    broken[broken.length - 2] = 2;
    for (const bytes of [new Uint8Array(0), new Uint8Array(102_401), p.subarray(0, 60), broken]) {
      const o = await b.service.receivePresence(bytes);
      expect(o).toEqual({ kind: 'refused', reason: 'malformed', dropped: [] });
    }
    const empty = await b.service.receivePresence(p);
    expect(empty.kind === 'refused' && empty.reason).toBe('no-address');
  });

  it('reports endpoints a full store did not take', async () => {
    const b = new Bench(await engine(), {}, { addressesMax: 1 });
    await b.seed([await address({ type: 'R' })]);
    const o = await b.service.receivePresence(await packet([await address({}, 'w1')], 'w1'));
    expect(o.dropped).toEqual([{ device: DEVICE, reason: 'full' }]);
    expect(o.kind).toBe('unchanged');
  });

  it('an engine that is gone refuses instead of throwing', async () => {
    const b = new Bench(await engine());
    b.engine.verify = () => Promise.reject(new Error('closed'));
    const o = await b.service.receivePresence(await packet([await address()]));
    expect(o.kind === 'refused' && o.reason).toBe('engine');
  });

  it('expires through the service by the same clock', async () => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    b.now = T0 + 299;
    expect(b.service.expire()).toBe(0);
    b.now = T0 + 300;
    expect(b.service.expire()).toBe(1);
    expect((await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 300 }))).kind).toBe('unknown');
  });
});

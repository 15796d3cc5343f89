import { describe, expect, it } from 'vitest';
import { Counters } from '../../src/counters/index.js';
import {
  decodeKeepAlive,
  encodeKeepAlive,
  MemoryPresenceStore,
  NO_POW_KNOWLEDGE,
  PresenceService,
} from '../../src/presence/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import {
  address,
  Bench,
  DEVICE,
  engine,
  HOST,
  keepAlive,
  OTHER_HOST,
  packet,
  presence,
  settle,
  signer,
  somePow,
  T0,
} from './support.js';

const refused = (reason: string) => ({ kind: 'refused', reason });

async function seeded(type = 'C', options = {}): Promise<Bench> {
  const b = new Bench(await engine(), options);
  await b.seed([await address({ type })]);
  return b;
}

const stored = async (b: Bench, who = 'w0', device = DEVICE) =>
  b.store.entry((await signer(who)).address, device)?.address ?? null;

describe('05 §8.3 receiveKeepAlive', () => {
  it('05 §8.3 rule 1: what does not decode is refused', async () => {
    const b = await seeded();
    for (const bytes of [new Uint8Array(0), Uint8Array.of(2), Uint8Array.of(2, 0xff), new Uint8Array(1201)])
      expect(await b.service.receiveKeepAlive(bytes)).toEqual(refused('malformed'));
    const good = await keepAlive({ timestamp: T0 + 60 });
    expect(await b.service.receiveKeepAlive(good.subarray(0, good.length - 1))).toEqual(refused('malformed'));
    expect(b.operations).toBe(0);
  });

  it('05 §8.3 rule 1: an unknown type is refused', async () => {
    const b = await seeded();
    for (const type of ['W', 'X', 'c'])
      expect(await b.service.receiveKeepAlive(await keepAlive({ type, timestamp: T0 + 60 }))).toEqual(
        refused('type'),
      );
    expect(b.operations).toBe(0);
  });

  it('05 §8.3 rule 2: an unknown wallet is asked for, without any RSA operation', async () => {
    const b = new Bench(await engine());
    const wallet = (await signer()).address;
    const outcome = await b.service.receiveKeepAlive(await keepAlive());
    expect(outcome).toEqual({ kind: 'unknown', wallet, device: DEVICE, timestamp: T0 });
    expect(b.operations).toBe(0);
  });

  it('05 §8.3 rule 2: the own wallet, when missing, is put back instead', async () => {
    const s = await signer();
    const b = new Bench(await engine(), { ownWallet: s.address });
    const other = await keepAlive({ device: Uint8Array.of(9) });
    expect(await b.service.receiveKeepAlive(other)).toEqual(refused('own'));
    expect(b.store.wallets).toBe(0);
    b.service.setOwn(await presence([await address({ type: 'R' })]));
    expect(b.store.counts.R).toBe(1);
    b.store.removeWallet(s.address);
    const mine = await keepAlive({ type: 'R', timestamp: T0 + 5 });
    expect((await b.service.receiveKeepAlive(mine)).kind).toBe('updated');
    expect((await stored(b))!.lastSeen).toBe(T0 + 5);
  });

  it('05 §8.3 rule 3: the signature is verified with the stored key', async () => {
    const b = await seeded();
    const good = decodeKeepAlive(await keepAlive({ timestamp: T0 + 6 }));
    const signature = good.signature!.slice();
    signature[7]! ^= 1;
    const bad = encodeKeepAlive({ ...good, signature });
    expect(await b.service.receiveKeepAlive(bad)).toEqual(refused('signature'));
    expect(b.operations).toBe(1);
    expect((await stored(b))!.lastSeen).toBe(T0);
    expect((await b.service.receiveKeepAlive(encodeKeepAlive(good))).kind).toBe('updated');
    const unsigned = encodeKeepAlive({ ...good, timestamp: T0 + 7, signature: null });
    expect(await b.service.receiveKeepAlive(unsigned)).toEqual(refused('unsigned'));
  });

  it('05 §8.3 rule 3: a keep-alive signed for another network is refused', async () => {
    const b = await seeded();
    const test = await keepAlive({ timestamp: T0 + 6 }, 'w0', NETWORKS.test);
    expect(await b.service.receiveKeepAlive(test)).toEqual(refused('signature'));
  });

  it('05 §8.3 rule 4: an unknown device is asked for', async () => {
    const b = await seeded();
    const device = Uint8Array.of(9);
    const outcome = await b.service.receiveKeepAlive(await keepAlive({ device, timestamp: T0 + 5 }));
    expect(outcome).toEqual({
      kind: 'unknown',
      wallet: (await signer()).address,
      device,
      timestamp: T0 + 5,
    });
    expect(b.operations).toBe(0);
  });

  it('05 §8.3 rule 4: an unknown device of the own wallet resets the own entry', async () => {
    const s = await signer();
    const b = new Bench(await engine(), { ownWallet: s.address });
    b.service.setOwn(await presence([await address({ type: 'R' })]));
    b.store.upsert(await presence([]), await address({ type: 'R', timestamp: T0 - 200 }));
    const other = await keepAlive({ device: Uint8Array.of(9), timestamp: T0 + 5 });
    expect(await b.service.receiveKeepAlive(other)).toEqual(refused('own'));
    expect((await stored(b))!.lastSeen).toBe(T0);
    expect(b.store.addresses).toBe(1);
  });

  it('05 §8.3 rule 5: equal timestamp is refused', async () => {
    const b = await seeded();
    expect(await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 }))).toEqual(refused('replay'));
    expect(b.operations).toBe(0);
  });

  it('05 §8.3 rule 5: older timestamp is refused', async () => {
    const b = await seeded();
    expect(await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 - 1 }))).toEqual(
      refused('older'),
    );
    expect(b.operations).toBe(0);
  });

  it.each([
    [300, 'updated'],
    [301, 'stale'],
  ])('05 §8.3 rule 5: newer than stored but %i s old: %s', async (age, expected) => {
    const b = await seeded();
    const bytes = await keepAlive({ timestamp: T0 + 60 });
    b.now = T0 + 60 + age;
    const o = await b.service.receiveKeepAlive(bytes);
    expect(o.kind === 'refused' ? o.reason : o.kind).toBe(expected);
    expect(b.operations).toBe(expected === 'updated' ? 1 : 0);
  });

  it.each([
    [29, 'updated'],
    [30, 'updated'],
    [31, 'future'],
  ])('05 §8.3 rule 5: %i s ahead: %s', async (ahead, expected) => {
    const b = await seeded();
    const o = await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + ahead }));
    expect(o.kind === 'refused' ? o.reason : o.kind).toBe(expected);
    expect(b.operations).toBe(expected === 'updated' ? 1 : 0);
  });

  it('05 §8.3 rule 6: everything signed is replaced, the node version stays', async () => {
    const b = await seeded();
    const bytes = await keepAlive({ timestamp: T0 + 1, hostname: OTHER_HOST, type: 'R' });
    expect(await b.service.receiveKeepAlive(bytes)).toEqual({
      kind: 'updated',
      wallet: (await signer()).address,
      device: DEVICE,
      type: 'R',
      timestamp: T0 + 1,
      hostname: OTHER_HOST,
      announce: true,
    });
    const a = (await stored(b))!;
    expect(a).toEqual({
      version: 2,
      device: DEVICE,
      hostname: OTHER_HOST,
      type: 'R',
      nodeVersion: 'v',
      lastSeen: T0 + 1,
      signature: decodeKeepAlive(bytes).signature,
      pow: null,
    });
    expect(b.store.counts).toEqual({ M: 0, H: 0, R: 1, C: 0, W: 0 });
    expect(b.store.byType('R', 5, b.now)).toHaveLength(1);
  });

  it('05 §8.3 rule 6: the proof of work is replaced, also by none', async () => {
    const b = new Bench(await engine());
    await b.seed([await address({ type: 'M', pow: somePow() })]);
    expect((await stored(b))!.pow).toEqual(somePow());
    await b.service.receiveKeepAlive(await keepAlive({ type: 'R', timestamp: T0 + 1 }));
    expect((await stored(b))!.pow).toBe(null);
  });

  it('05 §8.3 rule 6: version 1 is taken for a client', async () => {
    const device = new Uint8Array(16).fill(5);
    const b = new Bench(await engine());
    await b.seed([await address({ device })]);
    const v1 = await keepAlive({ version: 1, device, timestamp: T0 + 5 });
    expect((await b.service.receiveKeepAlive(v1)).kind).toBe('updated');
    expect((await stored(b, 'w0', device))!.version).toBe(1);
  });
});

describe('05 §8.3 strict', () => {
  it('05 §8.3 strict: replayed, stale and future keep-alives never cost an RSA operation', async () => {
    const b = await seeded();
    const fresh = await keepAlive({ timestamp: T0 + 20 });
    expect((await b.service.receiveKeepAlive(fresh)).kind).toBe('updated');
    expect(b.operations).toBe(1);
    for (let i = 0; i < 50; i++) expect(await b.service.receiveKeepAlive(fresh)).toEqual(refused('replay'));
    const future = await keepAlive({ timestamp: T0 + 31 });
    const stale = await keepAlive({ timestamp: T0 - 301 });
    expect(await b.service.receiveKeepAlive(future)).toEqual(refused('future'));
    expect(await b.service.receiveKeepAlive(stale)).toEqual(refused('stale'));
    expect(b.operations).toBe(1);
  });

  it('05 §8.3 strict: the counter of the verify engine itself stands still for them', async () => {
    const real = await engine();
    const store = new MemoryPresenceStore();
    const service = new PresenceService({
      store,
      network: NETWORKS.main,
      ownType: 'R',
      engine: real,
      now: () => T0 + 20,
    });
    const start = real.operations;
    expect((await service.receivePresence(await packet([await address()]))).kind).toBe('changed');
    const fresh = await keepAlive({ timestamp: T0 + 20 });
    expect((await service.receiveKeepAlive(fresh)).kind).toBe('updated');
    expect(real.operations - start).toBe(2);
    for (const bytes of [
      fresh,
      await keepAlive({ timestamp: T0 + 19 }),
      await keepAlive({ timestamp: T0 - 281 }),
      await keepAlive({ timestamp: T0 + 51 }),
    ])
      expect((await service.receiveKeepAlive(bytes)).kind).toBe('refused');
    expect(real.operations - start).toBe(2);
  });

  it('05 §8.3 strict: a stale or future keep-alive of an unknown wallet is not even asked about', async () => {
    const b = new Bench(await engine());
    const stale = await keepAlive({ timestamp: T0 - 301 });
    const future = await keepAlive({ timestamp: T0 + 31 });
    expect(await b.service.receiveKeepAlive(stale)).toEqual(refused('stale'));
    expect(await b.service.receiveKeepAlive(future)).toEqual(refused('future'));
  });

  it('05 §8.3 strict: the order is replay, rate, proof of work, hostname, signature', async () => {
    const pow = { ...NO_POW_KNOWLEDGE, height: 6_000_000 };
    const b = await seeded('C', { pow: () => pow });
    const bad = { pow: somePow(), hostname: '10.0.0.1:1', signature: new Uint8Array(512) };
    const deny = { allow: () => false };
    const at = async (fields: Parameters<typeof keepAlive>[0], options = {}) =>
      b.service.receiveKeepAlive(await keepAlive(fields), options);
    expect(await at({ ...bad, timestamp: T0 }, deny)).toEqual(refused('replay'));
    expect(await at({ ...bad, timestamp: T0 + 1 }, deny)).toEqual(refused('rate'));
    expect(await at({ ...bad, timestamp: T0 + 1 })).toEqual(refused('pow-expired'));
    expect(await at({ ...bad, pow: null, timestamp: T0 + 1 })).toEqual(refused('hostname'));
    expect(b.operations).toBe(0);
    const signature = { timestamp: T0 + 1, signature: new Uint8Array(512) };
    expect(await at(signature)).toEqual(refused('signature'));
    expect(b.operations).toBe(1);
  });

  it('05 §8.3 strict: the sender is charged one RSA operation, and only when one is due', async () => {
    const b = await seeded();
    const charged: number[] = [];
    const options = {
      allow: (n: number) => {
        charged.push(n);
        return true;
      },
    };
    await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 }), options);
    expect(charged).toEqual([]);
    await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }), options);
    expect(charged).toEqual([1]);
  });

  it('05 §8.3 strict: a signature that failed is not tried again', async () => {
    const b = await seeded();
    const bad = await keepAlive({ timestamp: T0 + 1, signature: new Uint8Array(512).fill(1) });
    for (let i = 0; i < 5; i++) expect(await b.service.receiveKeepAlive(bad)).toEqual(refused('signature'));
    expect(b.operations).toBe(1);
    // The forgery does not stand in the way of the real one with the same second.
    expect((await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }))).kind).toBe('updated');
  });

  it('05 §8.3 strict: the same keep-alive many times at once costs one operation and one change', async () => {
    const b = new Bench(await engine(), {}, {}, true);
    b.engine.releaseAll();
    await b.seed([await address()]);
    const held = new Bench(await engine(), { store: b.store }, {}, true);
    const bytes = await keepAlive({ timestamp: T0 + 1 });
    const runs = Array.from({ length: 10 }, () => held.service.receiveKeepAlive(bytes.slice()));
    await settle();
    expect(held.operations).toBe(1);
    held.engine.releaseAll();
    const outcomes = await Promise.all(runs);
    expect(outcomes.filter((o) => o.kind === 'updated')).toHaveLength(1);
    expect(outcomes.filter((o) => o.kind === 'refused' && o.reason === 'replay')).toHaveLength(9);
    expect(held.service.pending).toBe(0);
  });

  it('05 §8.3 strict: what landed meanwhile counts: a newer one wins, the older one is refused', async () => {
    const seed = await seeded();
    const b = new Bench(await engine(), { store: seed.store }, {}, true);
    const older = b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }));
    await settle();
    const newer = b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 2, hostname: OTHER_HOST }));
    await settle();
    expect(b.operations).toBe(2);
    // The later question is answered first.
    b.store.upsert(await presence([]), await address({ timestamp: T0 + 2, hostname: OTHER_HOST }));
    b.engine.releaseAll();
    expect(await older).toEqual(refused('older'));
    expect(await newer).toEqual(refused('replay'));
    expect((await stored(b))!.hostname).toBe(OTHER_HOST);
  });

  it('05 §8.3 strict: an entry that went meanwhile is asked for, one that aged is refused', async () => {
    const seed = await seeded();
    const b = new Bench(await engine(), { store: seed.store }, {}, true);
    const gone = b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }));
    await settle();
    const entry = await address();
    b.store.removeWallet((await signer()).address);
    b.engine.release();
    expect((await gone).kind).toBe('unknown');
    b.store.upsert(await presence([]), entry);
    const aged = b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 2 }));
    await settle();
    b.now = T0 + 303;
    b.engine.releaseAll();
    expect(await aged).toEqual(refused('stale'));
  });

  it('05 §8.3 strict: no more than a bounded number waits for the engine', async () => {
    const seed = new Bench(await engine());
    await seed.seed([await address()]);
    await seed.seed([await address({}, 'w1')], 'w1');
    const b = new Bench(await engine(), { store: seed.store, pendingMax: 1 }, {}, true);
    const first = b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }));
    await settle();
    expect(b.service.pending).toBe(1);
    const second = await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }, 'w1'));
    expect(second).toEqual(refused('busy'));
    b.engine.releaseAll();
    expect((await first).kind).toBe('updated');
  });

  it('05 §8.3 strict: an engine that is gone refuses instead of throwing', async () => {
    const b = await seeded();
    b.engine.verify = () => Promise.reject(new Error('closed'));
    expect(await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }))).toEqual(
      refused('engine'),
    );
    expect(b.service.pending).toBe(0);
  });

  it('05 §8.3 strict: accepted but not told when less than half an interval newer and the same', async () => {
    const b = await seeded();
    b.now = T0 + 60;
    const announced = async (fields: Parameters<typeof keepAlive>[0]): Promise<boolean> => {
      const o = await b.service.receiveKeepAlive(await keepAlive(fields));
      if (o.kind !== 'updated') throw new Error(JSON.stringify(o));
      return o.announce;
    };
    expect(await announced({ timestamp: T0 + 1 })).toBe(false);
    expect(await announced({ timestamp: T0 + 49 })).toBe(false);
    expect(await announced({ timestamp: T0 + 50 })).toBe(true);
    expect(await announced({ timestamp: T0 + 51 })).toBe(false);
    expect(await announced({ timestamp: T0 + 52, hostname: OTHER_HOST })).toBe(true);
    expect(await announced({ timestamp: T0 + 53, hostname: HOST, type: 'R' })).toBe(true);
  });

  it('counts what came of it', async () => {
    const counters = new Counters();
    const b = await seeded('C', { counters });
    await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 }));
    await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }));
    const values = counters.samples().map((s) => [s.name, s.labels, 'value' in s.metric && s.metric.value]);
    expect(values).toContainEqual(['presence_keepalives_total', { outcome: 'refused', reason: 'replay' }, 1]);
    expect(values).toContainEqual(['presence_keepalives_total', { outcome: 'updated' }, 1]);
    expect(values).toContainEqual(['presence_updates_total', { outcome: 'changed' }, 1]);
  });

  it('takes nothing of the received bytes along', async () => {
    const b = await seeded();
    const bytes = await keepAlive({ timestamp: T0 + 1 });
    const run = b.service.receiveKeepAlive(bytes);
    bytes.fill(0);
    expect((await run).kind).toBe('updated');
    const wire = await packet([await address({ timestamp: T0 })], 'w0');
    expect(wire.length).toBeGreaterThan(0);
    expect((await stored(b))!.hostname).toBe(HOST);
  });
});

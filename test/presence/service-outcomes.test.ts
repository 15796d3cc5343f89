import { describe, expect, it } from 'vitest';
import { Counters } from '../../src/counters/index.js';
import {
  addressesPerPacketMax,
  decodeKeepAlive,
  MemoryPresenceStore,
  NO_POW_KNOWLEDGE,
  type PowKnowledge,
  type PresenceAddress,
} from '../../src/presence/index.js';
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

const device = (n: number): Uint8Array => Uint8Array.of(n);
const stored = async (b: Bench): Promise<readonly PresenceAddress[]> =>
  b.store.get((await signer()).address)?.addresses ?? [];

/** A ledger node to which {@link somePow} is work enough. */
const easy: PowKnowledge = {
  ...NO_POW_KNOWLEDGE,
  height: 5_875_000,
  minDifficulty: 0n,
  blockChecksum: () => new Uint8Array(64).fill(1),
};

describe('05 §8.3 receiveKeepAlive, the rest of its outcomes', () => {
  it('05 §8.3 rule 2: another wallet than the own one is asked for, and does not bring the own one back', async () => {
    const own = await signer('w1');
    const b = new Bench(await engine(), { ownWallet: own.address });
    b.service.setOwn(await presence([await address({ type: 'R' }, 'w1')], 'w1'));
    b.store.removeWallet(own.address);
    expect((await b.service.receiveKeepAlive(await keepAlive())).kind).toBe('unknown');
    expect(b.store.wallets).toBe(0);
  });

  it('05 §8.3 rule 2: what of the own presence may not be stored is left out', async () => {
    const own = await signer();
    const b = new Bench(await engine(), { ownWallet: own.address });
    b.service.setOwn(await presence([await address({ type: 'W' }), await address({ device: device(2) })]));
    expect((await stored(b)).map((a) => a.type)).toEqual(['C']);
  });

  it('05 §8.3 rule 2: without a known own presence nothing is put back', async () => {
    const own = await signer();
    const b = new Bench(await engine(), { ownWallet: own.address });
    expect(await b.service.receiveKeepAlive(await keepAlive())).toEqual({ kind: 'refused', reason: 'own' });
    expect(b.store.wallets).toBe(0);
  });

  it('05 §8.3 rule 6: whose work was checked is remembered, and forgotten with the proof', async () => {
    const b = new Bench(await engine(), { ownType: 'M', pow: () => easy });
    await b.seed([await address({ type: 'R' })]);
    const { address: wallet } = await signer();
    expect(b.store.entry(wallet, DEVICE)!.powVerified).toBe(false);
    const worked = await keepAlive({ type: 'M', pow: somePow(), timestamp: T0 + 1 });
    expect((await b.service.receiveKeepAlive(worked)).kind).toBe('updated');
    expect(b.store.entry(wallet, DEVICE)!.powVerified).toBe(true);
    await b.service.receiveKeepAlive(await keepAlive({ type: 'R', timestamp: T0 + 2 }));
    expect(b.store.entry(wallet, DEVICE)!.powVerified).toBe(false);
  });

  it('05 §8.3 rule 6: what is stored is what was signed, whatever becomes of the received bytes', async () => {
    const b = new Bench(await engine(), {}, {}, true);
    b.engine.releaseAll();
    await b.seed([await address({ type: 'M', pow: somePow() })]);
    const held = new Bench(await engine(), { store: b.store }, {}, true);
    const bytes = await keepAlive({ type: 'M', pow: somePow(5_875_001n), timestamp: T0 + 1 });
    const original = decodeKeepAlive(bytes.slice());
    const run = held.service.receiveKeepAlive(bytes);
    bytes.fill(0);
    await settle();
    held.engine.releaseAll();
    expect(await run).toMatchObject({ kind: 'updated', wallet: original.wallet, device: original.device });
    const [a] = await stored(b);
    expect(a).toMatchObject({ pow: original.pow, signature: original.signature, device: original.device });
  });

  it('05 §8.3 rule 4: a device that went while its signature was checked is asked for', async () => {
    const seed = new Bench(await engine());
    await seed.seed([await address(), await address({ device: device(2) })]);
    const b = new Bench(await engine(), { store: seed.store }, {}, true);
    const run = b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }));
    await settle();
    const { address: wallet } = await signer();
    b.store.remove(wallet, DEVICE);
    b.engine.releaseAll();
    expect(await run).toEqual({ kind: 'unknown', wallet, device: DEVICE, timestamp: T0 + 1 });
    expect((await stored(b)).map((a) => a.device)).toEqual([device(2)]);
  });

  it('05 §8.3 strict: who may is asked before the signature, and a yes lets it through', async () => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    const allow = { allow: () => true };
    expect((await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 1 }), allow)).kind).toBe(
      'updated',
    );
  });

  it('05 §8.3 strict: a keep-alive that is told moves the mark, one that is not told leaves it', async () => {
    const b = new Bench(await engine());
    await b.seed([await address()]);
    b.now = T0 + 60;
    const { address: wallet } = await signer();
    const announced = (): number => b.store.entry(wallet, DEVICE)!.announced;
    expect(announced()).toBe(T0);
    await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 10 }));
    expect(announced()).toBe(T0);
    await b.service.receiveKeepAlive(await keepAlive({ timestamp: T0 + 50 }));
    expect(announced()).toBe(T0 + 50);
  });
});

describe('05 §8.2 updateEntry, the rest of its outcomes', () => {
  it('05 §8.2 rule A3: what landed while the signature was checked is not undone', async () => {
    const seed = new Bench(await engine());
    await seed.seed([await address()]);
    const b = new Bench(await engine(), { store: seed.store, now: () => T0 + 60 }, {}, true);
    const run = b.service.receivePresence(await packet([await address({ timestamp: T0 + 55 })]));
    await settle();
    b.store.upsert(await presence([]), await address({ timestamp: T0 + 60, hostname: OTHER_HOST }));
    b.engine.releaseAll();
    expect(await run).toEqual({ kind: 'unchanged', dropped: [] });
    expect((await stored(b))[0]).toMatchObject({ lastSeen: T0 + 60, hostname: OTHER_HOST });
  });

  it('05 §8.2 rule A4: everything stored is told of, with its type: ledger nodes become known hosts', async () => {
    const b = new Bench(await engine());
    const told: unknown[] = [];
    b.store.subscribe({ stored: (wallet, a) => told.push([wallet, a.type, a.hostname]) });
    const { address: wallet } = await signer();
    await b.seed([await address({ type: 'M', pow: somePow() })]);
    b.now = T0 + 60;
    await b.service.receivePresence(
      await packet([await address({ type: 'H', pow: somePow(), hostname: OTHER_HOST, timestamp: T0 + 60 })]),
    );
    expect(told).toEqual([
      [wallet, 'M', '8.8.8.8:10235'],
      [wallet, 'H', OTHER_HOST],
    ]);
  });

  it('05 §8.2 rule A4: whose work was checked is remembered', async () => {
    const b = new Bench(await engine(), { ownType: 'M', pow: () => easy });
    await b.seed([await address({ type: 'M', pow: somePow() }), await address({ device: device(2) })]);
    const { address: wallet } = await signer();
    expect(b.store.entry(wallet, DEVICE)!.powVerified).toBe(true);
    expect(b.store.entry(wallet, device(2))!.powVerified).toBe(false);
  });

  it('05 §8.1 strict: the order of a device’s addresses in the packet does not matter', async () => {
    const old = await address({ timestamp: T0 - 50 });
    const good = await address({ timestamp: T0 - 10, hostname: OTHER_HOST });
    const twin = await address({ timestamp: T0 - 10, hostname: '9.9.9.9:10235' });
    const other = await address({ device: device(2) });
    for (const [list, expected] of [
      [[good, old], [good]],
      [[old, good], [good]],
      [
        [good, twin, other],
        [good, other],
      ],
    ]) {
      const b = new Bench(await engine());
      const o = await b.service.receivePresence(await packet(list!));
      expect(o.kind === 'changed' && o.presence.addresses).toEqual(expected);
    }
  });

  it('05 §8.1 strict: a device older than all that a wallet may keep is dropped', async () => {
    const store = new MemoryPresenceStore({ devicesMax: { C: 1 } });
    const b = new Bench(await engine(), { store });
    await b.seed([await address()]);
    const o = await b.service.receivePresence(
      await packet([await address({ device: device(2), timestamp: T0 - 5 })]),
    );
    expect(o).toEqual({ kind: 'unchanged', dropped: [{ device: device(2), reason: 'device-cap' }] });
    expect((await stored(b)).map((a) => a.device)).toEqual([DEVICE]);
  });
});

describe('05 §7.4 presence verification, the rest of its outcomes', () => {
  it('05 §7.4 rule 3: only forged endpoints refuse the packet', async () => {
    const b = new Bench(await engine());
    const o = await b.service.receivePresence(await packet([forged(await address())]));
    expect(o).toEqual({
      kind: 'refused',
      reason: 'no-address',
      dropped: [{ device: DEVICE, reason: 'signature' }],
    });
  });

  it('05 §7.4 rule 3: a packet that brings nothing new is no refusal, and asks for no permission', async () => {
    const b = new Bench(await engine());
    const bytes = await packet([await address()]);
    await b.service.receivePresence(bytes);
    const o = await b.service.receivePresence(bytes, {
      allow: () => {
        throw new Error('nothing is due');
      },
    });
    expect(o).toEqual({ kind: 'unchanged', dropped: [] });
  });

  it('05 §7.4 strict: endpoints for which there is no room at the engine are dropped as busy', async () => {
    const b = new Bench(await engine(), { pendingMax: 1 });
    const o = await b.service.receivePresence(
      await packet([await address(), await address({ device: device(2) })]),
      { allow: () => true },
    );
    expect(o.kind === 'changed' && o.presence.addresses.map((a) => a.device)).toEqual([DEVICE]);
    expect(o.dropped).toEqual([{ device: device(2), reason: 'busy' }]);
  });

  it('05 §7.4 strict: of too many endpoints the newest are looked at, whatever their order', async () => {
    const b = new Bench(await engine());
    const ages = Array.from({ length: addressesPerPacketMax + 2 }, (_, i) => (i * 7) % 18);
    const list = await Promise.all(
      ages.map((age) =>
        address({ device: device(age), timestamp: T0 - age, signature: new Uint8Array(512).fill(age + 1) }),
      ),
    );
    const o = await b.service.receivePresence(await packet(list));
    expect(o.dropped.filter((d) => d.reason === 'surplus').map((d) => d.device![0])).toEqual([16, 17]);
    const fewer = new Bench(await engine());
    const o16 = await fewer.service.receivePresence(await packet(list.slice(0, addressesPerPacketMax)));
    expect(o16.dropped.filter((d) => d.reason === 'surplus')).toEqual([]);
    expect(fewer.operations).toBe(addressesPerPacketMax);
  });

  it('05 §7.4 strict: as many as are looked at keep the order of the packet', async () => {
    const store = new MemoryPresenceStore({ devicesMax: { C: addressesPerPacketMax } });
    const b = new Bench(await engine(), { store });
    const list = await Promise.all(
      Array.from({ length: addressesPerPacketMax }, (_, i) =>
        address({ device: device(i), timestamp: T0 - ((i * 7) % 16) }),
      ),
    );
    const o = await b.service.receivePresence(await packet(list));
    expect(o.kind === 'changed' && o.presence.addresses.map((a) => a.device[0])).toEqual(
      list.map((_, i) => i),
    );
  });

  it('05 §7.4 strict: what is stored is what was signed, whatever becomes of the received bytes', async () => {
    const b = new Bench(await engine(), {}, {}, true);
    const a = await address({ type: 'M', pow: somePow() });
    const bytes = await packet([a]);
    const run = b.service.receivePresence(bytes);
    bytes.fill(0);
    await settle();
    b.engine.releaseAll();
    expect((await run).kind).toBe('changed');
    expect(await stored(b)).toEqual([a]);
  });

  it('counts presences by what came of them', async () => {
    const counters = new Counters();
    const b = new Bench(await engine(), { counters });
    await b.service.receivePresence(await packet([await address()]));
    await b.service.receivePresence(new Uint8Array(3));
    await b.service.receiveKeepAlive(new Uint8Array(3));
    // Strictly: a label without value would be shown as one.
    expect(counters.samples().map((s) => [s.name, s.labels, s.help])).toStrictEqual([
      ['presence_updates_total', { outcome: 'changed' }, 'Presences received'],
      ['presence_updates_total', { outcome: 'refused', reason: 'malformed' }, 'Presences received'],
      ['presence_keepalives_total', { outcome: 'refused', reason: 'malformed' }, 'Keep-alives received'],
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { VerifyBusy } from '../../src/identity/index.js';
import {
  decodeKeepAlive,
  encodeKeepAlive,
  type KeepAliveOutcome,
  MemoryPresenceStore,
  type PresenceStore,
  SlabPresenceStore,
} from '../../src/presence/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import {
  address,
  Bench,
  DEVICE,
  engine,
  type Fields,
  keepAlive,
  OTHER_HOST,
  presence,
  settle,
  signer,
  somePow,
  T0,
} from './support.js';

const words = (outcomes: readonly KeepAliveOutcome[]): string[] =>
  outcomes.map((o) => (o.kind === 'refused' ? o.reason : o.kind));

async function seeded(held = false, options = {}): Promise<Bench> {
  const store = new MemoryPresenceStore();
  const seed = new Bench(await engine(), { store });
  for (const who of ['w0', 'w1']) await seed.seed([await address({}, who)], who);
  return new Bench(await engine(), { store, ...options }, {}, held);
}

/** One of each kind that there is, none about the device of another. */
async function mixture(): Promise<Uint8Array[]> {
  const good = decodeKeepAlive(await keepAlive({ timestamp: T0 + 5 }));
  const forged = good.signature!.slice();
  forged[9]! ^= 1;
  const odd = good.signature!.subarray(1);
  return [
    await keepAlive({ timestamp: T0 + 9 }, 'w1'),
    new Uint8Array(0),
    Uint8Array.of(3, 1, 2),
    await keepAlive({ type: 'X', timestamp: T0 + 5 }),
    await keepAlive({ timestamp: T0 + 31 }),
    await keepAlive({ timestamp: T0 - 301 }),
    await keepAlive({ timestamp: T0 + 5 }, 'w2'),
    await keepAlive({ timestamp: T0 + 5, device: Uint8Array.of(4) }),
    await keepAlive({ timestamp: T0 }),
    await keepAlive({ timestamp: T0 - 1 }),
    await keepAlive({ timestamp: T0 + 5, type: 'M' }),
    await keepAlive({ timestamp: T0 + 5, hostname: '10.0.0.1:1' }),
    await keepAlive({ timestamp: T0 + 5, hostname: 'x'.repeat(200) }),
    encodeKeepAlive({ ...good, signature: null }),
    encodeKeepAlive({ ...good, signature: forged }),
    encodeKeepAlive({ ...good, signature: odd }),
    await keepAlive({ timestamp: T0 + 5 }, 'w0', NETWORKS.test),
    await keepAlive({ timestamp: T0 + 6, type: 'M', pow: somePow() }),
    await keepAlive({ timestamp: T0 + 7, hostname: OTHER_HOST, type: 'R' }),
    new Uint8Array(1201).fill(2),
  ];
}

const expected = [
  'updated',
  'malformed',
  'malformed',
  'type',
  'future',
  'stale',
  'unknown',
  'unknown',
  'replay',
  'older',
  'pow-missing',
  'hostname',
  'hostname',
  'unsigned',
  'signature',
  'signature',
  'signature',
  'updated',
  'updated',
  'malformed',
];

describe('05 §8.3 keep-alives in batches', () => {
  it('each is judged as it would be alone, and the store ends the same', async () => {
    const messages = await mixture();
    const together = await seeded();
    const alone = await seeded();
    const batch = await together.service.receiveKeepAlives(messages);
    expect(words(batch)).toEqual(expected);
    const one: KeepAliveOutcome[] = [];
    for (const m of messages) one.push(await alone.service.receiveKeepAlive(m));
    expect(batch).toEqual(one);
    for (const who of ['w0', 'w1']) {
      const wallet = (await signer(who)).address;
      expect(together.store.get(wallet)).toEqual(alone.store.get(wallet));
    }
  });

  it('cheap refusals cost neither an RSA operation nor a place at the engine', async () => {
    const b = await seeded(true, { pendingMax: 1 });
    const cheap = (await mixture()).filter((_, i) => !['updated', 'signature'].includes(expected[i]!));
    await b.service.receiveKeepAlives(cheap);
    expect(b.operations).toBe(0);
  });

  it('the same one many times in a batch costs one operation and changes the store once', async () => {
    const b = await seeded();
    const bytes = await keepAlive({ timestamp: T0 + 5 });
    const outcomes = await b.service.receiveKeepAlives(Array.from({ length: 200 }, () => bytes.slice()));
    expect(b.operations).toBe(1);
    expect(words(outcomes)).toEqual(['updated', ...Array.from({ length: 199 }, () => 'replay')]);
  });

  it('a forgery many times in a batch, and in the next one, costs one operation', async () => {
    const b = await seeded();
    const bad = await keepAlive({ timestamp: T0 + 5, signature: new Uint8Array(512).fill(3) });
    for (let i = 0; i < 3; i++)
      expect(new Set(words(await b.service.receiveKeepAlives([bad, bad.slice(), bad.slice()])))).toEqual(
        new Set(['signature']),
      );
    expect(b.operations).toBe(1);
    const good = await keepAlive({ timestamp: T0 + 5 });
    expect(words(await b.service.receiveKeepAlives([bad, good]))).toEqual(['signature', 'updated']);
    expect(b.operations).toBe(2);
  });

  it('two of one device are applied in the order they came in', async () => {
    const first = await keepAlive({ timestamp: T0 + 5 });
    const second = await keepAlive({ timestamp: T0 + 6, hostname: OTHER_HOST });
    const wallet = (await signer()).address;
    const forth = await seeded();
    expect(words(await forth.service.receiveKeepAlives([first, second]))).toEqual(['updated', 'updated']);
    const back = await seeded();
    expect(words(await back.service.receiveKeepAlives([second, first]))).toEqual(['updated', 'older']);
    for (const b of [forth, back])
      expect(b.store.entry(wallet, DEVICE)!.address).toMatchObject({
        lastSeen: T0 + 6,
        hostname: OTHER_HOST,
      });
  });

  it('what landed meanwhile counts for each of the batch', async () => {
    const b = await seeded(true);
    const run = b.service.receiveKeepAlives([
      await keepAlive({ timestamp: T0 + 5 }),
      await keepAlive({ timestamp: T0 + 5 }, 'w1'),
    ]);
    await settle();
    b.store.upsert(await presence([]), await address({ timestamp: T0 + 7 }));
    b.store.removeWallet((await signer('w1')).address);
    b.engine.releaseAll();
    expect(words(await run)).toEqual(['older', 'unknown']);
  });

  it('beyond what may wait they are busy, and so is the whole batch when the engine is full', async () => {
    const b = await seeded(false, { pendingMax: 1 });
    const two = [await keepAlive({ timestamp: T0 + 5 }), await keepAlive({ timestamp: T0 + 5 }, 'w1')];
    expect(words(await b.service.receiveKeepAlives(two))).toEqual(['updated', 'busy']);
    const full = await seeded();
    full.engine.verify = () => Promise.reject(new VerifyBusy(1));
    expect(words(await full.service.receiveKeepAlives(two))).toEqual(['busy', 'busy']);
    expect(full.service.pending).toBe(0);
  });

  it('a batch of none asks nobody', async () => {
    const b = await seeded();
    expect(await b.service.receiveKeepAlives([])).toEqual([]);
    expect(b.operations).toBe(0);
  });
});

describe('05 §8.1 a claim copied from its message', () => {
  const STORES: readonly [string, () => PresenceStore][] = [
    ['objects', () => new MemoryPresenceStore()],
    ['slab', () => new SlabPresenceStore()],
  ];

  it.each(STORES)('leaves in the store of %s what upsert would', async (_, make) => {
    const steps: Fields[] = [
      { timestamp: T0 + 1 },
      { timestamp: T0 + 2, hostname: '1.2.3.4:1' },
      { timestamp: T0 + 3, hostname: '255.255.255.255:65535', type: 'R' },
      { timestamp: T0 + 4, hostname: '8.8.4.4:10235', type: 'C' },
    ];
    const device = new Uint8Array(16).fill(200);
    const first = { device, nodeVersion: 'some-version-0.1', type: 'C' };
    const store = make();
    const other = make();
    const log: string[] = [];
    store.subscribe({
      relayAdded: () => log.push('+R'),
      relayRemoved: () => log.push('-R'),
      storedTypes: ['R'],
      stored: (_w, a) => log.push(`${a.type} ${a.hostname}`),
    });
    const owner = await presence([]);
    for (const s of [store, other]) {
      s.upsert(owner, await address({ device: Uint8Array.of(1), type: 'R' }));
      s.upsert(owner, await address(first));
    }
    log.length = 0;
    const b = new Bench(await engine(), { store: store as MemoryPresenceStore });
    for (const fields of steps) {
      const bytes = await keepAlive({ ...first, ...fields });
      const [outcome] = await b.service.receiveKeepAlives([bytes]);
      expect(outcome!.kind).toBe(fields.hostname?.startsWith('255.') ? 'refused' : 'updated');
      if (outcome!.kind !== 'updated') continue;
      other.upsert(owner, { ...(await address({ ...first, ...fields })), nodeVersion: 'ignored' });
      if (outcome!.announce) other.markAnnounced(owner.wallet, device, fields.timestamp!);
      expect(store.get(owner.wallet)).toEqual(other.get(owner.wallet));
      expect(store.packets(owner.wallet, 10)).toEqual(other.packets(owner.wallet, 10));
      expect(store.entry(owner.wallet, device)).toEqual(other.entry(owner.wallet, device));
      expect(store.counts).toEqual(other.counts);
      expect(store.byType('C', 9, T0)).toEqual(other.byType('C', 9, T0));
    }
    const relay = await keepAlive({ ...first, timestamp: T0 + 6, type: 'R' });
    expect(words(await b.service.receiveKeepAlives([relay]))).toEqual(['updated']);
    expect(log).toEqual(['R 8.8.8.8:10235']);
    expect(store.counts.R).toBe(2);
  });
});

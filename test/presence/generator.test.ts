import { describe, expect, it } from 'vitest';
import {
  chooseOwnPow,
  type KeepAlive,
  KeepAliveGenerator,
  type KeepAliveGeneratorOptions,
  ownKeepAliveSeconds,
  ownTimestamp,
  verifyKeepAlive,
} from '../../src/presence/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { DEVICE, engine, HOST, ledgerless, OTHER_HOST, signer, somePow, T0 } from './support.js';

let now = T0;
const make = async (options: Partial<KeepAliveGeneratorOptions> = {}): Promise<KeepAliveGenerator> => {
  now = T0;
  return new KeepAliveGenerator({
    signer: await signer(),
    network: NETWORKS.main,
    type: 'R',
    device: DEVICE,
    now: () => now,
    hostname: HOST,
    ...options,
  });
};
const at = async (g: KeepAliveGenerator, second: number, force = false): Promise<KeepAlive> => {
  now = second;
  return (await g.next(force))!;
};

describe('05 §9 generating keep-alives', () => {
  it('05 §9: the first one is signed at once and verifies', async () => {
    const g = await make();
    expect(g.last).toBe(null);
    const ka = (await g.next())!;
    expect(ka).toMatchObject({
      version: 2,
      timestamp: T0,
      hostname: HOST,
      type: 'R',
      device: DEVICE,
      pow: null,
    });
    expect(await verifyKeepAlive(ka, (await signer()).publicKey, ledgerless, await engine())).toBe(null);
    expect(g.last).toBe(ka);
  });

  it('05 §9 strict: an own relay renews every 100 s, with a newer time; before that the same is sent again', async () => {
    expect(ownKeepAliveSeconds).toBe(100);
    const g = await make();
    const first = await at(g, T0);
    expect(await at(g, T0 + 99)).toBe(first);
    const second = await at(g, T0 + 100);
    expect(second.timestamp).toBe(T0 + 100);
    expect(await at(g, T0 + 199)).toBe(second);
    expect((await at(g, T0 + 200)).timestamp).toBe(T0 + 200);
  });

  it('05 §9: forced, each is at least 2 s newer than the one before', async () => {
    const g = await make();
    await at(g, T0);
    expect((await at(g, T0, true)).timestamp).toBe(T0 + 2);
    expect((await at(g, T0 + 1, true)).timestamp).toBe(T0 + 4);
    expect((await at(g, T0 + 6, true)).timestamp).toBe(T0 + 6);
    expect((await at(g, T0 + 9, true)).timestamp).toBe(T0 + 9);
  });

  it('05 §9: more than 10 s ahead jumps back to now and is signed unasked', async () => {
    expect(ownTimestamp(T0 + 10, T0)).toBe(T0 + 12);
    expect(ownTimestamp(T0 + 11, T0)).toBe(T0);
    expect(ownTimestamp(T0 - 1, T0)).toBe(T0 + 1);
    expect(ownTimestamp(T0 - 2, T0)).toBe(T0);
    expect(ownTimestamp(null, T0)).toBe(T0);
    const g = await make();
    const first = await at(g, T0);
    expect(await at(g, T0 - 10)).toBe(first);
    expect((await at(g, T0 - 11)).timestamp).toBe(T0 - 11);
  });

  it('05 §9: a changed hostname is announced at once', async () => {
    const g = await make();
    await at(g, T0);
    g.setHostname(OTHER_HOST);
    expect(g.hostname).toBe(OTHER_HOST);
    const ka = await at(g, T0 + 5);
    expect([ka.hostname, ka.timestamp]).toEqual([OTHER_HOST, T0 + 5]);
    expect(await at(g, T0 + 6)).toBe(ka);
  });

  it('05 §9: refused without hostname, and for M and H without proof of work', async () => {
    expect(await (await make({ hostname: '' })).next(true)).toBe(null);
    for (const type of ['M', 'H'] as const) {
      expect(await (await make({ type })).next()).toBe(null);
      const ka = await (await make({ type, pow: () => somePow() })).next();
      expect(ka?.pow).toEqual(somePow());
    }
    for (const type of ['R', 'C'] as const) expect((await (await make({ type })).next())?.pow).toBe(null);
  });

  it('05 §9: a proof of work more than 120 blocks old is replaced', async () => {
    let height = 5_875_120;
    let pow = somePow(5_875_000n);
    const g = await make({ type: 'M', pow: () => pow, networkHeight: () => height });
    const first = await at(g, T0);
    pow = somePow(5_875_100n);
    expect(await at(g, T0 + 1)).toBe(first);
    height++;
    expect((await at(g, T0 + 2)).pow).toEqual(pow);
  });

  it('05 §9: the interval can be set', async () => {
    const g = await make({ intervalSeconds: 200 });
    const first = await at(g, T0);
    expect(await at(g, T0 + 199)).toBe(first);
    expect((await at(g, T0 + 200)).timestamp).toBe(T0 + 200);
  });

  it('makes one at a time, whoever asks', async () => {
    const g = await make();
    const all = await Promise.all([g.next(true), g.next(true), g.next(), g.next(true)]);
    expect(all.map((k) => k!.timestamp)).toEqual([T0, T0 + 2, T0 + 2, T0 + 4]);
  });

  it('goes on after a signer failed', async () => {
    const s = await signer();
    let fail = true;
    const g = await make({
      signer: {
        ...s,
        publicKey: s.publicKey,
        address: s.address,
        decryptOaep: s.decryptOaep,
        sign: (m) => (fail ? Promise.reject(new Error('no')) : s.sign(m)),
      },
    });
    await expect(g.next()).rejects.toThrow('no');
    fail = false;
    expect((await g.next())?.timestamp).toBe(T0);
  });

  it('05 §9: of found proofs the oldest that lives a while, else the newest that is valid', () => {
    const found = [5_875_010n, 5_875_000n, 5_875_100n].map((block) => ({ block }));
    expect(chooseOwnPow(found, 5_875_100n)?.block).toBe(5_875_000n);
    expect(chooseOwnPow(found, 5_875_112n)?.block).toBe(5_875_000n);
    expect(chooseOwnPow(found, 5_875_113n)?.block).toBe(5_875_010n);
    expect(chooseOwnPow(found, 5_875_213n)?.block).toBe(5_875_100n);
    expect(chooseOwnPow(found, 5_875_219n)?.block).toBe(5_875_100n);
    expect(chooseOwnPow(found, 5_875_220n)).toBe(null);
    expect(chooseOwnPow([], 5n)).toBe(null);
    expect(chooseOwnPow([{ block: 8n }], 100n)?.block).toBe(8n);
    expect(chooseOwnPow([{ block: 1n }], 120n)?.block).toBe(1n);
    expect(chooseOwnPow([{ block: 1n }], 121n)).toBe(null);
  });
});

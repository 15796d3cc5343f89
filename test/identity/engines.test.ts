import { afterEach, describe, expect, it } from 'vitest';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import {
  createVerifyEngine,
  decodePublicKey,
  EngineClosed,
  EngineUnavailable,
  encodePublicKey,
  publicKeyOf,
  type VerifyEngine,
  type VerifyEngineName,
  type VerifyItem,
  verifyEngineNames,
} from '../../src/identity/index.js';
import { restrictRuntime } from '../../src/identity/runtime.js';
import { candidate, KeyCache } from '../../src/identity/verify/engine.js';
import { passesSelfTest, selfTestItems } from '../../src/identity/verify/self-test.js';
import { concatBytes } from '../../src/wire/index.js';
import { edges, message } from './edges.js';
import { fixtures, hex, walletKey } from './fixtures.js';

enableRelaxedSimd();

afterEach(() => restrictRuntime());

describe.each(verifyEngineNames)('engine %s', (name: VerifyEngineName) => {
  const use = async (f: (engine: VerifyEngine) => Promise<void>): Promise<void> => {
    const engine = await createVerifyEngine(name);
    try {
      await f(engine);
    } finally {
      await engine.close();
    }
  };

  it('passes the self-test and has counted nothing before', () =>
    use(async (engine) => {
      expect(engine.name).toBe(name);
      expect(engine.operations).toBe(0);
      expect(await passesSelfTest(engine)).toBe(true);
      expect(engine.operations).toBe(selfTestItems().length);
    }));

  it('gives the right verdict on every edge, and spends operations only where it must', () =>
    use(async (engine) => {
      const list = await edges();
      for (const edge of list) {
        const before = engine.operations;
        expect(await engine.verify([edge]), edge.what).toEqual([edge.valid]);
        const cost = engine.operations - before;
        // An engine may find a key unusable that passed the cheap checks; it may never do more than one.
        expect(cost, edge.what).toBeLessThanOrEqual(edge.cost);
        if (edge.valid) expect(cost, edge.what).toBe(1);
      }
      expect(await engine.verify(list)).toEqual(list.map((edge) => edge.valid));
    }));

  it('agrees with the reference on its signature cases', () =>
    use(async (engine) => {
      const list = fixtures('02-identity.json').filter((c) => c.name.startsWith('signature/verify/'));
      expect(list.length).toBeGreaterThan(20);
      const verdicts = await engine.verify(
        list.map((c) => ({
          key: hex(c.in.publicKey),
          message: hex(c.in.message),
          signature: hex(c.in.signature),
        })),
      );
      expect(verdicts).toEqual(list.map((c) => c.out.verifies));
    }));

  it('answers an empty batch, and refuses work once closed', async () => {
    const engine = await createVerifyEngine(name);
    expect(await engine.verify([])).toEqual([]);
    const pending = engine.verify(selfTestItems().slice(0, 1));
    await engine.close();
    expect(await pending).toEqual([true]);
    await expect(engine.verify([])).rejects.toBeInstanceOf(EngineClosed);
    await engine.close();
  });
});

describe('choice of engine', () => {
  it('takes what the runtime has, best first', async () => {
    expect((await createVerifyEngine()).name).toBe('native');
    restrictRuntime({ node: true });
    expect((await createVerifyEngine()).name).toBe('webcrypto');
    restrictRuntime({ node: true, subtle: true });
    expect((await createVerifyEngine()).name).toBe('wasm-relaxed');
    const missing = createVerifyEngine('native');
    await expect(missing).rejects.toBeInstanceOf(EngineUnavailable);
    await expect(missing).rejects.toMatchObject({ engine: 'native', reason: 'missing' });
  });

  it('leaves the thread free while the pool works', async () => {
    const engine = await createVerifyEngine('native');
    const good = selfTestItems()[0]!;
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    expect(await engine.verify(new Array<VerifyItem>(400).fill(good))).toEqual(new Array(400).fill(true));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
    await engine.close();
  });

  it('does not trust an engine that miscalculates', async () => {
    const always = (verdict: boolean): VerifyEngine => ({
      name: 'forge',
      operations: 0,
      verify: async (items) => items.map(() => verdict),
      close: async () => {},
    });
    expect(await passesSelfTest(always(true))).toBe(false);
    expect(await passesSelfTest(always(false))).toBe(false);
  });
});

it('keeps the key parser strict about what an operation may touch', () => {
  const key = publicKeyOf(walletKey('w0'));
  expect(decodePublicKey(key)).toMatchObject({ addressVersion: 1, bits: 4096 });
  const { n, e } = decodePublicKey(key);
  expect(() => decodePublicKey(encodePublicKey({ addressVersion: 1, n: n.subarray(0, 100), e }))).toThrow(
    /modulus of 800 bits/,
  );
  expect(() => decodePublicKey(encodePublicKey({ addressVersion: 1, n: concatBytes(n, n), e }))).toThrow(
    /modulus of 8192 bits/,
  );
});

it('prepared keys are kept up to a limit, the least recently used goes first', () => {
  const prepared: number[] = [];
  const cache = new KeyCache((key) => prepared.push(key.addressVersion!), 2);
  const key = decodePublicKey(publicKeyOf(walletKey('signer')));
  const use = (addressVersion: number): void => {
    const blob = encodePublicKey({ ...key, addressVersion });
    cache.get(candidate({ key: blob, message, signature: new Uint8Array(256) })!);
  };
  for (const version of [1, 2, 1, 3, 1, 2]) use(version);
  expect(prepared).toEqual([1, 2, 3, 2]);
  expect(cache.size).toBe(2);
  cache.clear();
  expect(cache.size).toBe(0);
});

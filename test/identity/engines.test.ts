import { afterEach, describe, expect, it } from 'vitest';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import {
  createSigner,
  createVerifyEngine,
  decodePrivateKey,
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
import { candidate, encodedMessage, KeyCache } from '../../src/identity/verify/engine.js';
import { passesSelfTest, selfTestItems } from '../../src/identity/verify/self-test.js';
import { concatBytes, fromHex } from '../../src/wire/index.js';
import { fixtures, hex, walletKey } from './fixtures.js';

enableRelaxedSimd();

const message = new TextEncoder().encode('a message');

interface Edge extends VerifyItem {
  readonly what: string;
  readonly valid: boolean;
  /** RSA operations the item may cost. */
  readonly cost: 0 | 1;
}

function bigToBytes(v: bigint, size: number): Uint8Array {
  return fromHex(v.toString(16).padStart(size * 2, '0'));
}

const toBig = (b: Uint8Array): bigint => BigInt(`0x${Buffer.from(b).toString('hex')}`);

function powMod(base: bigint, exponent: bigint, m: bigint): bigint {
  let r = 1n;
  let b = base % m;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) r = (r * b) % m;
    b = (b * b) % m;
  }
  return r;
}

/** Signs an arbitrary encoded message with the private numbers: how forgeries of the padding are made. */
function rawSign(d: Uint8Array, n: Uint8Array, em: Uint8Array): Uint8Array {
  return bigToBytes(powMod(toBig(em), toBig(d), toBig(n)), n.length);
}

async function edges(): Promise<Edge[]> {
  const blob = walletKey('signer');
  const priv = decodePrivateKey(blob);
  const key = publicKeyOf(blob);
  const other = publicKeyOf(walletKey('w0'));
  const signature = await (await createSigner(blob)).sign(message);
  const n = priv.n;
  const em = encodedMessage(message, n.length);
  const changed = (b: Uint8Array, at: number): Uint8Array => {
    const out = new Uint8Array(b);
    out[at]! ^= 1;
    return out;
  };
  const forged = (f: (em: Uint8Array) => void): Uint8Array => {
    const copy = new Uint8Array(em);
    f(copy);
    return rawSign(priv.d, n, copy);
  };
  const digestInfoAt = n.length - 64 - 19;
  const item = (what: string, valid: boolean, cost: 0 | 1, change: Partial<VerifyItem> = {}): Edge => ({
    what,
    valid,
    cost,
    key,
    message,
    signature,
    ...change,
  });
  const e3 = { addressVersion: 1, n, e: Uint8Array.of(3) };
  return [
    item('valid', true, 1),
    item('valid, made by hand', true, 1, { signature: forged(() => {}) }),
    item('message of another', false, 1, { message: changed(message, 0) }),
    item('empty message', false, 1, { message: new Uint8Array(0) }),
    item('signature bit', false, 1, { signature: changed(signature, 255) }),
    item('signature short', false, 0, { signature: signature.subarray(1) }),
    item('signature long', false, 0, { signature: concatBytes(signature, Uint8Array.of(0)) }),
    item('signature with leading zero', false, 0, { signature: concatBytes(Uint8Array.of(0), signature) }),
    item('signature empty', false, 0, { signature: new Uint8Array(0) }),
    item('signature zero', false, 1, { signature: new Uint8Array(n.length) }),
    item('signature one', false, 1, { signature: bigToBytes(1n, n.length) }),
    item('signature n − 1', false, 1, { signature: bigToBytes(toBig(n) - 1n, n.length) }),
    item('signature n', false, 0, { signature: n }),
    item('signature all ones', false, 0, { signature: new Uint8Array(n.length).fill(0xff) }),
    item('other key', false, 0, { key: other }),
    item('key empty', false, 0, { key: new Uint8Array(0) }),
    item('key garbage', false, 0, { key: new Uint8Array(272).fill(0xa5) }),
    item('key cut', false, 0, { key: key.subarray(0, key.length - 1) }),
    item('key with trailing byte', false, 0, { key: concatBytes(key, Uint8Array.of(0)) }),
    item('key even', false, 0, { key: changed(key, 9 + n.length - 1) }),
    item('exponent 3, not the key', false, 1, { key: encodePublicKey(e3) }),
    item('exponent 1', false, 0, { key: encodePublicKey({ ...e3, e: Uint8Array.of(1) }) }),
    item('exponent even', false, 0, { key: encodePublicKey({ ...e3, e: Uint8Array.of(2) }) }),
    item('exponent 5, odd one out', false, 1, { key: encodePublicKey({ ...e3, e: Uint8Array.of(5) }) }),
    item('exponent too long', false, 0, { key: encodePublicKey({ ...e3, e: new Uint8Array(9).fill(1) }) }),
    item('exponent with leading zeros', true, 1, {
      key: encodePublicKey({ ...e3, e: Uint8Array.of(0, 1, 0, 1) }),
    }),
    item('private key as public', true, 1, { key: blob }),
    item('padding: first byte', false, 1, { signature: forged((m) => m.set([1], 0)) }),
    item('padding: block type 2', false, 1, { signature: forged((m) => m.set([2], 1)) }),
    item('padding: hole', false, 1, { signature: forged((m) => m.set([0xfe], 20)) }),
    item('padding: no separator', false, 1, { signature: forged((m) => m.set([0xff], digestInfoAt - 1)) }),
    item('digest info: SHA-384', false, 1, { signature: forged((m) => m.set([2], digestInfoAt + 14)) }),
    item('digest info: no NULL', false, 1, { signature: forged((m) => m.set([4], digestInfoAt + 15)) }),
    item('hash moved left, garbage behind', false, 1, {
      signature: forged((m) => {
        m.copyWithin(10, digestInfoAt - 1);
        m.fill(0x5a, 10 + 84);
      }),
    }),
    item('digest: last bit', false, 1, {
      signature: forged((m) => m.set([m[n.length - 1]! ^ 1], n.length - 1)),
    }),
  ];
}

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

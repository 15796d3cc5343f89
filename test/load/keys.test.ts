import { constants, createHash, createPublicKey, publicEncrypt, verify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  addressFromKey,
  addressText,
  createVerifyEngine,
  decodePublicKey,
} from '../../src/identity/index.js';
import { Identities } from '../../src/load/index.js';
import { PUBLIC_EXPONENT, primePool, privateExponent } from '../../src/load/keys/prime-pool.js';
import { SmallPrimeSigner } from '../../src/load/keys/small-prime-signer.js';

const identities = new Identities('test');

/** The key as another implementation sees it. */
function nodeKey(publicKey: Uint8Array): ReturnType<typeof createPublicKey> {
  const { n, e } = decodePublicKey(publicKey);
  const text = (b: Uint8Array): string => Buffer.from(b).toString('base64url');
  return createPublicKey({ key: { kty: 'RSA', n: text(n), e: text(e) }, format: 'jwk' });
}

/** Miller–Rabin with bases that decide every number below 2^32. */
function isPrime(n: number): boolean {
  const big = BigInt(n);
  let d = big - 1n;
  let twos = 0;
  while (d % 2n === 0n) {
    d /= 2n;
    twos++;
  }
  const power = (base: bigint, exponent: bigint): bigint => {
    let out = 1n;
    let b = base % big;
    for (let x = exponent; x > 0n; x >>= 1n) {
      if ((x & 1n) === 1n) out = (out * b) % big;
      b = (b * b) % big;
    }
    return out;
  };
  return [2n, 7n, 61n].every((base) => {
    let x = power(base, d);
    if (x === 1n || x === big - 1n) return true;
    for (let i = 1; i < twos; i++) {
      x = (x * x) % big;
      if (x === big - 1n) return true;
    }
    return false;
  });
}

describe('the pool of primes', () => {
  const pool = primePool('test');

  test('holds 256 different primes near 2^32, the same for the same seed', () => {
    expect(new Set(pool).size).toBe(256);
    for (const p of pool) {
      expect(isPrime(p)).toBe(true);
      expect(p).toBeGreaterThanOrEqual(2 ** 32 * 2 ** (-1 / 128));
    }
    expect(primePool('test')).toEqual(pool);
    expect(primePool('another')).not.toEqual(pool);
  });

  test('has a private exponent for each', () => {
    for (const p of pool) {
      const product = BigInt(privateExponent(p)) * BigInt(PUBLIC_EXPONENT);
      expect(product % BigInt(p - 1)).toBe(1n);
    }
    expect(() => privateExponent(PUBLIC_EXPONENT * 2 + 1)).toThrow(RangeError);
  });
});

describe('signatures with small primes', () => {
  test('verify with node:crypto and with our engine, for every length of message', async () => {
    const engine = await createVerifyEngine();
    for (let i = 0; i < 40; i++) {
      const identity = identities.at(i);
      const message = Uint8Array.from({ length: i * 7 }, (_, k) => (k * 31 + i) & 255);
      const signature = identity.sign(message);
      expect(signature).toHaveLength(512);
      expect(verify('sha512', message, nodeKey(identity.publicKey), signature)).toBe(true);
      expect(await engine.verify([{ key: identity.publicKey, message, signature }])).toEqual([true]);
      expect(verify('sha512', Buffer.from('else'), nodeKey(identity.publicKey), signature)).toBe(false);
    }
  });

  test('are right at the edges of choice and digest', () => {
    const signer = new SmallPrimeSigner(primePool('edges'));
    for (const fill of [0, 255, 0x55]) {
      const choice = new Uint8Array(16).fill(fill);
      const n = BigInt(`0x${Buffer.from(signer.modulus(choice)).toString('hex')}`);
      for (const digestFill of [0, 255, 1]) {
        const digest = new Uint8Array(64).fill(digestFill);
        const s = BigInt(`0x${Buffer.from(signer.sign(choice, digest)).toString('hex')}`);
        // s^65537 mod n by sixteen squarings and one product.
        let x = s;
        for (let i = 0; i < 16; i++) x = (x * x) % n;
        x = (x * s) % n;
        expect(s < n).toBe(true);
        expect(x.toString(16).endsWith(Buffer.from(digest).toString('hex'))).toBe(true);
        expect(x.toString(16).startsWith('1ffffff')).toBe(true);
      }
    }
  });

  test('want a whole pool', () => {
    expect(() => new SmallPrimeSigner(new Uint32Array(255))).toThrow(RangeError);
  });
});

describe('identities', () => {
  test('follow from seed and number alone', () => {
    const again = new Identities('test');
    for (const i of [0, 1, 99_999, 2 ** 40]) {
      expect(again.at(i).publicKey).toEqual(identities.at(i).publicKey);
      expect(again.at(i).deviceId).toEqual(identities.at(i).deviceId);
    }
    expect(new Identities('other').at(0).publicKey).not.toEqual(identities.at(0).publicKey);
    // Written down once: a change of the derivation would make results of different versions incomparable.
    const text = addressText(new Identities('1').at(0).address);
    expect(createHash('sha256').update(text).digest('hex').slice(0, 16)).toBe('cab3e3797fc9f5db');
  });

  test('are ordinary RSA-4096 keys with the address of their key', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 500; i++) {
      const { publicKey, address } = identities.at(i);
      expect(publicKey).toHaveLength(528);
      expect(decodePublicKey(publicKey).bits).toBe(4096);
      expect(address).toEqual(addressFromKey(publicKey));
      expect(address[0]).toBe(1);
      seen.add(addressText(address));
    }
    expect(seen.size).toBe(500);
  });

  test('have no number but a natural one', () => {
    for (const n of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => identities.at(n)).toThrow(RangeError);
  });
});

test('nothing but the load command reaches these keys', () => {
  const reaching = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((f) => f.replaceAll('\\', '/'))
    .filter((f) => f.endsWith('.ts') && !f.startsWith('load/'))
    .filter((f) => /from '[^']*\/load\/|import\('[^']*load/.test(readFileSync(`src/${f}`, 'utf8')));
  // main.ts names the command, its files use the room; wallets and everything else do not know it.
  expect(
    reaching.filter((f) => f !== 'cli/main.ts' && f !== 'cli/load.ts' && !f.startsWith('cli/load/')),
  ).toEqual([]);
  expect(readFileSync('src/cli/main.ts', 'utf8')).not.toContain("'../load/");
});

describe('opening', () => {
  test('gives what node:crypto encrypted for the key, and null for anything else', () => {
    const [one, two] = [identities.at(1), identities.at(2)];
    const key = { key: nodeKey(one.publicKey), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' };
    for (const length of [0, 1, 32, 470]) {
      const message = Uint8Array.from({ length }, (_, i) => i & 255);
      const sealed = publicEncrypt(key, message);
      expect(one.open(sealed)).toEqual(Buffer.from(message));
      expect(two.open(sealed)).toBeNull();
      sealed[511]! ^= 1;
      expect(one.open(sealed)).toBeNull();
    }
    expect(one.open(new Uint8Array(511))).toBeNull();
    expect(one.open(new Uint8Array(512).fill(255))).toBeNull();
  });
});

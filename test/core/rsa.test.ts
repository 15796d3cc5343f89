import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  privateEncrypt,
  sign,
  verify,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadRsaCoreSync, type RsaItem, rsaEngineNames } from '../../src/core/index.js';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import { bareModule, cores } from './support/cores.js';

enableRelaxedSimd();

/** Whatever verifies: both cores, and each RSA kernel by itself. */
const verifiers: readonly (readonly [string, (items: readonly RsaItem[]) => Uint8Array])[] = [
  ...cores.map(
    ([name, core]) => [`core ${name}`, (items: readonly RsaItem[]) => core.rsaVerifyBatch(items)] as const,
  ),
  ...rsaEngineNames.map(
    (name) =>
      [`kernel ${name}`, (items: readonly RsaItem[]) => loadRsaCoreSync(name)!.verifyBatch(items)] as const,
  ),
];

function fixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8')) as T;
}

/** Made for these tests and used nowhere else. */
const keys = fixture<{ bits: number; exponent: number; jwk: JsonWebKey }[]>('rsa-keys.json').map((k) => ({
  ...k,
  name: `${k.bits} bits, e = ${k.exponent}`,
  privateKey: createPrivateKey({ key: k.jwk, format: 'jwk' }),
  modulus: new Uint8Array(Buffer.from(k.jwk.n!, 'base64url')),
}));

/**
 * Primes of extreme limb patterns in place of a modulus, with a valid signature each: e has an inverse modulo n − 1,
 * so a root of the encoded message could be taken.
 */
const extreme =
  fixture<{ name: string; exponent: number; modulus: string; message: string; signature: string }[]>(
    'rsa-extreme-moduli.json',
  );

const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toBytes = (value: bigint, size: number): Uint8Array =>
  fromHex(value.toString(16).padStart(2 * size, '0'));

const MESSAGE = new TextEncoder().encode('presence, the message under test');
const DIGEST_INFO = fromHex('3051300d060960864801650304020305000440');
const DIGEST = new Uint8Array(createHash('sha512').update(MESSAGE).digest());

/** OpenSSL's verdict. */
function nativeVerdict(privateKey: KeyObject, item: RsaItem): boolean {
  const key = { key: createPublicKey(privateKey), padding: constants.RSA_PKCS1_PADDING };
  return verify('sha512', item.message, key, item.signature);
}

/** The private operation on bytes that need not be an encoded message. */
function rawSign(privateKey: KeyObject, encoded: Uint8Array): Uint8Array {
  return new Uint8Array(privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, encoded));
}

/** 00 01 ff… 00 ‖ tail. */
function padded(size: number, tail: Uint8Array): Uint8Array {
  const out = new Uint8Array(size).fill(0xff);
  out[0] = 0;
  out[1] = 1;
  out[size - tail.length - 1] = 0;
  out.set(tail, size - tail.length);
  return out;
}

const concat = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Encoded messages that a lax verifier takes or might take; each must be refused although the signature opens to it. */
function wrongEncodings(size: number): [string, Uint8Array][] {
  const good = padded(size, concat(DIGEST_INFO, DIGEST));
  const change = (at: number, value: number): Uint8Array => {
    const out = good.slice();
    out[at < 0 ? size + at : at] = value;
    return out;
  };
  const infoAt = size - DIGEST.length - DIGEST_INFO.length;
  const trailing = (garbage: number): Uint8Array => {
    // Fewer bytes of ff in front, garbage behind the digest: Bleichenbacher's forgery for e = 3.
    const out = new Uint8Array(size).fill(0xab);
    out.set(padded(size - garbage, concat(DIGEST_INFO, DIGEST)));
    return out;
  };
  const sha256Info = fromHex('3031300d060960864801650304020105000420');
  const sha256 = new Uint8Array(createHash('sha256').update(MESSAGE).digest());
  const withoutNull = fromHex('304f300b0609608648016503040203' + '0440');
  const longLength = fromHex('308151300d060960864801650304020305000440');
  return [
    ['block type 0', change(1, 0)],
    ['block type 2', change(1, 2)],
    ['no separator', change(infoAt - 1, 0xff)],
    ['separator one byte early', change(infoAt - 2, 0)],
    ['a padding byte that is not ff', change(9, 0xfe)],
    ['first padding byte 0', change(2, 0)],
    ['trailing garbage, one byte', trailing(1)],
    ['trailing garbage, 100 bytes', trailing(100)],
    ['digest changed in its last byte', change(-1, DIGEST[63]! ^ 1)],
    ['digest changed in its first byte', change(-64, DIGEST[0]! ^ 0x80)],
    ['SHA-384 named in the prefix', change(infoAt + 14, 2)],
    ['SHA-256 prefix and digest', padded(size, concat(sha256Info, sha256))],
    ['SHA-512 prefix, SHA-256 digest', padded(size, concat(DIGEST_INFO, sha256))],
    ['no prefix', padded(size, DIGEST)],
    ['parameters NULL left out', padded(size, concat(withoutNull, DIGEST))],
    ['length in long form', padded(size, concat(longLength, DIGEST))],
    ['prefix twice', padded(size, concat(DIGEST_INFO, DIGEST_INFO, DIGEST))],
    ['PSS-like end', change(-1, 0xbc)],
  ];
}

describe.each(verifiers)('RSA verification, %s', (_engine, verifyBatch) => {
  const verdict = (item: RsaItem): number => verifyBatch([item])[0]!;

  describe.each(keys.map((k) => [k.name, k] as const))('%s', (_name, key) => {
    const { modulus, exponent, privateKey } = key;
    const n = toBigInt(modulus);
    const size = modulus.length;
    const signature = new Uint8Array(sign('sha512', MESSAGE, privateKey));
    const good: RsaItem = { modulus, exponent, signature, message: MESSAGE };

    it('takes a signature of OpenSSL, of any message length', () => {
      expect(verdict(good)).toBe(1);
      for (const length of [0, 1, 44, 111, 112, 128, 1000]) {
        const message = new Uint8Array(length).fill(length);
        const item = { ...good, message, signature: new Uint8Array(sign('sha512', message, privateKey)) };
        expect(verdict(item)).toBe(1);
      }
    });

    it('refuses it for another message, another exponent, another key', () => {
      expect(verdict({ ...good, message: MESSAGE.slice(1) })).toBe(0);
      expect(verdict({ ...good, exponent: exponent === 3 ? 65537 : 3 })).toBe(0);
      expect(verdict({ ...good, modulus: toBytes(n - 2n, size) })).toBe(0);
    });

    it('refuses every encoded message but the exact one', () => {
      expect(
        verdict({ ...good, signature: rawSign(privateKey, padded(size, concat(DIGEST_INFO, DIGEST))) }),
      ).toBe(1);
      for (const [name, encoded] of wrongEncodings(size)) {
        const item = { ...good, signature: rawSign(privateKey, encoded) };
        expect(verdict(item), name).toBe(0);
        expect(nativeVerdict(privateKey, item), `${name}, OpenSSL`).toBe(false);
      }
    });

    it('refuses s = 0, 1, n − 1, n, n + 1, s + n and all ones', () => {
      const s = toBigInt(signature);
      const fits = (v: bigint): boolean => v < 1n << BigInt(8 * size);
      for (const v of [0n, 1n, n - 1n, n, n + 1n, s + n, s + 2n * n, n - s, (1n << BigInt(8 * size)) - 1n]) {
        if (fits(v)) expect(verdict({ ...good, signature: toBytes(v, size) }), v.toString(16)).toBe(0);
      }
    });

    it('refuses a signature that is not exactly as long as the modulus', () => {
      for (const wrong of [
        signature.slice(1),
        signature.slice(0, -1),
        concat(Uint8Array.of(0), signature),
        concat(signature, Uint8Array.of(0)),
        new Uint8Array(0),
      ]) {
        expect(verdict({ ...good, signature: wrong })).toBe(0);
      }
    });

    it('refuses a modulus that is even, short, long, or has a leading zero byte', () => {
      const even = modulus.slice();
      even[size - 1]! ^= 1;
      for (const wrong of [
        even,
        modulus.slice(1),
        modulus.slice(0, 255),
        concat(Uint8Array.of(0), modulus),
        new Uint8Array(size),
        new Uint8Array(0),
        concat(new Uint8Array(520 - size).fill(0xff), modulus),
      ]) {
        // The signature as long as the modulus, so that the modulus alone is to blame.
        const same = new Uint8Array(wrong.length);
        same.set(signature.subarray(0, wrong.length));
        expect(verdict({ ...good, modulus: wrong, signature: same })).toBe(0);
        expect(verdict({ ...good, modulus: wrong })).toBe(0);
      }
    });

    it('refuses exponents that are even, below 3, fractional or beyond 32 bits', () => {
      for (const wrong of [0, 1, 2, 65536, -3, 3.5, Number.NaN, 2 ** 32 + exponent, 2 ** 32 - 2]) {
        expect(verdict({ ...good, exponent: wrong })).toBe(0);
      }
    });

    it('judges as OpenSSL does when a random bit is flipped', () => {
      fc.assert(
        fc.property(fc.nat(size * 8 - 1), (bit) => {
          const changed = signature.slice();
          changed[bit >> 3]! ^= 1 << (bit & 7);
          const item = { ...good, signature: changed };
          expect(verdict(item) === 1).toBe(nativeVerdict(privateKey, item));
        }),
        { numRuns: 10 },
      );
    });
  });

  it('gives the verdicts of a mixed batch in its order, and an empty one for none', () => {
    const items = keys.flatMap((k): RsaItem[] => {
      const signature = new Uint8Array(sign('sha512', MESSAGE, k.privateKey));
      const item = { modulus: k.modulus, exponent: k.exponent, signature, message: MESSAGE };
      return [item, { ...item, message: new Uint8Array(3) }, { ...item, modulus: new Uint8Array(4) }];
    });
    expect([...verifyBatch(items)]).toEqual(keys.flatMap(() => [1, 0, 0]));
    expect(verifyBatch([])).toEqual(new Uint8Array(0));
  });

  it.each(extreme.map((c) => [`${c.name}, e = ${c.exponent}`, c] as const))('modulus %s', (_name, c) => {
    const modulus = fromHex(c.modulus);
    const item = {
      modulus,
      exponent: c.exponent,
      signature: fromHex(c.signature),
      message: fromHex(c.message),
    };
    expect(verdict(item)).toBe(1);
    expect(verdict({ ...item, message: MESSAGE })).toBe(0);
    expect(verdict({ ...item, signature: toBytes(toBigInt(modulus) - 1n, modulus.length) })).toBe(0);
  });

  it('refuses what is not bytes', () => {
    const item = {
      modulus: new Uint8Array(256),
      exponent: 3,
      signature: new Uint8Array(256),
      message: MESSAGE,
    };
    expect(() => verifyBatch([{ ...item, signature: 'x' as unknown as Uint8Array }])).toThrow(TypeError);
  });
});

describe('the primitive s^e mod n against BigInt', () => {
  const { x, bytes } = bareModule(4);
  const base = x.arenaBase();

  function power(modulus: Uint8Array, signature: Uint8Array, exponent: number): bigint | null {
    bytes.set(modulus, base);
    bytes.set(signature, base + 512);
    if (x.rsaPower(base, modulus.length, base + 512, exponent, base + 1024) === 0) return null;
    return toBigInt(bytes.slice(base + 1024, base + 1024 + modulus.length));
  }

  function dumbPower(s: bigint, exponent: number, n: bigint): bigint {
    let out = 1n;
    for (const bit of exponent.toString(2)) out = (((out * out) % n) * (bit === '1' ? s : 1n)) % n;
    return out;
  }

  /** Numbers made of limbs of 27 bits at their extremes, which is where a bound would break. */
  const LIMB = 27n;
  const limb = fc.constantFrom(
    0n,
    1n,
    2n ** 26n - 1n,
    2n ** 26n,
    2n ** 26n + 1n,
    2n ** 27n - 2n,
    2n ** 27n - 1n,
  );
  const anyLimb = fc.oneof({ weight: 3, arbitrary: limb }, fc.bigInt(0n, 2n ** 27n - 1n));
  const pattern = fc.oneof(
    fc.array(anyLimb, { minLength: 152, maxLength: 152 }),
    fc.tuple(anyLimb, anyLimb).map(([a, b]) => Array.from({ length: 152 }, (_, i) => (i % 2 === 0 ? a : b))),
    anyLimb.map((a) => Array<bigint>(152).fill(a)),
  );
  const number = pattern.map((limbs) => limbs.reduce((sum, l, i) => sum | (l << (LIMB * BigInt(i))), 0n));

  it('agrees for moduli and signatures of extreme limbs, at every size', () => {
    let done = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 2048, max: 4096 }),
        number,
        number,
        fc.constantFrom(3, 5, 17, 65537, 0xffffffff),
        (bits, top, low, exponent) => {
          const mask = (1n << BigInt(bits)) - 1n;
          const n = (top & mask) | 1n | (1n << BigInt(bits - 1));
          const size = Math.ceil(bits / 8);
          for (const s of [
            low & mask,
            (low & mask) % n,
            n - 1n - (low & 0xffn),
            (1n << BigInt(bits - 1)) - 1n,
          ]) {
            if (s < 0n) continue;
            const got = power(toBytes(n, size), toBytes(s, size), exponent);
            if (s >= n) expect(got).toBe(null);
            else expect(got).toBe(dumbPower(s, exponent, n));
            done++;
          }
        },
      ),
      { numRuns: 40 },
    );
    expect(done).toBeGreaterThan(80);
  });

  it('refuses moduli and exponents outside its range', () => {
    const odd = new Uint8Array(300).fill(0xff);
    const s = new Uint8Array(512).fill(1);
    const even = odd.slice();
    even[299] = 0xfe;
    const small = odd.slice(0, 256);
    small[0] = 0x7f;
    expect(power(odd, s.subarray(0, 300), 3)).not.toBe(null);
    expect(power(even, s.subarray(0, 300), 3)).toBe(null);
    expect(power(small, s.subarray(0, 256), 3)).toBe(null);
    expect(power(concat(Uint8Array.of(0), odd), concat(Uint8Array.of(0), s.subarray(0, 300)), 3)).toBe(null);
    for (const exponent of [0, 1, 2, 65536]) expect(power(odd, s.subarray(0, 300), exponent)).toBe(null);
  });

  it('agrees where the number of limbs changes', () => {
    for (let bits = 2048; bits <= 4096; bits++) {
      // Around a multiple of 27 in bits, or in the bits of whole bytes, is where a digit count could be one too small.
      if ((bits + 2) % 27 > 2 && (8 * Math.ceil(bits / 8) + 2) % 27 > 2 && bits < 4090) continue;
      const n = (1n << BigInt(bits)) - 1n;
      const s = n - 2n ** 100n;
      const size = Math.ceil(bits / 8);
      // 65537 too: a modulus that leaves no room above itself lets the numbers grow with every squaring.
      for (const e of [3, 65537])
        expect(power(toBytes(n, size), toBytes(s, size), e), `${bits} bits`).toBe(dumbPower(s, e, n));
      // All ones, and a single high bit that a limb too few would lose.
      for (const over of [(1n << BigInt(8 * size)) - 1n, (1n << BigInt(8 * size - 1)) + 1n]) {
        if (over >= n)
          expect(power(toBytes(n - 2n, size), toBytes(over, size), 3), `${bits} bits, s >= n`).toBe(null);
      }
    }
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import {
  aesCbcDecrypt,
  aesCbcDecryptSelfContained,
  aesCbcEncrypt,
  aesCbcEncryptSelfContained,
  aesGcmDecrypt,
  aesGcmDecryptSelfContained,
  aesGcmEncrypt,
  aesGcmEncryptSelfContained,
  chacha20Poly1305Decrypt,
  chacha20Poly1305Encrypt,
  chachaLegacy,
  chachaLegacyDecryptSelfContained,
  chachaLegacyEncryptSelfContained,
  decryptWithPassword,
  encryptWithPassword,
  hkdfSha3_512,
  mlKem1024,
  p521,
  passwordKey,
  randomBytes,
  sha3_256,
  sha3_512,
  sha256,
  sha512,
  wipe,
} from '../../src/identity/index.js';
import { restrictRuntime } from '../../src/identity/runtime.js';
import { concatBytes, DecodeError, fromHex, toHex } from '../../src/wire/index.js';

afterEach(() => restrictRuntime());

const ixian = new TextEncoder().encode('ixian');
const count = (n: number, from = 0): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (from + i) & 255);

const roads = [
  ['node:crypto', {}],
  ['portable code', { node: true, subtle: true }],
] as const;

describe.each(roads)('with %s', (_name, without) => {
  it('hashes agree with the standards’ own examples', () => {
    restrictRuntime(without);
    expect(toHex(sha256(ixian.subarray(0, 0)))).toMatch(/^e3b0c44298fc1c149afbf4c8996fb924/);
    expect(toHex(sha3_256(ixian.subarray(0, 0)))).toMatch(/^a7ffc6f8bf1ed76651c14756a061d662/);
    expect(toHex(sha512(ixian))).toMatch(/^f1cceb655e614f6621cf71b523236403/);
    expect(toHex(sha3_512(ixian))).toMatch(/^e9a5f6666f4dc96469793084ab119db1/);
    expect(sha512(ixian).constructor).toBe(Uint8Array);
  });

  it('password encryption gives the bytes of 02 §8.2', () => {
    restrictRuntime(without);
    const salt = count(16);
    const hex = toHex(salt);
    expect(toHex(passwordKey('password123', salt))).toBe('20317498bf4c3afdf37d5b83f5a9d337');
    const gcm = encryptWithPassword(ixian, 'password123', 'gcm', salt, count(12, 0x20));
    expect(toHex(gcm)).toBe(`${hex}202122232425262728292a2bf192fbb8b2149746a658e14599aaaa59fa2c3c8a6f`);
    const cbc = encryptWithPassword(ixian, 'password123', 'cbc', salt, count(16, 0x20));
    expect(toHex(cbc)).toBe(`${hex}202122232425262728292a2b2c2d2e2f9ffaf93e1cdb1183af24258b1294f827`);
    expect(decryptWithPassword(gcm, 'password123')).toEqual(ixian);
    expect(decryptWithPassword(cbc, 'password123', 'cbc')).toEqual(ixian);
    expect(decryptWithPassword(gcm, 'password124')).toBe(null);
    expect(decryptWithPassword(gcm.subarray(0, 40), 'password123')).toBe(null);
  });

  it('GCM in the old form with a 16-byte IV is still opened', () => {
    restrictRuntime(without);
    const salt = toHex(count(16));
    const iv = toHex(count(16, 0x20));
    const old = fromHex(`${salt}${iv}2da245189577c8014e4b38d50c513d32e7d6f1ff96`);
    expect(decryptWithPassword(old, 'password123')).toEqual(ixian);
    const key = count(32);
    expect(
      aesGcmDecryptSelfContained(key, concatBytes(count(16), aesGcmEncrypt(key, count(16), ixian))),
    ).toEqual(ixian);
  });

  it('AES forms open what they sealed and nothing that was changed', () => {
    restrictRuntime(without);
    for (const keyBytes of [16, 24, 32]) {
      const key = count(keyBytes, 3);
      for (const size of [0, 1, 15, 16, 17, 300]) {
        const plain = count(size);
        const gcm = aesGcmEncryptSelfContained(key, plain);
        expect(gcm.length).toBe(12 + size + 16);
        expect(aesGcmDecryptSelfContained(key, gcm)).toEqual(plain);
        for (const at of [0, 11, 12, gcm.length - 1]) {
          const bad = new Uint8Array(gcm);
          bad[at]! ^= 0x80;
          expect(aesGcmDecryptSelfContained(key, bad)).toBe(null);
        }
        const cbc = aesCbcEncryptSelfContained(key, plain);
        expect(aesCbcDecryptSelfContained(key, cbc)).toEqual(plain);
        expect(aesCbcDecryptSelfContained(key, cbc.subarray(0, cbc.length - 1))).toBe(null);
      }
    }
  });

  it('misuse is a RangeError, short input null', () => {
    restrictRuntime(without);
    expect(() => aesGcmEncrypt(count(31), count(12), ixian)).toThrow(RangeError);
    expect(() => aesGcmDecrypt(count(32), count(11), count(40))).toThrow(RangeError);
    expect(() => aesCbcEncrypt(count(32), count(12), ixian)).toThrow(RangeError);
    expect(() => aesCbcDecrypt(count(5), count(16), ixian)).toThrow(RangeError);
    expect(aesGcmDecrypt(count(32), count(12), count(15))).toBe(null);
    expect(aesGcmDecryptSelfContained(count(32), count(27))).toBe(null);
    expect(aesCbcDecrypt(count(32), count(16), new Uint8Array(0))).toBe(null);
    expect(aesCbcDecryptSelfContained(count(32), count(31))).toBe(null);
  });
});

it('both roads give the same bytes', () => {
  const sealed = roads.map(([, without]) => {
    restrictRuntime(without);
    return [
      aesGcmEncrypt(count(32), count(12), count(1000)),
      aesGcmEncrypt(count(16), count(16), count(1000)),
      aesCbcEncrypt(count(24), count(16), count(1000)),
      passwordKey('pässword', count(16)),
      ...[0, 200, 1024, 1025, 5000].flatMap((n) => [sha512(count(n)), sha3_512(count(n))]),
    ].map(toHex);
  });
  expect(sealed[0]).toEqual(sealed[1]);
});

describe('ChaCha', () => {
  it('legacy form: the examples of 02 §8.3, and the caller’s nonce stays as it was', () => {
    const key = count(32);
    expect(toHex(chachaLegacyEncryptSelfContained(key, ixian, fromHex('a011223344556677')))).toBe(
      'a011223344556677d391821929',
    );
    const nonce = fromHex('0011223344556677');
    const sealed = chachaLegacyEncryptSelfContained(key, ixian, nonce);
    expect(toHex(sealed)).toBe('01112233445566777bb7073ad2');
    expect(toHex(nonce)).toBe('0011223344556677');
    expect(chachaLegacyDecryptSelfContained(key, sealed)).toEqual(ixian);
    sealed[0] = 0;
    expect(chachaLegacyDecryptSelfContained(key, sealed)).toEqual(ixian);
    expect(chachaLegacyDecryptSelfContained(key, sealed.subarray(0, 7))).toBe(null);
    expect(chachaLegacy(key, count(12), ixian)).toBe(null);
    expect(() => chachaLegacyEncryptSelfContained(key, ixian, count(7))).toThrow(RangeError);
    expect(() => chachaLegacy(count(31), count(8), ixian)).toThrow(RangeError);
    for (let i = 0; i < 50; i++) expect(chachaLegacyEncryptSelfContained(key, ixian)[0]).not.toBe(0);
  });

  it('legacy form over several blocks is an involution with a 16-byte key too', () => {
    const data = count(1000);
    for (const key of [count(32), count(16)]) {
      const once = chachaLegacy(key, count(8, 1), data)!;
      expect(once).not.toEqual(data);
      expect(chachaLegacy(key, count(8, 1), once)).toEqual(data);
    }
  });

  it('with Poly1305: the example of 02 §8.4; every part is authenticated', () => {
    const aad = new TextEncoder().encode('aad');
    const sealed = chacha20Poly1305Encrypt(count(32), count(12), ixian, aad);
    expect(toHex(sealed)).toBe('e0836161478983f03cb3407f124cc35e1109099d91');
    expect(chacha20Poly1305Decrypt(count(32), count(12), sealed, aad)).toEqual(ixian);
    expect(chacha20Poly1305Decrypt(count(32), count(12), sealed)).toBe(null);
    expect(chacha20Poly1305Decrypt(count(32), count(12, 1), sealed, aad)).toBe(null);
    expect(chacha20Poly1305Decrypt(count(32), count(12), sealed.subarray(1), aad)).toBe(null);
    expect(chacha20Poly1305Decrypt(count(32), count(12), sealed.subarray(0, 15), aad)).toBe(null);
    expect(() => chacha20Poly1305Encrypt(count(16), count(12), ixian)).toThrow(RangeError);
    expect(() => chacha20Poly1305Decrypt(count(32), count(8), sealed)).toThrow(RangeError);
  });
});

describe('key agreement', () => {
  it('HKDF: the examples of 02 §9.1', () => {
    const ikm = count(97);
    const info = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(toHex(hkdfSha3_512(ikm, 32, count(32), info('IXI AES Key')))).toBe(
      '7d0969e8f08b99253d292f9da558ddd3198e5c8d8091356d20011e5c2c599305',
    );
    expect(toHex(hkdfSha3_512(ikm, 32))).toBe(
      'a876f9cefe4303d328ce718debf1c13c67a6a90a65ef11e11b98869bc84f29c7',
    );
    expect(hkdfSha3_512(ikm, 32, new Uint8Array(0), new Uint8Array(0))).toEqual(hkdfSha3_512(ikm, 32));
    for (const n of [0, -1, 1.5, 255 * 64 + 1]) expect(() => hkdfSha3_512(ikm, n)).toThrow(RangeError);
  });

  it('P-521: both sides agree, and the secret has no leading zero', () => {
    for (let i = 0; i < 8; i++) {
      const [a, b] = [p521.generate(), p521.generate()];
      expect(a.publicKey.length).toBe(67);
      expect([2, 3]).toContain(a.publicKey[0]);
      expect(p521.publicKey(a.privateKey)).toEqual(a.publicKey);
      const secret = p521.sharedSecret(a.privateKey, b.publicKey);
      expect(p521.sharedSecret(b.privateKey, a.publicKey)).toEqual(secret);
      expect(secret[0]).not.toBe(0);
      expect(p521.sharedSecret(concatBytes(new Uint8Array(9), a.privateKey), b.publicKey)).toEqual(secret);
      expect(secret.length).toBeLessThanOrEqual(66);
    }
    const known = p521.sharedSecret(Uint8Array.of(1), p521.publicKey(Uint8Array.of(2)));
    expect(toHex(known)).toMatch(/^433c219024277e7e682fcb28/);
    expect(known.length).toBe(65);
  });

  it('P-521 refuses points off the curve, infinity and unusable scalars', () => {
    const { privateKey, publicKey } = p521.generate();
    const off = new Uint8Array(133).fill(7);
    off[0] = 4;
    for (const bad of [new Uint8Array(0), Uint8Array.of(0), publicKey.subarray(1), off])
      expect(() => p521.sharedSecret(privateKey, bad)).toThrow(DecodeError);
    for (const bad of [
      new Uint8Array(66),
      new Uint8Array(0),
      new Uint8Array(66).fill(255),
      new Uint8Array(67).fill(1),
    ])
      expect(() => p521.publicKey(bad)).toThrow(DecodeError);
  });

  it('ML-KEM-1024: both sides agree; a damaged ciphertext gives another secret, a wrong length an error', () => {
    const { privateKey, publicKey } = mlKem1024.keygen();
    expect([privateKey.length, publicKey.length]).toEqual([3168, 1568]);
    const { ciphertext, sharedSecret } = mlKem1024.encapsulate(publicKey);
    expect(ciphertext.length).toBe(1568);
    expect(mlKem1024.decapsulate(ciphertext, privateKey)).toEqual(sharedSecret);
    ciphertext[77]! ^= 1;
    expect(mlKem1024.decapsulate(ciphertext, privateKey)).not.toEqual(sharedSecret);
    expect(() => mlKem1024.decapsulate(ciphertext.subarray(1), privateKey)).toThrow(DecodeError);
    expect(() => mlKem1024.decapsulate(ciphertext, privateKey.subarray(1))).toThrow(DecodeError);
    expect(() => mlKem1024.decapsulate(ciphertext, new Uint8Array(3168).fill(255))).toThrow(DecodeError);
    expect(() => mlKem1024.encapsulate(publicKey.subarray(1))).toThrow(DecodeError);
    expect(() => mlKem1024.encapsulate(new Uint8Array(1568).fill(255))).toThrow(DecodeError);
    const seed = count(64);
    expect(mlKem1024.keygen(seed)).toEqual(mlKem1024.keygen(seed));
    expect(() => mlKem1024.keygen(count(63))).toThrow(DecodeError);
  });
});

it('random bytes come in any amount, and secrets can be wiped', () => {
  expect(randomBytes(0).length).toBe(0);
  const many = randomBytes(200_000);
  expect(many.length).toBe(200_000);
  expect(new Set(many).size).toBe(256);
  expect(many.subarray(131_072).some((b) => b !== 0)).toBe(true);
  wipe(many, null, undefined);
  expect(many.every((b) => b === 0)).toBe(true);
});

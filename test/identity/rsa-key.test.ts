import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  addressFromKey,
  createSigner,
  createVerifyEngine,
  decodePrivateKey,
  decodePublicKey,
  encodePrivateKey,
  encodePublicKey,
  exportPem,
  generateRsaPrivateKey,
  importPem,
  isConsistentPrivateKey,
  isRsaPublicKey,
  type KeyProgress,
  pemCharsMax,
  privateKeyFromJwk,
  privateKeyToJwk,
  publicKeyOf,
  RsaDecryptError,
  rsaOaepEncrypt,
  WalletError,
} from '../../src/identity/index.js';
import { restrictRuntime } from '../../src/identity/runtime.js';
import { concatBytes, DecodeError, toHex } from '../../src/wire/index.js';
import { fixture, hex, walletKey } from './fixtures.js';
import { keyWithPaddedExponent } from './padded-key.js';

afterEach(() => restrictRuntime());

const message = new TextEncoder().encode('message');

/** The three roads a runtime may offer: Node, a browser, a page without a secure context. */
const roads = [
  ['node:crypto', {}],
  ['WebCrypto', { node: true }],
  ['node-forge', { node: true, subtle: true }],
] as const;

describe('serialized keys', () => {
  it('hold the numbers of the test wallets', () => {
    for (const name of ['w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'signer']) {
      const parts = fixture('wallets.json', name).in.parts as Record<string, string>;
      const key = decodePrivateKey(walletKey(name));
      for (const part of ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qInv'] as const)
        expect(toHex(key[part]), `${name}.${part}`).toBe(parts[part]);
      expect(isConsistentPrivateKey(key)).toBe(true);
      expect(key.bits).toBe(name === 'signer' ? 2048 : 4096);
    }
  });

  it('have the lengths of 02 §2.1 in both forms', () => {
    const big = decodePrivateKey(walletKey('w0'));
    const small = decodePrivateKey(walletKey('signer'));
    expect(encodePublicKey(big).length).toBe(528);
    expect(encodePublicKey({ ...big, addressVersion: null }).length).toBe(523);
    expect(encodePrivateKey(big).length).toBe(2344);
    expect(encodePrivateKey({ ...big, addressVersion: null }).length).toBe(2339);
    expect(encodePublicKey(small).length).toBe(272);
    expect(encodePrivateKey(small).length).toBe(1192);
    expect(encodePrivateKey(big)).toEqual(walletKey('w0'));
  });

  it('in bare form exist only where the length cannot be misread', () => {
    const bare = encodePublicKey({ ...decodePublicKey(publicKeyOf(walletKey('w0'))), addressVersion: null });
    expect(decodePublicKey(bare).addressVersion).toBe(null);
    expect(
      publicKeyOf(encodePrivateKey({ ...decodePrivateKey(walletKey('w0')), addressVersion: null })),
    ).toEqual(bare);
    const small = decodePublicKey(publicKeyOf(walletKey('signer')));
    expect(() => encodePublicKey({ ...small, addressVersion: null })).toThrow(RangeError);
    expect(() => encodePublicKey({ ...small, addressVersion: 256 })).toThrow(RangeError);
  });

  it('are told apart: public, private, neither', () => {
    const blob = walletKey('signer');
    expect(isRsaPublicKey(publicKeyOf(blob))).toBe(true);
    expect(isRsaPublicKey(blob)).toBe(false);
    expect(isRsaPublicKey(concatBytes(publicKeyOf(blob), Uint8Array.of(0)))).toBe(false);
    expect(isRsaPublicKey(addressFromKey(publicKeyOf(blob)))).toBe(false);
    expect(() => decodePrivateKey(publicKeyOf(blob))).toThrow(DecodeError);
    expect(() => publicKeyOf(publicKeyOf(blob))).toThrow(DecodeError);
  });

  it('when damaged are a DecodeError or another key, never anything else', () => {
    const blob = walletKey('signer');
    fc.assert(
      fc.property(
        fc.nat(blob.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(blob.length),
        (at, flip, cut) => {
          const damaged = blob.slice(0, cut === 0 ? blob.length : cut);
          if (at < damaged.length) damaged[at]! ^= flip;
          try {
            expect(decodePublicKey(damaged).n.length).toBeLessThanOrEqual(512);
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('cross to JSON Web Keys and back', () => {
    const blob = walletKey('w2');
    expect(privateKeyFromJwk(privateKeyToJwk(decodePrivateKey(blob)), 2)).toEqual(blob);
    const { dq: _dropped, ...rest } = privateKeyToJwk(decodePrivateKey(blob));
    expect(() => privateKeyFromJwk(rest, 1)).toThrow(/jwk\.dq/);
  });

  it('stand in JSON Web Keys without leading zeros, which browsers refuse', () => {
    const blob = keyWithPaddedExponent();
    const key = decodePrivateKey(blob);
    expect(key.d[0]).toBe(0);
    const { kty: _, ...numbers } = privateKeyToJwk(key);
    for (const [name, text] of Object.entries(numbers))
      expect([name, Buffer.from(text, 'base64url')[0]]).not.toEqual([name, 0]);
    expect(privateKeyFromJwk({ kty: 'RSA', ...numbers }, 2)).toEqual(blob);
  });
});

describe.each(roads)('signing over %s', (_name, without) => {
  it('gives the bytes of the reference', async () => {
    restrictRuntime(without);
    const c = fixture('02-identity.json', 'signature/create/signer2048');
    const signer = await createSigner(walletKey('signer'));
    expect(toHex(await signer.sign(hex(c.in.message)))).toBe(c.out.signature);
    expect(signer.publicKey).toEqual(publicKeyOf(walletKey('signer')));
    expect(signer.address).toEqual(addressFromKey(signer.publicKey));
  });

  it('opens what every other road sealed, and fails in one way only', async () => {
    const blob = walletKey('signer');
    const secret = new TextEncoder().encode('two keys');
    const sealed: Uint8Array[] = [];
    for (const [, road] of roads) {
      restrictRuntime(road);
      sealed.push(await rsaOaepEncrypt(publicKeyOf(blob), secret));
    }
    restrictRuntime(without);
    const signer = await createSigner(blob);
    for (const c of sealed) expect(await signer.decryptOaep(c)).toEqual(secret);
    const bad = new Uint8Array(sealed[0]!);
    bad[100]! ^= 1;
    const failures = [
      bad,
      new Uint8Array(256),
      new Uint8Array(256).fill(255),
      new Uint8Array(255),
      new Uint8Array(0),
    ];
    const messages = new Set<string>();
    for (const f of failures) {
      const error: unknown = await signer.decryptOaep(f).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(RsaDecryptError);
      messages.add((error as Error).message);
    }
    expect(messages.size).toBe(1);
  });

  it('refuses too long a plaintext and unusable keys', async () => {
    restrictRuntime(without);
    const key = publicKeyOf(walletKey('signer'));
    expect((await rsaOaepEncrypt(key, new Uint8Array(214))).length).toBe(256);
    await expect(rsaOaepEncrypt(key, new Uint8Array(215))).rejects.toBeInstanceOf(RangeError);
    await expect(rsaOaepEncrypt(key.subarray(1), message)).rejects.toBeInstanceOf(DecodeError);
    const foreign = walletKey('signer');
    // The last byte of d.
    foreign[foreign.length - 1]! ^= 2;
    await expect(createSigner(foreign)).rejects.toBeInstanceOf(DecodeError);
  });

  it('makes keys that sign', { timeout: 60_000 }, async () => {
    restrictRuntime(without);
    const told: KeyProgress[] = [];
    const blob = await generateRsaPrivateKey({
      bits: 1024,
      addressVersion: 2,
      onProgress: (p) => told.push(p),
    });
    const key = decodePrivateKey(blob);
    expect([key.bits, key.addressVersion, toHex(key.e)]).toEqual([1024, 2, '010001']);
    expect(isConsistentPrivateKey(key)).toBe(true);
    expect(told.length).toBeGreaterThanOrEqual(2);
    expect(told.at(-1)!.elapsedMs).toBeGreaterThanOrEqual(told[0]!.elapsedMs);
    expect(told[0]!.expectedMs).toBeGreaterThan(0);
    const signature = await (await createSigner(blob)).sign(message);
    const engine = await createVerifyEngine();
    expect(await engine.verify([{ key: publicKeyOf(blob), message, signature }])).toEqual([true]);
    await engine.close();
  });
});

describe('generating keys', () => {
  it('refuses sizes and versions nobody can use', async () => {
    for (const options of [{ bits: 512 }, { bits: 8192 }, { bits: 2047 }, { addressVersion: 3 }])
      await expect(generateRsaPrivateKey(options)).rejects.toBeInstanceOf(RangeError);
  });

  it('leaves the thread free and tells how long it has taken', { timeout: 60_000 }, async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const blob = await generateRsaPrivateKey({ bits: 2048 });
    clearInterval(timer);
    expect(blob.length).toBe(1192);
    expect(turns).toBeGreaterThan(0);
  });
});

it('a signer shows nothing of its key', async () => {
  const blob = walletKey('signer');
  const signer = await createSigner(blob);
  const shown = inspect(signer, { depth: 10, showHidden: true }) + JSON.stringify(signer);
  const secret = decodePrivateKey(blob);
  for (const part of [secret.d, secret.p, secret.q, secret.dp, secret.dq, secret.qInv]) {
    expect(shown).not.toContain(toHex(part).slice(0, 32));
    expect(shown).not.toContain([...part.subarray(0, 12)].join(','));
    expect(shown).not.toContain(Buffer.from(part).toString('base64url').slice(0, 30));
  }
  // The blob may be wiped once the signer exists.
  blob.fill(0);
  expect((await signer.sign(message)).length).toBe(256);
});

describe('PEM', () => {
  const code = (f: () => unknown): unknown => {
    try {
      f();
    } catch (error) {
      return error instanceof WalletError ? error.code : error;
    }
    return 'nothing thrown';
  };

  it('carries keys out and in again, in all forms', () => {
    for (const name of ['w0', 'signer']) {
      const blob = walletKey(name);
      const version = blob[0] as 0 | 1 | 2;
      expect(importPem(exportPem(blob), version)).toEqual(blob);
      expect(importPem(exportPem(blob, 'pkcs1'), version)).toEqual(blob);
      expect(importPem(exportPem(blob, 'spki'), version)).toEqual(publicKeyOf(blob));
      expect(importPem(exportPem(publicKeyOf(blob)), version)).toEqual(publicKeyOf(blob));
      expect(importPem(exportPem(publicKeyOf(blob), 'pkcs1'), version)).toEqual(publicKeyOf(blob));
    }
  });

  it('is what OpenSSL writes and reads', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    for (const type of ['pkcs8', 'pkcs1'] as const) {
      const pem = privateKey.export({ type, format: 'pem' }) as string;
      expect(exportPem(importPem(pem), type)).toBe(pem);
    }
    for (const type of ['spki', 'pkcs1'] as const) {
      const pem = publicKey.export({ type, format: 'pem' }) as string;
      expect(exportPem(importPem(`some text\n${pem}more text`), type)).toBe(pem);
    }
  });

  it('that holds no usable RSA key is refused by name', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    });
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 1024 }).privateKey;
    const locked = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const cipher = { cipher: 'aes-128-cbc', passphrase: 'x' };
    const small = generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey;
    const good = exportPem(walletKey('signer'));
    const texts = [
      '',
      'no key',
      ec as string,
      pss.export({ type: 'pkcs8', format: 'pem' }) as string,
      locked.export({ type: 'pkcs8', format: 'pem', ...cipher }) as string,
      locked.export({ type: 'pkcs1', format: 'pem', ...cipher }) as string,
      small.export({ type: 'pkcs8', format: 'pem' }) as string,
      good.replace(/\n-----END/, '*\n-----END'),
      good.replace('BEGIN PRIVATE', 'BEGIN PUBLIC').replace('END PRIVATE', 'END PUBLIC'),
      good.replaceAll('PRIVATE KEY', 'CERTIFICATE'),
      good.replace(/[A-Za-z0-9+/]{4}=*\n-----END/, '\n-----END'),
      `${good}${' '.repeat(pemCharsMax)}`,
    ];
    for (const text of texts)
      expect(
        code(() => importPem(text)),
        text.slice(0, 200),
      ).toBe('PEM');
    expect(code(() => importPem(texts[4]!))).toBe('PEM');
    expect(() => importPem(texts[4]!)).toThrow(/encrypted/);
    expect(code(() => exportPem(publicKeyOf(walletKey('signer')), 'pkcs8'))).toBe('PEM');
  });

  it('with numbers that do not belong together is refused', () => {
    const key = decodePrivateKey(walletKey('signer'));
    const twisted = encodePrivateKey({ ...key, dp: key.dq, dq: key.dp });
    expect(code(() => importPem(exportPem(twisted)))).toBe('PEM');
  });
});

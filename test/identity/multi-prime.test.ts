import { createPrivateKey, sign as nodeSign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import { keyOfPrimes, primesFit } from '../../src/identity/generate-multi-prime.js';
import {
  createSigner,
  createVerifyEngine,
  decodePrivateKey,
  decodePublicKey,
  decodeWalletFile,
  encodeWalletFile,
  exportPem,
  generateRsaPrivateKey,
  importPem,
  isMultiPrimeBlob,
  isRsaPublicKey,
  primesOf,
  publicKeyOfPrivate,
  rsaOaepEncrypt,
  Wallet,
  WalletError,
  walletPasswordMatches,
} from '../../src/identity/index.js';
import {
  decodeMultiPrimeKey,
  encodeMultiPrimeKey,
  isConsistentMultiPrimeKey,
} from '../../src/identity/multi-prime.js';
import { loadWalletFile, saveWalletFile } from '../../src/identity/node/index.js';
import { bytesToBigInt } from '../../src/identity/numbers.js';
import { restrictRuntime } from '../../src/identity/runtime.js';
import { verifyEngineNames } from '../../src/identity/verify/index.js';
import { DecodeError, fromHex, toHex } from '../../src/wire/index.js';
import { walletKey } from './fixtures.js';
import { FOUR_PRIMES_PKCS1, FOUR_PRIMES_PKCS8, SIGNATURE_HEX, SIGNED_TEXT } from './four-prime-key.js';

enableRelaxedSimd();
afterEach(() => restrictRuntime());

const blob = importPem(FOUR_PRIMES_PKCS8);
const message = new TextEncoder().encode(SIGNED_TEXT);
const PASSWORD = 'correct horse battery';

const errorOf = (f: () => unknown): unknown => {
  try {
    f();
  } catch (e) {
    return e;
  }
  return null;
};

describe('keys of four primes', () => {
  it('are read as OpenSSL writes them and written byte for byte the same', () => {
    expect(isMultiPrimeBlob(blob)).toBe(true);
    expect(primesOf(blob)).toBe(4);
    expect(toHex(importPem(FOUR_PRIMES_PKCS1))).toBe(toHex(blob));
    expect(exportPem(blob)).toBe(FOUR_PRIMES_PKCS8);
    expect(exportPem(blob, 'pkcs1')).toBe(FOUR_PRIMES_PKCS1);
    // What we write, OpenSSL signs with as before.
    const key = createPrivateKey(exportPem(blob));
    expect(nodeSign('sha512', message, key).toString('hex')).toBe(SIGNATURE_HEX);
  });

  it('have a public key like any other, in the same form', () => {
    const publicKey = publicKeyOfPrivate(blob);
    expect(publicKey.length).toBe(528);
    expect(isRsaPublicKey(publicKey)).toBe(true);
    expect(decodePublicKey(publicKey).bits).toBe(4096);
    expect(exportPem(blob, 'spki')).toBe(exportPem(publicKey, 'spki'));
  });

  it('are refused by readers of the network’s own form', () => {
    expect(isRsaPublicKey(blob)).toBe(false);
    expect(() => decodePrivateKey(blob)).toThrow(DecodeError);
    expect(() => decodePublicKey(blob)).toThrow(DecodeError);
  });

  it('sign as OpenSSL signs, and every engine accepts it', async () => {
    const signer = await createSigner(blob);
    const signature = await signer.sign(message);
    expect(toHex(signature)).toBe(SIGNATURE_HEX);
    for (const name of verifyEngineNames) {
      const engine = await createVerifyEngine(name);
      const item = { key: signer.publicKey, message, signature };
      const bad = { ...item, signature: signature.map((b, i) => (i === 200 ? b ^ 1 : b)) };
      expect(await engine.verify([item, bad]), name).toEqual([true, false]);
      await engine.close();
    }
  });

  it('open what was encrypted for them', async () => {
    const signer = await createSigner(blob);
    const secret = fromHex('00112233445566778899aabbccddeeff');
    expect(toHex(await signer.decryptOaep(await rsaOaepEncrypt(signer.publicKey, secret)))).toBe(
      toHex(secret),
    );
    await expect(signer.decryptOaep(new Uint8Array(512))).rejects.toThrow('does not open');
  });

  it('need node:crypto, and say so', async () => {
    restrictRuntime({ node: true });
    await expect(createSigner(blob)).rejects.toThrow('node:crypto');
    await expect(generateRsaPrivateKey({ primes: 4 })).rejects.toThrow(RangeError);
  });

  it('any number changed makes them inconsistent: no signature is made with them', async () => {
    const good = decodeMultiPrimeKey(blob);
    const spoilt = (b: Uint8Array): Uint8Array => b.map((x, i) => (i === b.length - 1 ? x ^ 2 : x));
    for (const f of ['n', 'd', 'p', 'q', 'dp', 'dq', 'qInv'] as const) {
      const bad = { ...good, [f]: spoilt(good[f]) };
      expect(isConsistentMultiPrimeKey(bad), f).toBe(false);
      await expect(createSigner(encodeMultiPrimeKey(bad)), f).rejects.toThrow(DecodeError);
    }
    for (const i of [0, 1])
      for (const f of ['prime', 'exponent', 'coefficient'] as const) {
        const others = good.others.map((o, k) => (k === i ? { ...o, [f]: spoilt(o[f]) } : o));
        expect(isConsistentMultiPrimeKey({ ...good, others }), `${i}.${f}`).toBe(false);
        expect(() => importPem(exportPem(encodeMultiPrimeKey({ ...good, others })))).toThrow(WalletError);
      }
    const twice = { ...good, others: [good.others[0]!, good.others[0]!] };
    expect(isConsistentMultiPrimeKey(twice)).toBe(false);
  });

  it('cut or stretched they are DecodeErrors, at every length', () => {
    for (let n = 0; n < blob.length; n += 7) {
      const e = errorOf(() => decodeMultiPrimeKey(blob.slice(0, n)));
      expect(e, String(n)).toBeInstanceOf(DecodeError);
    }
    expect(errorOf(() => decodeMultiPrimeKey(Uint8Array.from([...blob, 0])))).toBeInstanceOf(DecodeError);
    const five = { ...decodeMultiPrimeKey(blob) };
    expect(() => encodeMultiPrimeKey({ ...five, others: [...five.others, five.others[0]!] })).toThrow(
      RangeError,
    );
    expect(() => encodeMultiPrimeKey({ ...five, others: [] })).toThrow(RangeError);
  });

  it('are generated with 4096 bits, distinct primes and e = 65537', async () => {
    const made = await generateRsaPrivateKey({ primes: 4 });
    const key = decodeMultiPrimeKey(made);
    expect(key.bits).toBe(4096);
    expect(toHex(key.e)).toBe('010001');
    const primes = [key.p, key.q, ...key.others.map((o) => o.prime)].map(bytesToBigInt);
    expect(new Set(primes).size).toBe(4);
    expect(primesFit(primes)).toBe(true);
    expect(isConsistentMultiPrimeKey(key)).toBe(true);
    expect(toHex(keyOfPrimes(primes, 1))).toBe(toHex(made));
    // OpenSSL's own check of every number and every prime.
    const signer = await createSigner(made);
    const engine = await createVerifyEngine('native-sync');
    const signature = await signer.sign(message);
    expect(await engine.verify([{ key: signer.publicKey, message, signature }])).toEqual([true]);
    await expect(generateRsaPrivateKey({ primes: 4, bits: 2048 })).rejects.toThrow(RangeError);
  });

  it('primes that do not fit are not taken: too small a product, too close, p − 1 divisible by e', () => {
    const key = decodeMultiPrimeKey(blob);
    const [p, q, r, s] = [key.p, key.q, ...key.others.map((o) => o.prime)].map(bytesToBigInt) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    expect(primesFit([p, q, r, s])).toBe(true);
    expect(primesFit([p, q, r, r])).toBe(false);
    expect(primesFit([p, q, r, r + (1n << 900n)])).toBe(false);
    expect(primesFit([p, q, r, 3n << 1022n])).toBe((p * q * r * (3n << 1022n)) >> 4095n === 1n);
    expect(primesFit([p, q, r, 1n << 1000n])).toBe(false);
    expect(primesFit([p, q, r, (s / 65_537n) * 65_537n + 1n])).toBe(false);
  });
});

describe('relay wallets', () => {
  const wallet = Wallet.create(blob);

  it('have a container of their own, which holds all there is', () => {
    const w = Wallet.create(blob);
    w.nextAddress();
    const file = encodeWalletFile(w, PASSWORD);
    expect(new TextDecoder().decode(file.subarray(0, 3))).toBe('SRW');
    expect(file[3]).toBe(1);
    expect(walletPasswordMatches(file, PASSWORD)).toBe(true);
    const back = decodeWalletFile(file, PASSWORD);
    expect(toHex(back.exportPrivateKey())).toBe(toHex(blob));
    expect([back.primes, back.version, back.viewOnly]).toEqual([4, 5, false]);
    expect(back.addresses.map((a) => toHex(a.address))).toEqual(w.addresses.map((a) => toHex(a.address)));
  });

  it('cannot be written in the reference’s format', () => {
    const e = errorOf(() => encodeWalletFile(wallet, PASSWORD, { referenceFormat: true }));
    expect(e).toBeInstanceOf(WalletError);
    expect((e as WalletError).code).toBe('MULTI_PRIME');
    // Without its private key nothing is left that would not fit.
    const view = encodeWalletFile(wallet.toViewOnly(), PASSWORD, { referenceFormat: true });
    expect(decodeWalletFile(view, PASSWORD).viewOnly).toBe(true);
    expect(() => new Wallet({ version: 4, privateKey: blob, publicKey: wallet.publicKey })).toThrow(
      WalletError,
    );
  });

  it('a wrong password, a cut and a flipped bit are told, and never a wallet', () => {
    const file = encodeWalletFile(wallet, PASSWORD);
    const codeOf = (bytes: Uint8Array, password = PASSWORD): string => {
      const e = errorOf(() => decodeWalletFile(bytes, password));
      expect(e).toBeInstanceOf(WalletError);
      return (e as WalletError).code;
    };
    expect(codeOf(file, 'wrong horse battery')).toBe('WRONG_PASSWORD');
    for (const n of [0, 3, 4, 5, 40, file.length - 1]) codeOf(file.slice(0, n));
    for (let at = 0; at < file.length; at += 401)
      codeOf(file.map((b, i) => (i === at ? b ^ (1 << (at % 8)) : b)));
    codeOf(file.map((b, i) => (i === file.length - 1 ? b ^ 0x80 : b)));
  });

  it('a file may not claim the other kind', () => {
    // Same password, same bytes inside: only the version at the front differs.
    const five = Uint8Array.of(5, 0, 0, 0);
    const relay = Uint8Array.of(0x53, 0x52, 0x57, 1);
    const swap = (file: Uint8Array, head: Uint8Array): Uint8Array =>
      file.map((b, i) => (i < 4 ? head[i]! : b));
    const plain = encodeWalletFile(Wallet.create(walletKey('w0')), PASSWORD);
    for (const bytes of [swap(encodeWalletFile(wallet, PASSWORD), five), swap(plain, relay)])
      expect((errorOf(() => decodeWalletFile(bytes, PASSWORD)) as WalletError).code).toBe('CORRUPT');
  });

  it('their file is readable by its owner alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'starling-relay-wallet-'));
    try {
      const path = join(folder, 'relay.wal');
      await saveWalletFile(path, wallet, PASSWORD);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect((await loadWalletFile(path, PASSWORD)).primes).toBe(4);
      writeFileSync(path, readFileSync(path).subarray(0, 900));
      await expect(loadWalletFile(path, PASSWORD)).rejects.toMatchObject({ code: 'WRONG_PASSWORD' });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

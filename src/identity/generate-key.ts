import { fromHex } from '../wire/index.js';
import { loadForge } from './forge.js';
import { generateFourPrimeKey } from './generate-multi-prime.js';
import { encodePrivateKey, privateKeyFromJwk, rsaModulusBitsMax, rsaModulusBitsMin } from './rsa-key.js';
import { cryptoRuntime, type NodeCrypto } from './runtime.js';

/** Told while a key is being made; the search for primes has no known end, so `expectedMs` is a mean. */
export interface KeyProgress {
  readonly elapsedMs: number;
  /** Usual time on a machine of the last years; one key in ten takes more than twice as long. */
  readonly expectedMs: number;
}

export interface GenerateKeyOptions {
  /** Size of the modulus, 1024…4096 in steps of 8; wallets have 4096, proof-of-work keys 2048. */
  readonly bits?: number;
  /** First header byte, which decides the address version: 0, 1 or 2. */
  readonly addressVersion?: number;
  /** Primes of the modulus: 4 makes a relay's key (multi-prime.ts), of 4096 bits and in Node alone. Default 2. */
  readonly primes?: 2 | 4;
  readonly onProgress?: (progress: KeyProgress) => void;
}

/** How often progress is told. */
const progressIntervalMs = 200;

/** Mean time for 4096 bits by road; the work grows with the fourth power of the size. */
const EXPECTED_4096_MS = { native: 1500, forge: 60_000 } as const;

/** The only exponent the network uses (docs/protocol/02 §2.1). */
const EXPONENT = 65_537;

/**
 * A fresh serialized private key with header (02 §2.1). Made off the calling thread where node:crypto or
 * WebCrypto are there, else in small steps. Rejects with RangeError for unusable options.
 */
export async function generateRsaPrivateKey(options: GenerateKeyOptions = {}): Promise<Uint8Array> {
  const { bits = 4096, addressVersion = 1, primes = 2, onProgress } = options;
  if (!Number.isInteger(bits) || bits % 8 !== 0 || bits < rsaModulusBitsMin || bits > rsaModulusBitsMax)
    throw new RangeError(`no RSA key of ${bits} bits`);
  if (addressVersion !== 0 && addressVersion !== 1 && addressVersion !== 2)
    throw new RangeError(`address version ${addressVersion}`);
  const { node, subtle } = cryptoRuntime();
  if (primes !== 2 && (primes !== 4 || bits !== 4096 || node === null))
    throw new RangeError(`no RSA key of ${bits} bits and ${primes} primes here`);
  const native = node !== null || subtle !== null;
  const expectedMs = Math.max(
    50,
    Math.round((native ? EXPECTED_4096_MS.native : EXPECTED_4096_MS.forge) * (bits / 4096) ** 4),
  );
  const start = performance.now();
  const tell = (): void => onProgress?.({ elapsedMs: Math.round(performance.now() - start), expectedMs });
  tell();
  const timer = onProgress === undefined ? undefined : setInterval(tell, progressIntervalMs);
  try {
    if (node !== null && primes === 4) return await generateFourPrimeKey(node, addressVersion);
    if (node !== null) return await nodeKey(node, bits, addressVersion);
    if (subtle !== null) return await subtleKey(subtle, bits, addressVersion);
    return await forgeKey(bits, addressVersion);
  } finally {
    clearInterval(timer);
    tell();
  }
}

function nodeKey(node: NodeCrypto, bits: number, addressVersion: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    node.generateKeyPair('rsa', { modulusLength: bits, publicExponent: EXPONENT }, (error, _public, key) => {
      if (error !== null) reject(new Error('RSA key generation failed'));
      else resolve(privateKeyFromJwk(key.export({ format: 'jwk' }), addressVersion));
    });
  });
}

async function subtleKey(subtle: SubtleCrypto, bits: number, addressVersion: number): Promise<Uint8Array> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-512',
    modulusLength: bits,
    publicExponent: Uint8Array.of(1, 0, 1),
  };
  const pair = await subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return privateKeyFromJwk(await subtle.exportKey('jwk', pair.privateKey), addressVersion);
}

async function forgeKey(bits: number, addressVersion: number): Promise<Uint8Array> {
  const forge = await loadForge();
  // workers: -1 tries one web worker per core; without workers it works in slices of the event loop.
  const { privateKey: k } = await new Promise<import('node-forge').pki.rsa.KeyPair>((resolve, reject) => {
    forge.pki.rsa.generateKeyPair({ bits, e: EXPONENT, workers: -1 }, (error, pair) => {
      if (error !== null && error !== undefined) reject(new Error('RSA key generation failed'));
      else resolve(pair);
    });
  });
  const bytes = (x: { toString(radix: number): string }): Uint8Array => {
    const hex = x.toString(16);
    return fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
  };
  return encodePrivateKey({
    addressVersion,
    n: bytes(k.n),
    e: bytes(k.e),
    p: bytes(k.p),
    q: bytes(k.q),
    dp: bytes(k.dP),
    dq: bytes(k.dQ),
    qInv: bytes(k.qInv),
    d: bytes(k.d),
  });
}

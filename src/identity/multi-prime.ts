import { ByteReader, ByteWriter, DecodeError } from '../wire/index.js';
import { type DerReader, DerTag, der, derInteger } from './der.js';
import { bytesToBigInt } from './numbers.js';
import { decodePublicKey, encodePublicKey, type RsaPublicKey, rsaKeyBlobBytesMax } from './rsa-key.js';
import { wipe } from './runtime.js';

/**
 * RSA keys of more than two primes (RFC 8017 §3.2). Their public half is like any other; signing is faster,
 * because the work falls with the square of the number of primes.
 *
 * Serialized private form, of our own: the public key with header (docs/protocol/02 §2.1), then i32 −k for k
 * primes, then each as i32 length ‖ bytes: d, p, q, dp, dq, qInv, and for each further prime r, its exponent and
 * its coefficient. The negative number stands where a key of two primes has the length of p, so that every
 * reader of the network's own form refuses it instead of signing wrongly.
 */

/** Most primes of a key: OpenSSL takes no more for 4096 bits, and a key of five is easier to factor. */
export const primesMax = 4;
export const primesMin = 3;

/** A further prime with its CRT numbers (RFC 8017 §3.2: r_i, d_i, t_i). */
export interface OtherPrime {
  readonly prime: Uint8Array;
  /** d mod (prime − 1). */
  readonly exponent: Uint8Array;
  /** (product of all primes before)⁻¹ mod prime. */
  readonly coefficient: Uint8Array;
}

/** Numbers of a private key of three or four primes, big endian without leading zeros. */
export interface MultiPrimeKey extends RsaPublicKey {
  readonly d: Uint8Array;
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  readonly dp: Uint8Array;
  readonly dq: Uint8Array;
  readonly qInv: Uint8Array;
  readonly others: readonly OtherPrime[];
}

/** End of the public part, when what follows is our mark; else 0. */
function publicEndOf(blob: Uint8Array): number {
  if (blob.length > rsaKeyBlobBytesMax) return 0;
  try {
    const r = new ByteReader(blob);
    r.raw(5, 'rsaKey.header');
    for (const field of ['rsaKey.n', 'rsaKey.e']) {
      const n = r.i32(field);
      if (n < 0) return 0;
      r.raw(n, field);
    }
    const end = r.offset;
    return r.remaining > 4 && r.i32('rsaKey.primes') < 0 ? end : 0;
  } catch (error) {
    if (error instanceof DecodeError) return 0;
    throw error;
  }
}

/** True for the serialized form of a private key of more than two primes; its numbers are not looked at. */
export function isMultiPrimeBlob(blob: Uint8Array): boolean {
  return publicEndOf(blob) > 0;
}

/** The public key inside such a blob, with header. A copy. */
export function publicKeyOfMultiPrime(blob: Uint8Array): Uint8Array {
  const end = publicEndOf(blob);
  if (end === 0) throw new DecodeError('FORMAT', 'rsaKey', 0, 'not a key of several primes');
  return new Uint8Array(blob.subarray(0, end));
}

/** All numbers of such a blob, as views. Throws DecodeError; whether they belong together is not looked at. */
export function decodeMultiPrimeKey(blob: Uint8Array): MultiPrimeKey {
  const end = publicEndOf(blob);
  if (end === 0) throw new DecodeError('FORMAT', 'rsaKey', 0, 'not a key of several primes');
  const publicKey = decodePublicKey(blob.subarray(0, end));
  const r = new ByteReader(blob);
  r.raw(end, 'rsaKey.public');
  const primes = -r.i32('rsaKey.primes');
  if (primes < primesMin || primes > primesMax) throw new DecodeError('RANGE', 'rsaKey.primes', end);
  const part = (field: string): Uint8Array => {
    const at = r.offset;
    const n = r.i32(field);
    if (n < 1 || n > publicKey.n.length) throw new DecodeError('RANGE', field, at);
    return r.raw(n, field);
  };
  const [d, p, q, dp, dq, qInv] = ['d', 'p', 'q', 'dp', 'dq', 'qInv'].map((f) => part(`rsaKey.${f}`)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const others: OtherPrime[] = [];
  for (let i = 2; i < primes; i++)
    others.push({
      prime: part('rsaKey.prime'),
      exponent: part('rsaKey.exponent'),
      coefficient: part('rsaKey.coefficient'),
    });
  if (r.remaining > 0) throw new DecodeError('TRAILING', 'rsaKey', r.offset);
  return { ...publicKey, d, p, q, dp, dq, qInv, others };
}

/** Serialized form; throws RangeError for a number of primes out of range or a key without address version. */
export function encodeMultiPrimeKey(key: Omit<MultiPrimeKey, 'bits'>): Uint8Array {
  if (key.addressVersion === null) throw new RangeError('a key of several primes has the header form');
  const primes = 2 + key.others.length;
  if (primes < primesMin || primes > primesMax) throw new RangeError(`a key of ${primes} primes`);
  // Reserved at once: a growing buffer would leave copies of the key behind.
  const w = new ByteWriter(rsaKeyBlobBytesMax).raw(encodePublicKey(key)).i32(-primes);
  for (const part of [key.d, key.p, key.q, key.dp, key.dq, key.qInv]) w.i32Bytes(part);
  for (const o of key.others) w.i32Bytes(o.prime).i32Bytes(o.exponent).i32Bytes(o.coefficient);
  return w.bytes();
}

/**
 * True when the private numbers belong together: one wrong CRT number makes a signature that gives the key away.
 */
export function isConsistentMultiPrimeKey(key: MultiPrimeKey): boolean {
  const [n, e, d, p, q, dp, dq, qInv] = [key.n, key.e, key.d, key.p, key.q, key.dp, key.dq, key.qInv].map(
    bytesToBigInt,
  ) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  const crt = [
    { prime: p, exponent: dp },
    { prime: q, exponent: dq },
    ...key.others.map((o) => ({ prime: bytesToBigInt(o.prime), exponent: bytesToBigInt(o.exponent) })),
  ];
  let product = 1n;
  for (const { prime, exponent } of crt) {
    if (prime <= 2n || product % prime === 0n) return false;
    if ((e * exponent) % (prime - 1n) !== 1n || d % (prime - 1n) !== exponent) return false;
    product *= prime;
  }
  if (product !== n || (q * qInv) % p !== 1n) return false;
  product = p * q;
  for (const o of key.others) {
    const prime = bytesToBigInt(o.prime);
    if ((product * bytesToBigInt(o.coefficient)) % prime !== 1n) return false;
    product *= prime;
  }
  return true;
}

/** Version of an RSAPrivateKey with otherPrimeInfos (RFC 8017 §A.1.2). */
const VERSION_MULTI = Uint8Array.of(1);

/** RSAPrivateKey, version 1, as DER: what OpenSSL reads. Secret: wipe it after use. */
export function multiPrimeToPkcs1(key: MultiPrimeKey): Uint8Array {
  const numbers = [key.n, key.e, key.d, key.p, key.q, key.dp, key.dq, key.qInv].map(derInteger);
  const infos = key.others.map((o) =>
    der(DerTag.sequence, derInteger(o.prime), derInteger(o.exponent), derInteger(o.coefficient)),
  );
  const others = der(DerTag.sequence, ...infos);
  const out = der(DerTag.sequence, der(DerTag.integer, VERSION_MULTI), ...numbers, others);
  wipe(...numbers, ...infos, others);
  return out;
}

/**
 * Serialized form of an RSAPrivateKey of version 1; `r` stands behind its version. Throws DecodeError, also when
 * the numbers do not belong together.
 */
export function multiPrimeFromPkcs1(r: DerReader, addressVersion: number): Uint8Array {
  const next = (): Uint8Array => r.integer();
  const [n, e, d, p, q, dp, dq, qInv] = [next(), next(), next(), next(), next(), next(), next(), next()];
  const list = r.sequence();
  r.done();
  const others: OtherPrime[] = [];
  while (list.remaining > 0) {
    if (others.length >= primesMax - 2) throw new DecodeError('TOOLONG', 'pem.otherPrimeInfos', 0);
    const info = list.sequence();
    others.push({ prime: info.integer(), exponent: info.integer(), coefficient: info.integer() });
    info.done();
  }
  const blob = encodeMultiPrimeKey({ addressVersion, n, e, d, p, q, dp, dq, qInv, others });
  if (!isConsistentMultiPrimeKey(decodeMultiPrimeKey(blob))) throw new DecodeError('FORMAT', 'pem.key', 0);
  return blob;
}

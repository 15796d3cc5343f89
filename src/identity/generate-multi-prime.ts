import { DecodeError } from '../wire/index.js';
import { decodeMultiPrimeKey, encodeMultiPrimeKey, isConsistentMultiPrimeKey } from './multi-prime.js';
import { bigIntToBytes, inverse } from './numbers.js';
import { type NodeCrypto, wipe } from './runtime.js';

/** Primes of a relay's key and bits of each: the product has 4096. */
const PRIMES = 4;
const PRIME_BITS = 1024;
const MODULUS_BITS = PRIMES * PRIME_BITS;
const EXPONENT = 65_537n;
/** Two primes closer than this could be found by Fermat's method (FIPS 186-5 §A.1.3: 100 bits below their size). */
const DISTANCE_MIN = 1n << BigInt(PRIME_BITS - 100);
/** Miller-Rabin rounds on top of those the generator did: an error below 2^−128 whatever it did. */
const PRIME_CHECKS = 64;
/** About seven of ten sets of primes give a modulus of full length; so many failing means a broken generator. */
const SETS_MAX = 200;

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

const makePrime = (node: NodeCrypto): Promise<bigint> =>
  new Promise((resolve, reject) => {
    // On libuv's pool. Its two highest bits are set.
    node.generatePrime(PRIME_BITS, { bigint: true }, (error, prime) =>
      error instanceof Error ? reject(new Error('prime generation failed')) : resolve(prime),
    );
  });

const checkPrime = (node: NodeCrypto, prime: bigint): Promise<boolean> =>
  new Promise((resolve, reject) => {
    node.checkPrime(prime, { checks: PRIME_CHECKS }, (error, good) =>
      error instanceof Error ? reject(new Error('prime check failed')) : resolve(good),
    );
  });

/** Whether these primes make a key: of full length, far apart, and e has an inverse. */
export function primesFit(primes: readonly bigint[]): boolean {
  const modulus = primes.reduce((a, b) => a * b, 1n);
  if (modulus >> BigInt(MODULUS_BITS - 1) !== 1n) return false;
  return primes.every(
    (p, i) =>
      gcd(p - 1n, EXPONENT) === 1n &&
      primes.slice(0, i).every((o) => (o > p ? o - p : p - o) >= DISTANCE_MIN),
  );
}

/** Serialized private key (multi-prime.ts) of primes that fit. */
export function keyOfPrimes(primes: readonly bigint[], addressVersion: number): Uint8Array {
  const [p, q, ...others] = primes as [bigint, bigint, ...bigint[]];
  const n = primes.reduce((a, b) => a * b, 1n);
  const lambda = primes.map((x) => x - 1n).reduce((a, b) => (a / gcd(a, b)) * b, 1n);
  const d = inverse(EXPONENT, lambda);
  let before = p * q;
  const blob = encodeMultiPrimeKey({
    addressVersion,
    n: bigIntToBytes(n),
    e: bigIntToBytes(EXPONENT),
    d: bigIntToBytes(d),
    p: bigIntToBytes(p),
    q: bigIntToBytes(q),
    dp: bigIntToBytes(d % (p - 1n)),
    dq: bigIntToBytes(d % (q - 1n)),
    qInv: bigIntToBytes(inverse(q, p)),
    others: others.map((r) => {
      const o = {
        prime: bigIntToBytes(r),
        exponent: bigIntToBytes(d % (r - 1n)),
        coefficient: bigIntToBytes(inverse(before, r)),
      };
      before *= r;
      return o;
    }),
  });
  if (!isConsistentMultiPrimeKey(decodeMultiPrimeKey(blob))) {
    wipe(blob);
    throw new DecodeError('FORMAT', 'rsaKey', 0, 'the new key is inconsistent');
  }
  return blob;
}

/** A fresh 4096-bit key of four primes, made on libuv's pool. */
export async function generateFourPrimeKey(node: NodeCrypto, addressVersion: number): Promise<Uint8Array> {
  for (let set = 0; set < SETS_MAX; set++) {
    const primes = await Promise.all(Array.from({ length: PRIMES }, () => makePrime(node)));
    if (!primesFit(primes)) continue;
    const good = await Promise.all(primes.map((p) => checkPrime(node, p)));
    if (!good.every(Boolean)) continue;
    return keyOfPrimes(primes, addressVersion);
  }
  throw new Error('RSA key generation failed');
}

import { createHash } from 'node:crypto';

/** Primes in one key: 128 of 32 bits make a modulus of 4096. */
export const PRIMES_PER_KEY = 128;
/** Primes in the pool: two for each place in a key, so a key is 128 bits of choice. */
export const POOL_PRIMES = 2 * PRIMES_PER_KEY;
/** The public exponent of every key on the network (docs/protocol/02 §2.1). */
export const PUBLIC_EXPONENT = 65_537;

/** 2^32 · 2^(−1/128), rounded up: 128 numbers from here on have a product of 4096 bits. */
const primeMin = Math.ceil(2 ** 32 * 2 ** (-1 / PRIMES_PER_KEY));
const primeRange = 2 ** 32 - primeMin;

/** Every prime below 2^16, for trial division. */
function smallPrimes(): number[] {
  const composite = new Uint8Array(65_536);
  const out: number[] = [];
  for (let n = 2; n < 65_536; n++) {
    if (composite[n] === 1) continue;
    out.push(n);
    for (let m = n * n; m < 65_536; m += n) composite[m] = 1;
  }
  return out;
}

/** Numbers below 2^32 from a text, the same on every machine: SHA-512 in counter mode. */
function* randomWords(seed: string): Generator<number> {
  for (let counter = 0; ; counter++) {
    const block = createHash('sha512').update(`starling load primes ${seed} ${counter}`).digest();
    for (let at = 0; at < block.length; at += 4) yield block.readUInt32LE(at);
  }
}

/**
 * The pool of primes that a seed stands for: 256 different ones of 32 bits, none of them 1 modulo the public
 * exponent, which would have no inverse.
 */
export function primePool(seed: string): Uint32Array {
  const divisors = smallPrimes();
  const found = new Set<number>();
  for (const word of randomWords(seed)) {
    // Odd, and spread evenly enough over a range of 23 million.
    const n = (primeMin + (word % primeRange)) | 1;
    const candidate = n >>> 0;
    if (candidate < primeMin || candidate % PUBLIC_EXPONENT === 1) continue;
    if (divisors.some((d) => candidate % d === 0)) continue;
    found.add(candidate);
    if (found.size === POOL_PRIMES) break;
  }
  return Uint32Array.from(found);
}

/** The inverse of the public exponent modulo p − 1, for p prime and not 1 modulo the exponent. */
export function privateExponent(p: number): number {
  // Extended Euclid; every number stays below 2^32 in size, products below 2^53.
  let [r0, r1] = [p - 1, PUBLIC_EXPONENT % (p - 1)];
  let [t0, t1] = [0, 1];
  while (r1 !== 0) {
    const q = Math.floor(r0 / r1);
    [r0, r1] = [r1, r0 - q * r1];
    [t0, t1] = [t1, t0 - q * t1];
  }
  if (r0 !== 1) throw new RangeError(`${p} has no private exponent`);
  return t0 < 0 ? t0 + p - 1 : t0;
}

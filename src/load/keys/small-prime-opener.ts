import { createHash } from 'node:crypto';
import { PRIMES_PER_KEY, privateExponent } from './prime-pool.js';
import { MODULUS_BYTES } from './small-prime-signer.js';

/** Bytes of a SHA-1 digest. */
const HASH_BYTES = 20;

function sha1(...parts: readonly Uint8Array[]): Uint8Array {
  const h = createHash('sha1');
  for (const p of parts) h.update(p);
  return h.digest();
}

/** MGF1 with SHA-1 (RFC 8017 §B.2.1). */
function mask(seed: Uint8Array, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  const counter = new Uint8Array(4);
  for (let at = 0, n = 0; at < bytes; at += HASH_BYTES, n++) {
    new DataView(counter.buffer).setUint32(0, n);
    out.set(sha1(seed, counter).subarray(0, bytes - at), at);
  }
  return out;
}

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((x, i) => x ^ b[i]!);

/** The message of an RSAES-OAEP block with SHA-1 and an empty label (RFC 8017 §7.1.2), null when it is none. */
function unpad(block: Uint8Array): Uint8Array | null {
  const seedMask = block.subarray(1, 1 + HASH_BYTES);
  const masked = block.subarray(1 + HASH_BYTES);
  const seed = xor(seedMask, mask(masked, HASH_BYTES));
  const data = xor(masked, mask(seed, masked.length));
  const label = sha1();
  const end = data.indexOf(1, HASH_BYTES);
  const zeros = data.subarray(HASH_BYTES, end).every((b) => b === 0);
  const known = label.every((b, i) => data[i] === b);
  return block[0] === 0 && end >= 0 && zeros && known ? data.slice(end + 1) : null;
}

function power(base: bigint, exponent: number, modulus: bigint): bigint {
  let out = 1n;
  for (let b = base, e = BigInt(exponent); e > 0n; e >>= 1n) {
    if (e & 1n) out = (out * b) % modulus;
    b = (b * b) % modulus;
  }
  return out;
}

/**
 * Opens what was encrypted for a key of 128 small primes, in some 2 ms: a prime at a time, put together by the Chinese
 * remainder theorem. **Insecure by intent**, as the signatures with such keys.
 *
 * @param primes the 128 primes of the key
 * @returns null for what does not open
 */
export function openOaep(primes: readonly number[], ciphertext: Uint8Array): Uint8Array | null {
  if (primes.length !== PRIMES_PER_KEY || ciphertext.length !== MODULUS_BYTES) return null;
  const c = BigInt(`0x${Buffer.from(ciphertext).toString('hex')}`);
  // Garner: `m` is the message modulo the product of the primes so far.
  let m = 0n;
  let product = 1n;
  for (const prime of primes) {
    const p = BigInt(prime);
    const r = power(c % p, privateExponent(prime), p);
    // The inverse of the product, by Fermat.
    const inverse = power(product % p, prime - 2, p);
    m += product * ((((r - (m % p) + p) % p) * inverse) % p);
    product *= p;
  }
  if (c >= product) return null;
  return unpad(Buffer.from(m.toString(16).padStart(2 * MODULUS_BYTES, '0'), 'hex'));
}

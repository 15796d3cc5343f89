import { generatePrimeSync } from 'node:crypto';
import { bigIntToBytes, inverse } from '../../src/identity/numbers.js';
import { encodePrivateKey } from '../../src/identity/rsa-key.js';

const EXPONENT = 65_537n;
const primeBits = 1_024;

/**
 * A fresh 2048-bit private key, serialized, whose private exponent is shorter than the modulus: about one key in a
 * hundred is such, and its serialized form begins that number with a zero byte. Only for tests: its primes come from a
 * small pool.
 */
export function keyWithPaddedExponent(): Uint8Array {
  const pool: bigint[] = [];
  for (;;) {
    const p = generatePrimeSync(primeBits, { bigint: true });
    for (const q of pool) {
      const n = p * q;
      if (n >> BigInt(2 * primeBits - 1) === 0n) continue;
      const d = inverse(EXPONENT, (p - 1n) * (q - 1n));
      if (d >> BigInt(2 * primeBits - 8) !== 0n) continue;
      return encodePrivateKey({
        addressVersion: 2,
        n: bigIntToBytes(n),
        e: bigIntToBytes(EXPONENT),
        p: bigIntToBytes(p),
        q: bigIntToBytes(q),
        dp: bigIntToBytes(d % (p - 1n)),
        dq: bigIntToBytes(d % (q - 1n)),
        qInv: bigIntToBytes(inverse(q, p)),
        d: bigIntToBytes(d),
      });
    }
    pool.push(p);
  }
}

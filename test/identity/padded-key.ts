import { generatePrimeSync } from 'node:crypto';
import { encodePrivateKey } from '../../src/identity/rsa-key.js';

const EXPONENT = 65_537n;
const primeBits = 1_024;

function inverse(a: bigint, m: bigint): bigint {
  let [r0, r1, t0, t1] = [m, a % m, 0n, 1n];
  while (r1 > 0n) [r0, r1, t0, t1] = [r1, r0 % r1, t1, t0 - (r0 / r1) * t1];
  return t0 < 0n ? t0 + m : t0;
}

function bytes(x: bigint): Uint8Array {
  const hex = x.toString(16);
  return Uint8Array.from(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
}

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
        n: bytes(n),
        e: bytes(EXPONENT),
        p: bytes(p),
        q: bytes(q),
        dp: bytes(d % (p - 1n)),
        dq: bytes(d % (q - 1n)),
        qInv: bytes(inverse(q, p)),
        d: bytes(d),
      });
    }
    pool.push(p);
  }
}

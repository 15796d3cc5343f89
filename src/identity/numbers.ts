import { fromHex } from '../wire/index.js';

/** a⁻¹ mod m for coprime a and m. */
export function inverse(a: bigint, m: bigint): bigint {
  let [r0, r1, s0, s1] = [m, ((a % m) + m) % m, 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1, s0, s1] = [r1, r0 - q * r1, s1, s0 - q * s1];
  }
  if (r0 !== 1n) throw new RangeError('not coprime');
  return ((s0 % m) + m) % m;
}

/** Big-endian bytes without leading zeros. */
export function bigIntToBytes(n: bigint): Uint8Array {
  const hex = n.toString(16);
  return fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
}

/** Big-endian bytes as a number. */
export function bytesToBigInt(b: Uint8Array): bigint {
  let hex = '0x0';
  for (const x of b) hex += x.toString(16).padStart(2, '0');
  return BigInt(hex);
}

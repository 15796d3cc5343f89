// What plain SIMD does: RSA verification and batches of SHA3-512 two at a time, CRC-32C of blocks sixteen streams at once.
//
// Memory as in scalar.ts: imported, shared with the other modules, its own tables and scratch at its own base.

import { powerPair, verifyKeyPairs, verifyPairs } from './lanes';
import { power23 } from './power23';

export { crc32cBlocks } from './crc-lanes';
export { sha3BatchInPairs as sha3Batch } from './keccak-pairs';

/** First byte of the caller's part of the memory, on a cache line. */
export function arenaBase(): usize {
  return (__heap_base + 63) & ~63;
}

/** True when doubles in lanes round to nearest: what the digits of power23.ts are cut with. */
export function selfTest(scratch: usize): bool {
  store<f64>(scratch, 4503599627370497.0);
  store<f64>(scratch, -12582911.0, 8);
  const c = f64x2.splat(56668397794435742564352.0);
  const rounded = f64x2.sub(f64x2.add(v128.load(scratch), c), c);
  return f64x2.extract_lane(rounded, 0) == 4503599627370496.0 && f64x2.extract_lane(rounded, 1) == -8388608.0;
}

/** As `powerPair` of lanes.ts. */
export function rsaPowerPair(moduli: usize, bytes: u32, signatures: usize, exponent: u32, out: usize): bool {
  return powerPair(moduli, bytes, signatures, exponent, out, power23);
}

/** As `rsaVerifyBatch` of rsa.ts, the same table of items. */
export function rsaVerifyBatch(items: usize, count: u32, verdicts: usize): void {
  verifyPairs(items, count, verdicts, power23);
}

/** As `rsaVerifyKeys` of rsa.ts, the same table of items. */
export function rsaVerifyKeys(items: usize, count: u32, verdicts: usize): void {
  verifyKeyPairs(items, count, verdicts, power23);
}

// RSA verification in relaxed SIMD, two signatures at a time. Usable only where the relaxed multiply-add is fused, which
// `selfTest` finds out: a runtime may validate the module and round twice.
//
// Memory as in scalar.ts: imported, shared with the other modules, its own tables and scratch at its own base.

import { powerPair, verifyKeyPairs, verifyPairs } from './lanes';
import { power51 } from './power51';

/** First byte of the caller's part of the memory, on a cache line. */
export function arenaBase(): usize {
  return (__heap_base + 63) & ~63;
}

/**
 * True when f64x2.relaxed_madd rounds once, in both lanes: (1 + 2^-30)² − (1 + 2^-29) is 2^-60 then, and 0 when the
 * product is rounded first. The operands come from memory, so that nobody computes it ahead in another way.
 */
export function selfTest(scratch: usize): bool {
  store<f64>(scratch, 1.0 + 1.0 / 1073741824.0);
  store<f64>(scratch, 1.0 + 1.0 / 1073741824.0, 8);
  store<f64>(scratch, -1.0 - 1.0 / 536870912.0, 16);
  store<f64>(scratch, -1.0 - 1.0 / 536870912.0, 24);
  const factor = v128.load(scratch);
  const sum = f64x2.relaxed_madd(factor, factor, v128.load(scratch, 16));
  const fused: f64 = 1.0 / 1152921504606846976.0;
  return f64x2.extract_lane(sum, 0) == fused && f64x2.extract_lane(sum, 1) == fused;
}

/** As `powerPair` of lanes.ts. */
export function rsaPowerPair(moduli: usize, bytes: u32, signatures: usize, exponent: u32, out: usize): bool {
  return powerPair(moduli, bytes, signatures, exponent, out, power51);
}

/** As `rsaVerifyBatch` of rsa.ts, the same table of items. */
export function rsaVerifyBatch(items: usize, count: u32, verdicts: usize): void {
  verifyPairs(items, count, verdicts, power51);
}

/** As `rsaVerifyKeys` of rsa.ts, the same table of items. */
export function rsaVerifyKeys(items: usize, count: u32, verdicts: usize): void {
  verifyKeyPairs(items, count, verdicts, power51);
}

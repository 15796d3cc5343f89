/** CRC-32C (Castagnoli) polynomial with the highest power in the lowest bit. */
const POLYNOMIAL = 0x82f63b78;

/** Product of two polynomials modulo the CRC's; bit 31 is the power 0. */
function product(a: number, b: number): number {
  let p = 0;
  let shifted = b;
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) p ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return p >>> 0;
}

/** What {@link crcJoin} needs to know of the length of its second part: x to the power of 8 · `bytes`. */
export function crcShift(bytes: number): number {
  let power = 1 << 31; // x^0
  let square = 1 << 23; // x^8, one byte
  for (let n = bytes; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) power = product(square, power);
    square = product(square, square);
  }
  return power >>> 0;
}

/**
 * CRC-32C of two byte strings behind each other, from those of the parts: a long second part that stands behind
 * many first ones is summed once.
 *
 * @param shift {@link crcShift} of the length of the second part
 */
export function crcJoin(first: number, second: number, shift: number): number {
  return (product(shift, first) ^ second) >>> 0;
}

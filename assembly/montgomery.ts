// Modular multiplication of numbers up to 4096 bits in 27-bit limbs, one limb per u32, least significant first.
//
// Why 27 bits: a column of a product with its reduction is at most 2 × 156 products below 2^54 plus a carry below
// 2^37, together below 2^62.4, so a whole column is summed in one u64 and its carry is taken out once.
//
// Montgomery form is with R = 2^(27 L) for L limbs, chosen so that R >= 4 n 2^108: squarings (power27.ts) leave numbers
// below 2 n 2^108. A product of such a number with one below n is
//   (a b + m n) / R < (2 n 2^108 n + R n) / R <= n (1/2 + 1) < 2n,
// so products need no subtraction on the way; only the last result is brought below n.

import { prepareSquaring, squaringDigits } from './power27';

const LIMB_BITS: u32 = 27;
const LIMB_MASK: u32 = (1 << 27) - 1;
const BASE: u64 = 1 << 27;
/** Room for one number: 156 limbs of 4 bytes, rounded up to whole cache lines. Every area below has it. */
export const NUMBER_BYTES: usize = 640;

/** The modulus n, and the quotients m of the running reduction. */
const MODULUS = memory.data(640, 64);
const QUOTIENTS = memory.data(640, 64);
/** n shifted so that its top limb has its top bit, and the running remainder of the division. */
const DIVISOR = memory.data(640, 64);
const REMAINDER = memory.data(640, 64);

/** L: limbs of every number while this modulus is loaded. */
let limbs: u32 = 0;
/** Bits of n. */
let modulusBits: u32 = 0;
/** −1 / n mod 2^27. */
let negativeInverse: u32 = 0;

// @ts-ignore: decorator
@inline
function limb(number: usize, index: u32): u64 {
  return load<u32>(number + (<usize>index << 2));
}

/** The big-endian bytes as `limbs` limbs; as many bytes as the modulus has, so they fit. */
export function fromBytes(at: usize, bytes: u32, out: usize): void {
  // `held` never has more than 26 + 8 bits.
  let held: u64 = 0;
  let heldBits: u32 = 0;
  const end = out + (<usize>limbs << 2);
  for (let i = bytes; i > 0; i--) {
    held |= <u64>load<u8>(at + i - 1) << heldBits;
    heldBits += 8;
    if (heldBits >= LIMB_BITS) {
      store<u32>(out, <u32>held & LIMB_MASK);
      out += 4;
      held >>= LIMB_BITS;
      heldBits -= LIMB_BITS;
    }
  }
  for (; out < end; out += 4) {
    store<u32>(out, <u32>held);
    held = 0;
  }
}

/** The low `bytes` bytes of a number, big-endian; the inverse of `fromBytes`. */
export function toBytes(number: usize, bytes: u32, out: usize): void {
  let held: u64 = 0;
  let heldBits: u32 = 0;
  let next: u32 = 0;
  for (let i = bytes; i > 0; i--) {
    if (heldBits < 8) {
      held |= (next < limbs ? limb(number, next) : 0) << heldBits;
      heldBits += LIMB_BITS;
      next++;
    }
    store<u8>(out + i - 1, <u8>held);
    held >>= 8;
    heldBits -= 8;
  }
}

/** −1, 0 or 1 as a is below, equal to or above b. */
export function compare(a: usize, b: usize): i32 {
  for (let i = limbs; i > 0; i--) {
    const left = limb(a, i - 1);
    const right = limb(b, i - 1);
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

/** True when the loaded modulus is above `a`. */
export function isBelowModulus(a: usize): bool {
  return compare(a, MODULUS) < 0;
}

/**
 * Makes the big-endian number at `at` the modulus: odd, first byte not 0, at most 512 bytes (the caller has checked).
 */
export function loadModulus(at: usize, bytes: u32): void {
  modulusBits = bytes * 8 - (clz<u32>(load<u8>(at)) - 24);
  // R = 2^(27 L) >= 4 n 2^108, and every string of that many bytes fits, so a signature >= n is seen as one even where n
  // begins with zero bits. 512 bytes give 156 limbs.
  limbs = squaringDigits(bytes);
  fromBytes(at, bytes, MODULUS);

  // Newton: an inverse modulo 2^k becomes one modulo 2^2k. n itself is one modulo 2^3.
  const low = load<u32>(MODULUS);
  let inverse = low;
  inverse *= 2 - low * inverse;
  inverse *= 2 - low * inverse;
  inverse *= 2 - low * inverse;
  inverse *= 2 - low * inverse;
  negativeInverse = (0 - inverse) & LIMB_MASK;
  prepareSquaring(MODULUS, limbs, negativeInverse);
  normaliseDivisor();
}

/** DIVISOR = n << s, s the shift that puts the top bit of n at the top of a limb. */
function normaliseDivisor(): void {
  const used = (modulusBits + LIMB_BITS - 1) / LIMB_BITS;
  shiftLeft(MODULUS, used, used * LIMB_BITS - modulusBits, DIVISOR);
}

/** out = number << shift over `count` limbs; shift < 27 and nothing may fall out at the top. */
function shiftLeft(number: usize, count: u32, shift: u32, out: usize): void {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value = (limb(number, i) << shift) | carry;
    store<u32>(out + (<usize>i << 2), <u32>value & LIMB_MASK);
    carry = value >> LIMB_BITS;
  }
}

/**
 * out = a R mod n for a < n: the way into Montgomery form.
 *
 * L steps of x ← x 2^27 mod n by schoolbook division (Knuth, TAOCP 2, 4.3.1 D) on a and n shifted left together,
 * which shifts the remainder too: (a 2^s) 2^(27 L) mod (n 2^s) = 2^s (a R mod n). A multiplication by R² mod n would
 * need R² first, which costs more than the division.
 */
export function toMontgomery(a: usize, out: usize): void {
  const used = (modulusBits + LIMB_BITS - 1) / LIMB_BITS;
  const shift = used * LIMB_BITS - modulusBits;
  // a < n, so a << s < n << s fits the used limbs.
  shiftLeft(a, used, shift, REMAINDER);
  for (let i: u32 = 0; i < limbs; i++) divideStep(used);

  let carry: u64 = 0;
  memory.fill(out, 0, <usize>limbs << 2);
  for (let i = used; i > 0; i--) {
    const value = limb(REMAINDER, i - 1) | (carry << LIMB_BITS);
    store<u32>(out + (<usize>(i - 1) << 2), <u32>(value >> shift));
    carry = value & ((<u64>1 << shift) - 1);
  }
}

/** REMAINDER ← REMAINDER × 2^27 mod DIVISOR, given REMAINDER < DIVISOR; both have `used` limbs. */
function divideStep(used: u32): void {
  const top = limb(DIVISOR, used - 1);
  const second = limb(DIVISOR, used - 2);
  const u0 = limb(REMAINDER, used - 1);
  const u1 = limb(REMAINDER, used - 2);
  const u2 = limb(REMAINDER, used - 3);

  // Estimate from two limbs over one: with the divisor's top limb >= 2^26 it is never below the true quotient q and at
  // most q + 2 (theorem B). u0 <= top because REMAINDER < DIVISOR, so it is at most 2^27 + 1.
  const numerator = (u0 << LIMB_BITS) | u1;
  let quotient = numerator / top;
  const rest = numerator - quotient * top;
  // The test says: quotient × (two top limbs D of the divisor) > the three top limbs N. Then it is too large, as
  // quotient × DIVISOR is above the whole remainder too. And it holds for q + 2, because N < (q + 1) (D + 1)
  // = (q + 1) D + q + 1 <= (q + 2) D, q + 1 <= 2^27 being far below D. So behind it the quotient is q or q + 1.
  // Both sides are below 2^55.
  if (quotient * second > ((rest << LIMB_BITS) | u2)) quotient--;

  // REMAINDER × 2^27 − quotient × DIVISOR, from the low end. quotient <= 2^27, so each value is at least
  // −2^27 (2^27 − 1) − 2^27 = −2^54 and `borrow` stays in −2^27 <= borrow <= 0.
  let borrow: i64 = 0;
  let above: i64 = 0;
  for (let i: u32 = 0; i < used; i++) {
    const below = i == 0 ? 0 : above;
    above = <i64>limb(REMAINDER, i);
    const value = below - <i64>(quotient * limb(DIVISOR, i)) + borrow;
    store<u32>(REMAINDER + (<usize>i << 2), <u32>value & LIMB_MASK);
    borrow = value >> LIMB_BITS;
  }
  // The limb above the divisor: 0 after an exact estimate, −1 after one that was 1 too large.
  if (above + borrow < 0) addDivisor(used);
}

/** REMAINDER += DIVISOR, dropping the carry out, which cancels the −1 above. */
function addDivisor(used: u32): void {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < used; i++) {
    const value = limb(REMAINDER, i) + limb(DIVISOR, i) + carry;
    store<u32>(REMAINDER + (<usize>i << 2), <u32>value & LIMB_MASK);
    carry = value >> LIMB_BITS;
  }
}

/** Σ rising[i] × falling[−i] for i < count: one side of a column. At most 156 × (2^27 − 1)² < 2^61.3. */
// @ts-ignore: decorator
@inline
function column(rising: usize, falling: usize, count: u32): u64 {
  let sum: u64 = 0;
  for (; count >= 4; count -= 4) {
    sum +=
      <u64>load<u32>(rising, 0) * <u64>load<u32>(falling, 0) +
      <u64>load<u32>(rising, 4) * <u64>load<u32>(falling - 4) +
      <u64>load<u32>(rising, 8) * <u64>load<u32>(falling - 8) +
      <u64>load<u32>(rising, 12) * <u64>load<u32>(falling - 12);
    rising += 16;
    falling -= 16;
  }
  for (; count > 0; count--) {
    sum += <u64>load<u32>(rising) * <u64>load<u32>(falling);
    rising += 4;
    falling -= 4;
  }
  return sum;
}

/** Column `index` of a × b, any index from 0 to 2L − 2. */
// @ts-ignore: decorator
@inline
function productColumn(a: usize, b: usize, index: u32): u64 {
  const first = index < limbs ? 0 : index - limbs + 1;
  const last = index - first;
  return column(a + (<usize>first << 2), b + (<usize>last << 2), last - first + 1);
}

/**
 * One column of the reduction while its quotient digit is still to be found: chooses the digit that makes the column
 * a multiple of 2^27 and returns the carry.
 */
// @ts-ignore: decorator
@inline
function reduceLow(sum: u64, index: u32): u64 {
  const quotient = (<u32>sum * negativeInverse) & LIMB_MASK;
  store<u32>(QUOTIENTS + (<usize>index << 2), quotient);
  return (sum + <u64>quotient * limb(MODULUS, 0)) >> LIMB_BITS;
}

/** Σ of the quotient digits already known against n, for a column below L: index products. */
// @ts-ignore: decorator
@inline
function reductionLow(index: u32): u64 {
  return column(QUOTIENTS, MODULUS + (<usize>index << 2), index);
}

/**
 * out = a b / R mod n, below 2n for a below 2 n 2^108 and b below n. `out` may be a or b: limb i is written after its last use, in
 * column i + L, which reads limbs above i only.
 */
export function multiply(a: usize, b: usize, out: usize): void {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < limbs; i++) {
    carry = reduceLow(carry + productColumn(a, b, i) + reductionLow(i), i);
  }
  for (let i = limbs; i < 2 * limbs - 1; i++) {
    carry += productColumn(a, b, i) + productColumn(QUOTIENTS, MODULUS, i);
    store<u32>(out + (<usize>(i - limbs) << 2), <u32>carry & LIMB_MASK);
    carry >>= LIMB_BITS;
  }
  // The result is below 2n < 2^(27 L − 1), so what is left fits the top limb.
  store<u32>(out + (<usize>(limbs - 1) << 2), <u32>carry);
}

/** a ← a − n when a >= n, for a < 2n. */
export function reduceOnce(a: usize): void {
  if (isBelowModulus(a)) return;
  let borrow: i64 = 0;
  for (let i: u32 = 0; i < limbs; i++) {
    const value = <i64>limb(a, i) - <i64>limb(MODULUS, i) + borrow;
    store<u32>(a + (<usize>i << 2), <u32>value & LIMB_MASK);
    borrow = value >> LIMB_BITS;
  }
}

// Numbers up to 4096 bits in digits of 27 bits, one digit per u32, least significant first: to and from bytes, their
// order, and schoolbook division by the modulus. power27.ts multiplies them. β = 2^27 throughout.
//
// While a modulus n is loaded, every number has L digits, L as power27.ts needs it: β^L >= 4 n β⁸.

export const WIDTH: u32 = 27;
export const MASK: u64 = (1 << 27) - 1;

/** Zero bytes in front of a number's digits, for the windows of power27.ts that begin below it. */
const BELOW_BYTES: usize = 32;
/** 160 digits of 4 bytes, and eight zero digits above for the windows that run over the end. */
const DIGIT_BYTES: usize = 672;

/** The modulus n. */
const MODULUS_AREA = memory.data(704, 64);
export const MODULUS = MODULUS_AREA + BELOW_BYTES;
/** n shifted so that its top digit has its top bit, and the running remainder of the division. */
const DIVISOR = memory.data(640, 64);
const REMAINDER = memory.data(640, 64);

/** L. */
export let digits: u32 = 0;
/** u: digits of n itself. */
export let modulusDigits: u32 = 0;
/** The divisor is n << shift. */
let shift: u32 = 0;

// @ts-ignore: decorator
@inline
export function digit(number: usize, index: usize): u64 {
  return load<u32>(number + (index << 2));
}

/** A number's digits and the zeros above them. */
export function copyDigits(from: usize, to: usize): void {
  memory.copy(to, from, DIGIT_BYTES);
}

/** The big-endian bytes as a number; as many bytes as the modulus has, so they fit. */
export function fromBytes(at: usize, bytes: u32, out: usize): void {
  // `held` never has more than 26 + 8 bits.
  let held: u64 = 0;
  let heldBits: u32 = 0;
  const end = out + DIGIT_BYTES;
  for (let i = bytes; i > 0; i--) {
    held |= <u64>load<u8>(at + i - 1) << heldBits;
    heldBits += 8;
    if (heldBits >= WIDTH) {
      store<u32>(out, <u32>(held & MASK));
      out += 4;
      held >>= WIDTH;
      heldBits -= WIDTH;
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
  for (let i = bytes; i > 0; i--) {
    if (heldBits < 8) {
      // At most bytes × 8 / 27 + 1 digits, and L are more.
      held |= <u64>load<u32>(number) << heldBits;
      heldBits += WIDTH;
      number += 4;
    }
    store<u8>(out + i - 1, <u8>held);
    held >>= 8;
    heldBits -= 8;
  }
}

/** −1, 0 or 1 as a is below, equal to or above b. */
export function compare(a: usize, b: usize): i32 {
  for (let i = digits; i > 0; i--) {
    const left = digit(a, i - 1);
    const right = digit(b, i - 1);
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

/** True when the loaded modulus is above `a`. */
export function isBelowModulus(a: usize): bool {
  return compare(a, MODULUS) < 0;
}

/**
 * Makes the big-endian number at `at` the modulus: odd, first byte not 0, 256 to 512 bytes (the caller has checked), in
 * numbers of `count` digits.
 */
export function loadModulus(at: usize, bytes: u32, count: u32): void {
  digits = count;
  const bits = bytes * 8 - (clz<u32>(load<u8>(at)) - 24);
  modulusDigits = (bits + WIDTH - 1) / WIDTH;
  shift = modulusDigits * WIDTH - bits;
  fromBytes(at, bytes, MODULUS);
  shiftLeft(MODULUS, DIVISOR);
}

/** −1 / n modulo β. */
export function negativeInverse(): u32 {
  // Newton: an inverse modulo 2^k becomes one modulo 2^2k. n itself is one modulo 2^3.
  const low = load<u32>(MODULUS);
  let inverse = low;
  inverse *= 2 - low * inverse;
  inverse *= 2 - low * inverse;
  inverse *= 2 - low * inverse;
  inverse *= 2 - low * inverse;
  return (0 - inverse) & <u32>MASK;
}

/** out = number << shift in u digits, for a number not above n: nothing falls out at the top. */
function shiftLeft(number: usize, out: usize): void {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < modulusDigits; i++) {
    const value = (digit(number, i) << shift) | carry;
    store<u32>(out + (<usize>i << 2), <u32>(value & MASK));
    carry = value >> WIDTH;
  }
}

/** out = REMAINDER >> shift, with zeros above. */
function takeRemainder(out: usize): void {
  memory.fill(out, 0, DIGIT_BYTES);
  let carry: u64 = 0;
  for (let i = modulusDigits; i > 0; i--) {
    const value = digit(REMAINDER, i - 1) | (carry << WIDTH);
    store<u32>(out + (<usize>(i - 1) << 2), <u32>(value >> shift));
    carry = value & ((<u64>1 << shift) - 1);
  }
}

/**
 * high = β^(u+7) mod n and higher = β^(u+9) mod n. Division of the shifted numbers shifts the remainder too:
 * (a 2^s) mod (n 2^s) = 2^s (a mod n).
 */
export function powersModulo(high: usize, higher: usize): void {
  memory.fill(REMAINDER, 0, <usize>modulusDigits << 2);
  // β^(u−1), which n is above: it has u digits and is odd.
  store<u32>(REMAINDER + (<usize>(modulusDigits - 1) << 2), 1 << shift);
  for (let i = 0; i < 8; i++) divideStep(0);
  takeRemainder(high);
  divideStep(0);
  divideStep(0);
  takeRemainder(higher);
}

/** out = number mod n, for a number below n β⁸. */
export function remainderOf(number: usize, out: usize): void {
  // The number shifted has u + 8 digits too, since it is below the divisor × β⁸. Its top u digits are below the divisor.
  for (let i: u32 = 0; i < modulusDigits; i++) {
    store<u32>(REMAINDER + (<usize>i << 2), <u32>shiftedDigit(number, i + 8));
  }
  for (let i: u32 = 8; i > 0; i--) divideStep(shiftedDigit(number, i - 1));
  takeRemainder(out);
}

/** Digit `index` of number << shift. */
function shiftedDigit(number: usize, index: u32): u64 {
  const below = index == 0 ? 0 : digit(number, index - 1);
  return ((digit(number, index) << shift) | (below >> (WIDTH - shift))) & MASK;
}

/** REMAINDER ← (REMAINDER × β + low) mod DIVISOR, given REMAINDER < DIVISOR; both have u digits. Knuth, TAOCP 2, 4.3.1 D. */
function divideStep(low: u64): void {
  const used = modulusDigits;
  const top = digit(DIVISOR, used - 1);
  const second = digit(DIVISOR, used - 2);
  const u0 = digit(REMAINDER, used - 1);
  const u1 = digit(REMAINDER, used - 2);
  const u2 = digit(REMAINDER, used - 3);

  // Estimate from two digits over one: with the divisor's top digit >= 2^26 it is never below the true quotient q and at
  // most q + 2 (theorem B). u0 <= top because REMAINDER < DIVISOR, so it is at most 2^27 + 1.
  const numerator = (u0 << WIDTH) | u1;
  let quotient = numerator / top;
  const rest = numerator - quotient * top;
  // The test says: quotient × (two top digits D of the divisor) > the three top digits N. Then it is too large, as
  // quotient × DIVISOR is above the whole remainder too. And it holds for q + 2, because N < (q + 1) (D + 1)
  // = (q + 1) D + q + 1 <= (q + 2) D, q + 1 <= 2^27 being far below D. So behind it the quotient is q or q + 1.
  // Both sides are below 2^55.
  if (quotient * second > ((rest << WIDTH) | u2)) quotient--;

  // REMAINDER × β + low − quotient × DIVISOR, from the low end. quotient <= 2^27, so each value is at least
  // −2^27 (2^27 − 1) − 2^27 = −2^54 and `borrow` stays in −2^27 <= borrow <= 0.
  let borrow: i64 = 0;
  let below = <i64>low;
  for (let i: u32 = 0; i < used; i++) {
    const value = below - <i64>(quotient * digit(DIVISOR, i)) + borrow;
    below = <i64>digit(REMAINDER, i);
    store<u32>(REMAINDER + (<usize>i << 2), <u32>(value & MASK));
    borrow = value >> WIDTH;
  }
  // The digit above the divisor: 0 after an exact estimate, −1 after one that was 1 too large.
  if (below + borrow < 0) addDivisor();
}

/** REMAINDER += DIVISOR, dropping the carry out, which cancels the −1 above. */
function addDivisor(): void {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < modulusDigits; i++) {
    const value = digit(REMAINDER, i) + digit(DIVISOR, i) + carry;
    store<u32>(REMAINDER + (<usize>i << 2), <u32>(value & MASK));
    carry = value >> WIDTH;
  }
}

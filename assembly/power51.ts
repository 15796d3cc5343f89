// Two modular powers at a time, one per lane, in balanced digits of 51 bits held as doubles: for runtimes whose relaxed
// multiply-add is a fused one. β = 2^51 throughout, and |digit| <= 2^50.
//
// Exact products. For whole a, b with |a b| <= 2^101, A = 1.5 × 2^103 and B = 1.5 × 2^52:
//   high = fma(a, b, A): the sum lies in 2^103 … 2^104, where doubles are multiples of 2^51, so high = A + β H with
//          H = round(a b / β), |H| <= 2^50;
//   low  = fma(a, b, (A + B) − high): the bracket is B − β H, a multiple of 2^51 below 2^53 of them, hence exact, and
//          the sum is B + (a b − β H) with |a b − β H| <= 2^50: whole, in 2^52 … 2^53, where doubles have spacing 1.
// So a b = β H + L. Read as 64-bit integers, high is bits(A) + H and low is bits(B) + L, because within one binade the
// bits count the multiples of the spacing. Columns are therefore summed as i64, L in column i + j and H in the one
// above, and the constants are taken off once per column.
//
// Columns. A column never gets more than 2 × 84 low and high parts of at most 2^50 each from products of digits
// (doubled ones: half as many of at most 2^51), twice that after a reduction: below 2^60. i64 holds it, and so does the
// carry step below, which needs |column| < 2^62.
//
// Reduction. k = −1/n modulo β³, balanced, and M = (n k + 1) / β³, so n k = β³ M − 1. To take three digits Q off the
// low end of T, add Q n k: T + Q n k = (T − Q) + β³ Q M, whose lowest three digits are 0. No quotient has to be computed:
// Q is the digits themselves. For R = β^L the whole reduction gives
//   |T'| <= |T| / R + n |k| / 2 × (1 + 2^-49) <= |T| / R + n 2^151 (1 + 2^-49),
// since |k| < 2^152 (1 + 2^-50) and the L digits together are below R / 2 × (1 + 2^-50). L is chosen so that
// R >= 4 n 2^152. Numbers |x| <= n 2^152 therefore stay there: (n 2^152)² / R <= n 2^150, in all 0.76 n 2^152; they fill
// less than L digits by at least two bits, so the top digit leaves no carry.

import { inverseOf, joinDigits, modulusOf, signatureOf, splitDigits } from './lanes';

const WIDTH: u32 = 51;
/** Digits taken at a time: as many as the registers of a SIMD machine hold together with their window. */
const STEP: u32 = 3;
/** Bits that n 2^152 and the factor 4 need above n. */
const SLACK_BITS: u32 = 154;
/** Bits of the divisor's top digit: enough that the digits below it do not matter to a quotient, see `divideStep`. */
const TOP_BITS: u32 = 48;

/** L of the widest modulus is 84; six more for the windows that run over the end. */
const X = memory.data(1440, 64);
const Y = memory.data(1440, 64);
/** The signature, plain, and in the domain. */
const SIGNATURE = memory.data(1440, 64);
const BASE = memory.data(1440, 64);
const MODULUS = memory.data(1440, 64);
/** n × 2^shift, whose top digit is digit `top` and has TOP_BITS bits. */
const DIVISOR = memory.data(1440, 64);
/** M, with room below for the three digits that come out as zero. */
const SCALED_LOW = memory.data(1488, 64);
const SCALED = SCALED_LOW + 48;
/** Columns. */
const T = memory.data(2880, 64);
/** The three digits a row is made with. Through memory, because the compiler would otherwise compute them in the loop. */
const ROW = memory.data(48, 16);
const INVERSE = memory.data(48, 16);
const QUOTIENT = memory.data(16, 16);
/** −1 / (divisor / β^top) as the sum of two doubles. */
const RECIPROCAL = memory.data(32, 16);

// Constants come from memory: built in place they are computed anew in every round of a loop.
const A_AND_SUM = memory.data<f64>(
  [
    15211807202738752817960438464512.0, 15211807202738752817960438464512.0, // A
    15211807202738752817960438464512.0 + 6755399441055744.0, 15211807202738752817960438464512.0 + 6755399441055744.0, // A + B
  ],
  16,
);
const CARRY = memory.data<i64>(
  [
    0x7ffffffffffff, 0x7ffffffffffff, // digit mask
    0x4000000000000, 0x4000000000000, // 2^50
    0x4000000000000000, 0x4000000000000000, // 2^62
    0x800, 0x800, // 2^62 / β
    0x4330000000000000, 0x4330000000000000, // bits of 2^52
  ],
  16,
);
/** 2^52 + 2^50: what a digit read as the fraction of 2^52 is too large by. */
const DIGIT_OFFSET = memory.data<f64>([5629499534213120.0, 5629499534213120.0], 16);

const BITS_A: i64 = 0x4668000000000000;
const BITS_B: i64 = 0x4338000000000000;
/** Off the first column of a row: three low parts. */
const FIRST_CONSTANT: i64 = -3 * BITS_B;
/** Off every later column: three low parts and three high ones. */
const LATER_CONSTANT: i64 = -3 * BITS_B - 3 * BITS_A;

/** L, and the index of the divisor's top digit. */
let digits: u32 = 0;
let top: u32 = 0;
let shift: u32 = 0;

// @ts-ignore: decorator
@inline
function highPart(a: v128, b: v128, constantA: v128): v128 {
  return f64x2.relaxed_madd(a, b, constantA);
}

// @ts-ignore: decorator
@inline
function lowPart(a: v128, b: v128, high: v128, constantSum: v128): v128 {
  return f64x2.relaxed_madd(a, b, f64x2.sub(constantSum, high));
}

/**
 * columns += (row0 + row1 β + row2 β²) × factor, over `count` columns, a multiple of 3, and the high parts' one more.
 * `factor` must have its last two of `count` digits zero. Each |row × digit| <= 2^101.
 */
function addRows(columns: usize, factor: usize, count: u32): void {
  const a = v128.load(A_AND_SUM);
  const sum = v128.load(A_AND_SUM, 16);
  const first = i64x2.splat(FIRST_CONSTANT);
  const later = i64x2.splat(LATER_CONSTANT);
  const row0 = v128.load(ROW, 0);
  const row1 = v128.load(ROW, 16);
  const row2 = v128.load(ROW, 32);
  let before1 = i64x2.splat(0);
  let before2 = i64x2.splat(0);
  let carried = first;
  for (let left: i32 = count; left > 0; left -= STEP) {
    const digit0 = v128.load(factor, 0);
    let low0 = i64x2.add(v128.load(columns, 0), carried);
    const high00 = highPart(row0, digit0, a);
    low0 = i64x2.add(low0, lowPart(row0, digit0, high00, sum));
    const high01 = highPart(row1, before1, a);
    low0 = i64x2.add(low0, lowPart(row1, before1, high01, sum));
    const high02 = highPart(row2, before2, a);
    low0 = i64x2.add(low0, lowPart(row2, before2, high02, sum));
    v128.store(columns, low0, 0);
    carried = i64x2.add(i64x2.add(i64x2.add(high00, high01), high02), later);

    const digit1 = v128.load(factor, 16);
    let low1 = i64x2.add(v128.load(columns, 16), carried);
    const high10 = highPart(row0, digit1, a);
    low1 = i64x2.add(low1, lowPart(row0, digit1, high10, sum));
    const high11 = highPart(row1, digit0, a);
    low1 = i64x2.add(low1, lowPart(row1, digit0, high11, sum));
    const high12 = highPart(row2, before1, a);
    low1 = i64x2.add(low1, lowPart(row2, before1, high12, sum));
    v128.store(columns, low1, 16);
    carried = i64x2.add(i64x2.add(i64x2.add(high10, high11), high12), later);

    const digit2 = v128.load(factor, 32);
    let low2 = i64x2.add(v128.load(columns, 32), carried);
    const high20 = highPart(row0, digit2, a);
    low2 = i64x2.add(low2, lowPart(row0, digit2, high20, sum));
    const high21 = highPart(row1, digit1, a);
    low2 = i64x2.add(low2, lowPart(row1, digit1, high21, sum));
    const high22 = highPart(row2, digit0, a);
    low2 = i64x2.add(low2, lowPart(row2, digit0, high22, sum));
    v128.store(columns, low2, 32);
    carried = i64x2.add(i64x2.add(i64x2.add(high20, high21), high22), later);

    before1 = digit2;
    before2 = digit1;
    columns += 48;
    factor += 48;
  }
  // The high parts of the last column; the low constants in `carried` belong to a column that has no low parts.
  v128.store(columns, i64x2.add(v128.load(columns), i64x2.sub(carried, first)));
}

// @ts-ignore: decorator
@inline
function addProduct(column: usize, a: v128, b: v128, constantA: v128, constantSum: v128): void {
  const high = highPart(a, b, constantA);
  const low = lowPart(a, b, high, constantSum);
  v128.store(column, i64x2.add(v128.load(column), i64x2.sub(low, i64x2.splat(BITS_B))));
  v128.store(column, i64x2.add(v128.load(column, 16), i64x2.sub(high, i64x2.splat(BITS_A))), 16);
}

// @ts-ignore: decorator
@inline
function clearColumns(): void {
  memory.fill(T, 0, <usize>(2 * digits + 2 * STEP) << 4);
}

/** T = X². Rows of doubled digits, |2 x| <= 2^51, against all digits behind them; the three by three block apart. */
function square(): void {
  clearColumns();
  const a = v128.load(A_AND_SUM);
  const sum = v128.load(A_AND_SUM, 16);
  let number = X;
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    const x0 = v128.load(number, 0);
    const x1 = v128.load(number, 16);
    const x2 = v128.load(number, 32);
    const twice0 = f64x2.add(x0, x0);
    const twice1 = f64x2.add(x1, x1);
    v128.store(ROW, twice0, 0);
    v128.store(ROW, twice1, 16);
    v128.store(ROW, f64x2.add(x2, x2), 32);
    addProduct(columns, x0, x0, a, sum);
    addProduct(columns + 16, twice0, x1, a, sum);
    addProduct(columns + 32, twice0, x2, a, sum);
    addProduct(columns + 32, x1, x1, a, sum);
    addProduct(columns + 48, twice1, x2, a, sum);
    addProduct(columns + 64, x2, x2, a, sum);
    // `left` counts the digits behind and three zeros.
    addRows(columns + 48, number + 48, left);
    number += 48;
    columns += 96;
  }
}

/** T = X × factor, a number with digits up to `top` only; L >= top + 3. */
function multiply(factor: usize): void {
  clearColumns();
  let number = X;
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    v128.store(ROW, v128.load(number, 0), 0);
    v128.store(ROW, v128.load(number, 16), 16);
    v128.store(ROW, v128.load(number, 32), 32);
    addRows(columns, factor, digits);
    number += 48;
    columns += 48;
  }
}

/** `count` columns, each below 2^62 in size, carried through into balanced digits. */
function carryThrough(columns: usize, number: usize, count: u32): void {
  const mask = v128.load(CARRY, 0);
  const half = v128.load(CARRY, 16);
  const lift = v128.load(CARRY, 32);
  const lifted = v128.load(CARRY, 48);
  const bits52 = v128.load(CARRY, 64);
  const offset = v128.load(DIGIT_OFFSET);
  let carry = i64x2.splat(0);
  const end = columns + (<usize>count << 4);
  for (; columns < end; columns += 16) {
    // digit = ((v + 2^50) mod β) − 2^50. The shift would have to be an arithmetic one, which x64 lacks: 2^62 makes v
    // positive before, 2^62 / β comes off after.
    const value = i64x2.add(i64x2.add(v128.load(columns), carry), half);
    carry = i64x2.sub(i64x2.shr_u(i64x2.add(value, lift), WIDTH), lifted);
    v128.store(number, f64x2.sub(v128.or(v128.and(value, mask), bits52), offset));
    number += 16;
  }
}

/** X = T / R modulo n, within the bounds at the head of this file. */
function reduce(): void {
  const mask = v128.load(CARRY, 0);
  const half = v128.load(CARRY, 16);
  const lift = v128.load(CARRY, 32);
  const lifted = v128.load(CARRY, 48);
  const bits52 = v128.load(CARRY, 64);
  const offset = v128.load(DIGIT_OFFSET);
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    const value0 = i64x2.add(v128.load(columns, 0), half);
    const carry0 = i64x2.sub(i64x2.shr_u(i64x2.add(value0, lift), WIDTH), lifted);
    v128.store(ROW, f64x2.sub(v128.or(v128.and(value0, mask), bits52), offset), 0);
    const value1 = i64x2.add(i64x2.add(v128.load(columns, 16), half), carry0);
    const carry1 = i64x2.sub(i64x2.shr_u(i64x2.add(value1, lift), WIDTH), lifted);
    v128.store(ROW, f64x2.sub(v128.or(v128.and(value1, mask), bits52), offset), 16);
    const value2 = i64x2.add(i64x2.add(v128.load(columns, 32), half), carry1);
    const carry2 = i64x2.sub(i64x2.shr_u(i64x2.add(value2, lift), WIDTH), lifted);
    v128.store(ROW, f64x2.sub(v128.or(v128.and(value2, mask), bits52), offset), 32);
    columns += 48;
    v128.store(columns, i64x2.add(v128.load(columns), carry2));
    // M has digits up to `top`, and L >= top + 3, so the last two of L digits are zero.
    addRows(columns, SCALED, digits);
  }
  carryThrough(columns, X, digits);
}

// @ts-ignore: decorator
@inline
function toDoubles(column: usize): v128 {
  return f64x2.replace_lane(f64x2.splat(<f64>load<i64>(column)), 1, <f64>load<i64>(column, 8));
}

/**
 * T −= round(T / (divisor β^k)) × divisor × β^k, and folds column k + top + 1, the highest in use, into the one below.
 *
 * Let ν = divisor / β^top, at least 2^40 (the modulus' first byte is not 0, so its top digit has 40 to 48 bits), and
 * |T| <= E × divisor × β^(k+1) with E <= 1, columns above k + top + 1 empty, column k + top + 1 below 2^50, all others
 * below 2^58. The true quotient q* is at most E 2^51. The estimate is
 *   fma(u, r, fma(v, r, (u + v) r')) with u = β T[k+top+1], exact; v = T[k+top] + T[k+top−1] / β; r + r' = −1 / ν.
 * Its errors: columns left out, 2^58 / β² / ν < 2^-83; rounding in v, 2^58 2^-53 / ν <= 2^-35; in r + r', relative 2^-100;
 * the inner sums, at most 2^58 / ν + 2^-1 <= 2^19 in size, 2^-34; the last rounding, half a unit of a number of at most
 * 2^51, 2^-3. So |T after| <= (1/2 + 1/8 + 2^-33) divisor β^k: E <= 0.63 for the next step, and E = 1 is good for the first.
 * Digits × quotient: 2^51 × 2^50 = 2^101, as the products need. A column gets a low and a high part of 2^50 from each of
 * at most 82 steps: below 2^58. After the step T / β^(k+top) is at most 0.63 ν + 2^58 / β < 2^49, so the fold, computed
 * modulo 2^64, is exact and the next step finds its column below 2^50.
 *
 * `scale` is 1; or 2^shift with n itself as divisor and k = 0, for a T with |T| <= 0.63 n 2^shift that is to come below n:
 * then column top + 1 is empty, v is T / β^top up to a relative 2^-52 and r exact to 2^-100, so the error of the estimate,
 * at most 0.63 2^50 in size, is below 1/2 + 2^-1: |T after| < n.
 */
function divideStep(k: u32, divisor: usize, scale: f64): void {
  const highest = T + (<usize>(k + top + 1) << 4);
  const above = f64x2.mul(toDoubles(highest), f64x2.splat(2251799813685248.0));
  const below = f64x2.add(
    toDoubles(highest - 16),
    f64x2.mul(toDoubles(highest - 32), f64x2.splat(1.0 / 2251799813685248.0)),
  );
  const reciprocal = v128.load(RECIPROCAL);
  const correction = f64x2.mul(f64x2.add(above, below), v128.load(RECIPROCAL, 16));
  const estimate = f64x2.relaxed_madd(above, reciprocal, f64x2.relaxed_madd(below, reciprocal, correction));
  v128.store(QUOTIENT, f64x2.nearest(f64x2.mul(estimate, f64x2.splat(scale))));

  const quotient = v128.load(QUOTIENT);
  const a = v128.load(A_AND_SUM);
  const sum = v128.load(A_AND_SUM, 16);
  const one = i64x2.splat(-BITS_B);
  const both = i64x2.splat(-BITS_B - BITS_A);
  let carried = one;
  let column = T + (<usize>k << 4);
  for (; column < highest; column += 16) {
    const digit = v128.load(divisor);
    const high = highPart(quotient, digit, a);
    const low = lowPart(quotient, digit, high, sum);
    v128.store(column, i64x2.add(i64x2.add(v128.load(column), carried), low));
    carried = i64x2.add(high, both);
    divisor += 16;
  }
  const last = i64x2.add(v128.load(highest), i64x2.sub(carried, one));
  v128.store(highest - 16, i64x2.add(v128.load(highest - 16), i64x2.shl(last, WIDTH)));
  v128.store(highest, i64x2.splat(0));
}

/** r + r' = −1 / ν. ν's two doubles are its top digit and what is below; one Newton step gives r' (error ε², ε <= 2^-51). */
function prepareDivision(): void {
  const inverseBase = f64x2.splat(1.0 / 2251799813685248.0);
  const first = v128.load(DIVISOR + (<usize>top << 4));
  const second = f64x2.mul(v128.load(DIVISOR + (<usize>(top - 1) << 4)), inverseBase);
  const third = f64x2.mul(v128.load(DIVISOR + (<usize>(top - 2) << 4)), f64x2.mul(inverseBase, inverseBase));
  const sum = f64x2.add(first, second);
  // Exact, as |first| >= |second|.
  const rest = f64x2.add(f64x2.add(f64x2.sub(first, sum), second), third);
  const r = f64x2.div(f64x2.splat(-1.0), sum);
  const epsilon = f64x2.relaxed_madd(r, rest, f64x2.relaxed_madd(r, sum, f64x2.splat(1.0)));
  v128.store(RECIPROCAL, r);
  v128.store(RECIPROCAL, f64x2.mul(r, epsilon), 16);
}

/** X = signature × R modulo n: high digits first, by division, which costs less than a multiplication by R² would. */
function enter(): void {
  clearColumns();
  for (let i: u32 = 0; i <= top; i++) {
    const from = SIGNATURE + (<usize>i << 4);
    const to = T + (<usize>(digits + i) << 4);
    store<i64>(to, <i64>load<f64>(from));
    store<i64>(to, <i64>load<f64>(from, 8), 8);
  }
  // signature < n <= divisor, so the first step has |T| < divisor β^L.
  for (let k = digits; k > 0; k--) divideStep(k - 1, DIVISOR, 1);
  // |T| <= 0.63 n 2^shift, which is below n 2^152.
  carryThrough(T, X, digits);
}

/** The lanes' powers = X mod n, for |X| <= n 2^152. */
function leave(): void {
  clearColumns();
  for (let i: u32 = 0; i < digits; i++) {
    const from = X + (<usize>i << 4);
    const to = T + (<usize>i << 4);
    store<i64>(to, <i64>load<f64>(from));
    store<i64>(to, <i64>load<f64>(from, 8), 8);
  }
  // n 2^152 < divisor β³.
  for (let k = STEP; k > 0; k--) divideStep(k - 1, DIVISOR, 1);
  divideStep(0, MODULUS, <f64>((<u64>1) << shift));
  joinDigits(T, WIDTH, top + 2, 0);
  joinDigits(T, WIDTH, top + 2, 1);
}

/** Everything that depends on the two moduli. */
function prepare(bytes: u32): void {
  const bits = bytes << 3;
  digits = STEP * ((bits + SLACK_BITS + STEP * WIDTH - 1) / (STEP * WIDTH));
  // bits + shift = WIDTH × top + TOP_BITS, with the least shift.
  top = (bits + WIDTH - TOP_BITS - 1) / WIDTH;
  shift = WIDTH * top + TOP_BITS - bits;
  // The rows of a square run over three zeros behind the number; a wider one may have stood there.
  memory.fill(X + (<usize>digits << 4), 0, <usize>STEP << 4);
  for (let lane: u32 = 0; lane < 2; lane++) {
    splitDigits(modulusOf(lane), 0, WIDTH, digits, MODULUS, lane);
    splitDigits(modulusOf(lane), shift, WIDTH, digits, DIVISOR, lane);
    splitDigits(signatureOf(lane), 0, WIDTH, digits, SIGNATURE, lane);
    splitDigits(inverseOf(lane), 0, WIDTH, STEP, INVERSE, lane);
  }
  // M: n k + 1 ends in three zero digits.
  clearColumns();
  memory.copy(ROW, INVERSE, 48);
  v128.store(T, i64x2.splat(1));
  addRows(T, MODULUS, digits);
  carryThrough(T, SCALED_LOW, digits + STEP);
  prepareDivision();
}

/** Both lanes' signature^exponent mod n, for moduli of `bytes` bytes. */
export function power51(bytes: u32, exponent: u32): void {
  prepare(bytes);
  enter();
  if (popcnt<u32>(exponent) > 2) memory.copy(BASE, X, <usize>digits << 4);
  for (let bit: i32 = 30 - clz<u32>(exponent); bit > 0; bit--) {
    square();
    reduce();
    if (((exponent >> bit) & 1) == 1) {
      multiply(BASE);
      reduce();
    }
  }
  square();
  reduce();
  // The factor for the last bit is the plain signature, and that product leaves the domain: (x R) s / R = x s.
  multiply(SIGNATURE);
  reduce();
  leave();
}

// Two modular powers at a time, one per lane, in balanced digits of 23 bits held as doubles: plain multiplies and adds of
// SIMD, no fused ones. β = 2^23 throughout.
//
// Exactness. Everything is a whole number below 2^53 in size, so no operation rounds: digits are at most
// D = 2^22 + 129 (see `carryThrough`), a column is the sum of at most 186 products of a multiplication and 186 of the
// reduction, and a carry below 2^30, together 372 D² + 2^30 < 2^52.6. That bounds the sum of the sizes, hence every sum
// on the way. (A square has half as many products, doubled.)
//
// Rounding to a multiple of β: with C = 1.5 × 2^75, v + C lies in 2^75 … 2^76 where doubles are multiples of 2^23, so
// (v + C) − C is the multiple of β nearest to v, and v minus that is at most 2^22.
//
// Reduction. As in power51.ts: k = −1/n modulo β⁶, balanced, M = (n k + 1) / β⁶, and six digits Q at the low end of T go
// by T + Q n k = (T − Q) + β⁶ Q M. With R = β^L the whole reduction gives |T'| <= |T| / R + n 2^136 (1 + 2^-20), since
// |k| < 2^137 (1 + 2^-22) and the digits together are below R / 2 × (1 + 2^-21). L is chosen so that R >= 4 n 2^137:
// numbers |x| <= n 2^137 stay there, in all 0.76 n 2^137, and fill less than L digits by at least two bits, so the top
// digit leaves no carry.

import { inverseOf, joinDigits, modulusOf, signatureOf, splitDigits } from './lanes';

const WIDTH: u32 = 23;
const STEP: u32 = 6;
/** Bits that n 2^137 and the factor 4 need above n. */
const SLACK_BITS: u32 = 139;
/** Bits of the divisor's top digit, see `divideStep`. */
const TOP_BITS: u32 = 20;
const STEP_BYTES: usize = 96;

/** L of the widest modulus is 186; twelve more for the windows that run over the end. */
const X = memory.data(3168, 64);
/** The signature, plain, and in the domain. */
const SIGNATURE = memory.data(3168, 64);
const BASE = memory.data(3168, 64);
const MODULUS = memory.data(3168, 64);
/** n × 2^shift, whose top digit is digit `top` and has TOP_BITS bits. */
const DIVISOR = memory.data(3168, 64);
/** M, with room below for the six digits that come out as zero. */
const SCALED_LOW = memory.data(3264, 64);
const SCALED = SCALED_LOW + STEP_BYTES;
/** Columns. */
const T = memory.data(6336, 64);
/** The six digits a row is made with. Through memory, because the compiler would otherwise compute them in the loop. */
const ROW = memory.data(96, 16);
const INVERSE = memory.data(96, 16);
const QUOTIENT = memory.data(16, 16);
/** −1 / (divisor / β^top). */
const RECIPROCAL = memory.data(16, 16);

// Constants come from memory: built in place they are computed anew in every round of a loop.
const ROUNDING = memory.data<f64>([56668397794435742564352.0, 56668397794435742564352.0], 16); // C = 1.5 × 2^75
const INVERSE_BASE = memory.data<f64>([1.0 / 8388608.0, 1.0 / 8388608.0], 16);

/** L, and the index of the divisor's top digit. */
let digits: u32 = 0;
let top: u32 = 0;
let shift: u32 = 0;

/** column + Σ row_j × digit_j */
// @ts-ignore: decorator
@inline
function dot(
  column: v128,
  row0: v128,
  digit0: v128,
  row1: v128,
  digit1: v128,
  row2: v128,
  digit2: v128,
  row3: v128,
  digit3: v128,
  row4: v128,
  digit4: v128,
  row5: v128,
  digit5: v128,
): v128 {
  let sum = f64x2.add(column, f64x2.mul(row5, digit5));
  sum = f64x2.add(sum, f64x2.mul(row4, digit4));
  sum = f64x2.add(sum, f64x2.mul(row3, digit3));
  sum = f64x2.add(sum, f64x2.mul(row2, digit2));
  sum = f64x2.add(sum, f64x2.mul(row1, digit1));
  return f64x2.add(sum, f64x2.mul(row0, digit0));
}

/**
 * columns += (row0 + row1 β + … + row5 β⁵) × factor, over `count` columns, a multiple of 6. `factor` must have its last
 * five of `count` digits zero.
 */
function addRows(columns: usize, factor: usize, count: u32): void {
  const r0 = v128.load(ROW, 0);
  const r1 = v128.load(ROW, 16);
  const r2 = v128.load(ROW, 32);
  const r3 = v128.load(ROW, 48);
  const r4 = v128.load(ROW, 64);
  const r5 = v128.load(ROW, 80);
  // The digits before: b1 is the nearest.
  let b1 = i64x2.splat(0);
  let b2 = i64x2.splat(0);
  let b3 = i64x2.splat(0);
  let b4 = i64x2.splat(0);
  let b5 = i64x2.splat(0);
  for (let left: i32 = count; left > 0; left -= STEP) {
    const d0 = v128.load(factor, 0);
    v128.store(columns, dot(v128.load(columns, 0), r0, d0, r1, b1, r2, b2, r3, b3, r4, b4, r5, b5), 0);
    const d1 = v128.load(factor, 16);
    v128.store(columns, dot(v128.load(columns, 16), r0, d1, r1, d0, r2, b1, r3, b2, r4, b3, r5, b4), 16);
    const d2 = v128.load(factor, 32);
    v128.store(columns, dot(v128.load(columns, 32), r0, d2, r1, d1, r2, d0, r3, b1, r4, b2, r5, b3), 32);
    const d3 = v128.load(factor, 48);
    v128.store(columns, dot(v128.load(columns, 48), r0, d3, r1, d2, r2, d1, r3, d0, r4, b1, r5, b2), 48);
    const d4 = v128.load(factor, 64);
    v128.store(columns, dot(v128.load(columns, 64), r0, d4, r1, d3, r2, d2, r3, d1, r4, d0, r5, b1), 64);
    const d5 = v128.load(factor, 80);
    v128.store(columns, dot(v128.load(columns, 80), r0, d5, r1, d4, r2, d3, r3, d2, r4, d1, r5, d0), 80);
    b1 = d5;
    b2 = d4;
    b3 = d3;
    b4 = d2;
    b5 = d1;
    columns += STEP_BYTES;
    factor += STEP_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function addTo(column: usize, value: v128): void {
  v128.store(column, f64x2.add(v128.load(column), value));
}

// @ts-ignore: decorator
@inline
function clearColumns(): void {
  memory.fill(T, 0, <usize>(2 * digits + 2 * STEP) << 4);
}

/** The six by six block in the middle of a square: its eleven columns. */
// @ts-ignore: decorator
@inline
function addBlock(columns: usize, number: usize): void {
  const x0 = v128.load(number, 0);
  const x1 = v128.load(number, 16);
  const x2 = v128.load(number, 32);
  const x3 = v128.load(number, 48);
  const x4 = v128.load(number, 64);
  const x5 = v128.load(number, 80);
  const t0 = f64x2.add(x0, x0);
  const t1 = f64x2.add(x1, x1);
  const t2 = f64x2.add(x2, x2);
  const t3 = f64x2.add(x3, x3);
  const t4 = f64x2.add(x4, x4);
  v128.store(ROW, t0, 0);
  v128.store(ROW, t1, 16);
  v128.store(ROW, t2, 32);
  v128.store(ROW, t3, 48);
  v128.store(ROW, t4, 64);
  v128.store(ROW, f64x2.add(x5, x5), 80);
  addTo(columns, f64x2.mul(x0, x0));
  addTo(columns + 16, f64x2.mul(t0, x1));
  addTo(columns + 32, f64x2.add(f64x2.mul(t0, x2), f64x2.mul(x1, x1)));
  addTo(columns + 48, f64x2.add(f64x2.mul(t0, x3), f64x2.mul(t1, x2)));
  addTo(columns + 64, f64x2.add(f64x2.add(f64x2.mul(t0, x4), f64x2.mul(t1, x3)), f64x2.mul(x2, x2)));
  addTo(columns + 80, f64x2.add(f64x2.add(f64x2.mul(t0, x5), f64x2.mul(t1, x4)), f64x2.mul(t2, x3)));
  addTo(columns + 96, f64x2.add(f64x2.add(f64x2.mul(t1, x5), f64x2.mul(t2, x4)), f64x2.mul(x3, x3)));
  addTo(columns + 112, f64x2.add(f64x2.mul(t2, x5), f64x2.mul(t3, x4)));
  addTo(columns + 128, f64x2.add(f64x2.mul(t3, x5), f64x2.mul(x4, x4)));
  addTo(columns + 144, f64x2.mul(t4, x5));
  addTo(columns + 160, f64x2.mul(x5, x5));
}

/** T = X². Rows of doubled digits against all digits behind them; the block in which the row's digits meet apart. */
function square(): void {
  clearColumns();
  let number = X;
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    addBlock(columns, number);
    // `left` counts the digits behind and six zeros.
    addRows(columns + STEP_BYTES, number + STEP_BYTES, left);
    number += STEP_BYTES;
    columns += 2 * STEP_BYTES;
  }
}

/** T = X × factor, a number with digits up to `top` only; L >= top + 6. */
function multiply(factor: usize): void {
  clearColumns();
  let number = X;
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    memory.copy(ROW, number, STEP_BYTES);
    addRows(columns, factor, digits);
    number += STEP_BYTES;
    columns += STEP_BYTES;
  }
}

/**
 * `count` columns, each below 2^53 in size, into digits of at most 2^22 + 129. Two carries at once, so that neither has
 * to wait for the other: the first is at most 2^30, and leaves at most 2^22 + 2^30, whose own carry is at most 2^7 + 1.
 * Nothing may leave at the top: |number| < β^count / 8. Then it does not, because the digits together are below
 * β^count × 0.51, so a carry other than 0 would make the number larger than that.
 */
function carryThrough(columns: usize, number: usize, count: u32): void {
  const rounding = v128.load(ROUNDING);
  const inverseBase = v128.load(INVERSE_BASE);
  let carry1 = i64x2.splat(0);
  let carry2 = i64x2.splat(0);
  const end = columns + (<usize>count << 4);
  for (; columns < end; columns += 16) {
    const value = v128.load(columns);
    const multiple1 = f64x2.sub(f64x2.add(value, rounding), rounding);
    const rest = f64x2.add(f64x2.sub(value, multiple1), carry1);
    carry1 = f64x2.mul(multiple1, inverseBase);
    const multiple2 = f64x2.sub(f64x2.add(rest, rounding), rounding);
    v128.store(number, f64x2.add(f64x2.sub(rest, multiple2), carry2));
    carry2 = f64x2.mul(multiple2, inverseBase);
    number += 16;
  }
}

/** X = T / R modulo n, within the bounds at the head of this file. */
function reduce(): void {
  const rounding = v128.load(ROUNDING);
  const inverseBase = v128.load(INVERSE_BASE);
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    let carry = i64x2.splat(0);
    for (let i: usize = 0; i < STEP_BYTES; i += 16) {
      const value = f64x2.add(v128.load(columns + i), carry);
      const multiple = f64x2.sub(f64x2.add(value, rounding), rounding);
      v128.store(ROW + i, f64x2.sub(value, multiple));
      carry = f64x2.mul(multiple, inverseBase);
    }
    columns += STEP_BYTES;
    addTo(columns, carry);
    // M has digits up to `top`, and L >= top + 6, so the last five of L digits are zero.
    addRows(columns, SCALED, digits);
  }
  carryThrough(T + (<usize>digits << 4), X, digits);
}

/**
 * T −= round(T / (divisor β^k)) × divisor × β^k. Column k + top + 1, the highest in use, is first folded into the one below.
 *
 * Let ν = divisor / β^top, at least 2^12 (the modulus' first byte is not 0, so its top digit has 12 to 20 bits), and
 * |T| <= E × divisor × β^(k+1) with E <= 1, columns above k + top + 1 empty, all columns below 2^52. T / β^(k+top) is at
 * most 2^20 β + 2^52 / β × 1.01 < 2^44, which bounds the fold; the column above it is at most 2^52 / β + 2^30 < 2^31, so
 * both terms of the fold are below 2^54 and multiples of 1 … exact. The estimate of the quotient q*, |q*| <= E β, is the
 * fold and three columns below times −1 / ν: columns left out, 2^52 / β³ / ν < 2^-28; rounding of sums of at most 2^53,
 * 2^53 2^-52 / ν <= 2^-11; of ν, its inverse and the product, relative 2^-50, 2^-27. So |T after| <= (1/2 + 2^-10)
 * divisor β^k. A column gets at most 180 products of at most 0.51 β × 2^22, one of β × 2^22, and its fold: below 2^52.
 *
 * `scale` is 1; or 2^shift with n itself as divisor and k = 0, for a T with |T| <= 0.51 n 2^shift that is to come below n.
 * T then has digits of at most 2^22 + 6 × 2^45 in size and the errors are scaled with it: rounding of sums of at most
 * 2^48, 2^48 2^-52 / ν × 2^shift. As 2^shift <= 2^22 and ν >= 2^12 that is at most 2^6 — too much, so `leave` carries the
 * columns through before: then the sums are at most 2^20, and the error is below 2^-20 + 2^-28 2^22.
 */
function divideStep(k: u32, divisor: usize, scale: f64): void {
  const highest = T + (<usize>(k + top + 1) << 4);
  const inverseBase = v128.load(INVERSE_BASE);
  const folded = f64x2.add(
    v128.load(highest - 16),
    f64x2.mul(v128.load(highest), f64x2.splat(8388608.0)),
  );
  v128.store(highest - 16, folded);
  v128.store(highest, i64x2.splat(0));
  let value = f64x2.mul(v128.load(highest - 64), inverseBase);
  value = f64x2.mul(f64x2.add(value, v128.load(highest - 48)), inverseBase);
  value = f64x2.mul(f64x2.add(value, v128.load(highest - 32)), inverseBase);
  value = f64x2.mul(f64x2.add(value, folded), v128.load(RECIPROCAL));
  v128.store(QUOTIENT, f64x2.nearest(f64x2.mul(value, f64x2.splat(scale))));

  const quotient = v128.load(QUOTIENT);
  for (let column = T + (<usize>k << 4); column < highest; column += 16) {
    addTo(column, f64x2.mul(quotient, v128.load(divisor)));
    divisor += 16;
  }
}

/** −1 / ν, from its four highest digits. */
function prepareDivision(): void {
  const inverseBase = v128.load(INVERSE_BASE);
  const at = DIVISOR + (<usize>top << 4);
  let value = f64x2.mul(v128.load(at - 48), inverseBase);
  value = f64x2.mul(f64x2.add(value, v128.load(at - 32)), inverseBase);
  value = f64x2.mul(f64x2.add(value, v128.load(at - 16)), inverseBase);
  v128.store(RECIPROCAL, f64x2.div(f64x2.splat(-1.0), f64x2.add(value, v128.load(at))));
}

/** X = signature × R modulo n: high digits first, by division, which costs less than a multiplication by R² would. */
function enter(): void {
  clearColumns();
  memory.copy(T + (<usize>digits << 4), SIGNATURE, <usize>(top + 1) << 4);
  // signature < n <= divisor, so the first step has |T| < divisor β^L.
  for (let k = digits; k > 0; k--) divideStep(k - 1, DIVISOR, 1);
  // |T| <= 0.51 n 2^shift, which is below n 2^137.
  carryThrough(T, X, digits);
}

/** The lanes' powers = X mod n, for |X| <= n 2^137. */
function leave(): void {
  clearColumns();
  memory.copy(T, X, <usize>digits << 4);
  // n 2^137 < divisor β⁶.
  for (let k = STEP; k > 0; k--) divideStep(k - 1, DIVISOR, 1);
  carryThrough(T, X, top + 2);
  memory.copy(T, X, <usize>(top + 2) << 4);
  divideStep(0, MODULUS, <f64>((<u64>1) << shift));
  for (let at: usize = T; at < T + (<usize>(top + 2) << 4); at += 8) store<i64>(at, <i64>load<f64>(at));
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
  // The rows of a square run over six zeros behind the number; a wider one may have stood there.
  memory.fill(X + (<usize>digits << 4), 0, STEP_BYTES);
  for (let lane: u32 = 0; lane < 2; lane++) {
    splitDigits(modulusOf(lane), 0, WIDTH, digits, MODULUS, lane);
    splitDigits(modulusOf(lane), shift, WIDTH, digits, DIVISOR, lane);
    splitDigits(signatureOf(lane), 0, WIDTH, digits, SIGNATURE, lane);
    splitDigits(inverseOf(lane), 0, WIDTH, STEP, INVERSE, lane);
  }
  // M: n k + 1 ends in six zero digits.
  clearColumns();
  memory.copy(ROW, INVERSE, STEP_BYTES);
  v128.store(T, f64x2.splat(1));
  addRows(T, MODULUS, digits);
  carryThrough(T, SCALED_LOW, digits + STEP);
  prepareDivision();
}

/** Both lanes' signature^exponent mod n, for moduli of `bytes` bytes. */
export function power23(bytes: u32, exponent: u32): void {
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

// Squaring in Montgomery form on whole 64-bit columns, for the long run of squarings in s^65537: the scalar twin of
// power51.ts. Digits are 27 bits without sign, β = 2^27.
//
// Reduction. k = −1/n modulo β⁴, below β⁴, and M = (n k + 1) / β⁴ <= n. Four digits Q at the low end of T go by
// T + Q n k = (T − Q) + β⁴ Q M: Q is the digits themselves, no quotient is computed. With R = β^L the whole reduction gives
//   T' <= T / R + n k < T / R + n β⁴.
// L is chosen so that R >= 4 n β⁴. Numbers below 2 n β⁴ therefore stay there: (2 n β⁴)² / R <= n β⁴, together below
// 2 n β⁴ <= R / 2, which fits L digits.
//
// Columns. At most 160 digits make a column of a square, at most 160 that of its reduction, each product below 2^54, and
// a carry below 2^37: 320 × 2^54 < 2^62.4. u64 holds it, and each column is carried once.

const WIDTH: u32 = 27;
const MASK: u64 = (1 << 27) - 1;
const STEP: u32 = 4;

/** Columns: 2 × 160, and the windows that run over the end. */
const T = memory.data(2688, 64);
/** M, with zeros above, and room below for the four digits that come out as zero. */
const SCALED_LOW = memory.data(704, 64);
const SCALED = SCALED_LOW + 16;
/** A number with zeros above. */
const X = memory.data(704, 64);

/** L, a multiple of 4. */
let digits: u32 = 0;

// @ts-ignore: decorator
@inline
function digit(number: usize, index: usize): u64 {
  return load<u32>(number + (index << 2));
}

/** columns += (r0 + r1 β + r2 β² + r3 β³) × factor over `count` columns; the last three of `count` digits are zero. */
// @ts-ignore: decorator
@inline
function addRows(columns: usize, factor: usize, count: u32, r0: u64, r1: u64, r2: u64, r3: u64): void {
  let b1: u64 = 0;
  let b2: u64 = 0;
  let b3: u64 = 0;
  for (let left: i32 = count; left > 0; left -= STEP) {
    const d0 = digit(factor, 0);
    store<u64>(columns, load<u64>(columns, 0) + r0 * d0 + r1 * b1 + r2 * b2 + r3 * b3, 0);
    const d1 = digit(factor, 1);
    store<u64>(columns, load<u64>(columns, 8) + r0 * d1 + r1 * d0 + r2 * b1 + r3 * b2, 8);
    const d2 = digit(factor, 2);
    store<u64>(columns, load<u64>(columns, 16) + r0 * d2 + r1 * d1 + r2 * d0 + r3 * b1, 16);
    const d3 = digit(factor, 3);
    store<u64>(columns, load<u64>(columns, 24) + r0 * d3 + r1 * d2 + r2 * d1 + r3 * d0, 24);
    b1 = d3;
    b2 = d2;
    b3 = d1;
    columns += 32;
    factor += 16;
  }
}

// @ts-ignore: decorator
@inline
function addTo(column: usize, value: u64): void {
  store<u64>(column, load<u64>(column) + value);
}

/** T = X². Rows of doubled digits against all digits behind them; the four by four block apart. */
function square(): void {
  memory.fill(T, 0, <usize>(2 * digits + STEP) << 3);
  let number = X;
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    const x0 = digit(number, 0);
    const x1 = digit(number, 1);
    const x2 = digit(number, 2);
    const x3 = digit(number, 3);
    const t0 = x0 << 1;
    const t1 = x1 << 1;
    const t2 = x2 << 1;
    addTo(columns, x0 * x0);
    addTo(columns + 8, t0 * x1);
    addTo(columns + 16, t0 * x2 + x1 * x1);
    addTo(columns + 24, t0 * x3 + t1 * x2);
    addTo(columns + 32, t1 * x3 + x2 * x2);
    addTo(columns + 40, t2 * x3);
    addTo(columns + 48, x3 * x3);
    // `left` counts the digits behind and four zeros.
    addRows(columns + 32, number + 16, left, t0, t1, t2, x3 << 1);
    number += 16;
    columns += 64;
  }
}

/** X = T / R modulo n, within the bounds at the head of this file. */
function reduce(): void {
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    const v0 = load<u64>(columns, 0);
    const v1 = load<u64>(columns, 8) + (v0 >> WIDTH);
    const v2 = load<u64>(columns, 16) + (v1 >> WIDTH);
    const v3 = load<u64>(columns, 24) + (v2 >> WIDTH);
    columns += 32;
    addTo(columns, v3 >> WIDTH);
    // M has as many digits as n, and L is at least four more, so the last three of L digits are zero.
    addRows(columns, SCALED, digits, v0 & MASK, v1 & MASK, v2 & MASK, v3 & MASK);
  }
  carryThrough(columns, X, digits);
}

/** `count` columns into digits. */
function carryThrough(columns: usize, number: usize, count: u32): void {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value = load<u64>(columns) + carry;
    store<u32>(number, <u32>(value & MASK));
    carry = value >> WIDTH;
    columns += 8;
    number += 4;
  }
}

/** Digits that a modulus of `bytes` bytes needs here: R >= 4 n β⁴, and a multiple of 4. */
export function squaringDigits(bytes: u32): u32 {
  return ((bytes * 8 + 2 + STEP * WIDTH + STEP * WIDTH - 1) / (STEP * WIDTH)) * STEP;
}

/** k = −1/n modulo β⁴ into the first digits of X, given −1/n modulo β: every digit makes one more of 1 + n k zero. */
function invertModulus(modulus: usize, negativeInverse: u32): void {
  store<u64>(T, 1);
  for (let i: usize = 0; i < STEP; i++) {
    const quotient = (load<u32>(T + (i << 3)) * negativeInverse) & <u32>MASK;
    store<u32>(X + (i << 2), quotient);
    for (let j: usize = 0; i + j < STEP; j++) addTo(T + ((i + j) << 3), <u64>quotient * digit(modulus, j));
    addTo(T + ((i + 1) << 3), load<u64>(T + (i << 3)) >> WIDTH);
  }
}

/** M for the modulus at `modulus`, in `squaringDigits` digits, given −1/n modulo β. */
export function prepareSquaring(modulus: usize, count: u32, negativeInverse: u32): void {
  digits = count;
  memory.fill(T, 0, <usize>(2 * digits + STEP) << 3);
  invertModulus(modulus, negativeInverse);
  memory.fill(T, 0, <usize>(2 * digits + STEP) << 3);
  store<u64>(T, 1);
  addRows(T, modulus, digits, digit(X, 0), digit(X, 1), digit(X, 2), digit(X, 3));
  carryThrough(T, SCALED_LOW, digits + STEP);
  memory.fill(SCALED + (<usize>digits << 2), 0, 16);
}

/** number = number^(2^times) R^(1 − 2^times) modulo n: `times` Montgomery squarings of a number below 2 n β⁴, in place. */
export function squareTimes(number: usize, times: u32): void {
  memory.copy(X, number, <usize>digits << 2);
  memory.fill(X + (<usize>digits << 2), 0, 16);
  for (let i: u32 = 0; i < times; i++) {
    square();
    reduce();
  }
  memory.copy(number, X, <usize>digits << 2);
}

// Modular powers in integers: Montgomery multiplication on whole 64-bit columns, the scalar twin of power51.ts. Digits are
// 27 bits without sign (digits27.ts), β = 2^27.
//
// Reduction. k = −1/n modulo β⁸, below β⁸, and M = (n k + 1) / β⁸ <= n. Eight digits Q at the low end of T go by
// T + Q n k = (T − Q) + β⁸ Q M: Q is the digits themselves, no quotient is computed. With R = β^L the digits taken are
// together below R, so the whole reduction gives
//   T' < T / R + n k <= T / R + n (β⁸ − 1).
// L is chosen so that R >= 4 n β⁸. Numbers below 2 n β⁸ therefore stay there: (2 n β⁸)² / R <= n β⁸, together below
// 2 n β⁸ <= R / 2, which fits L digits. A product of such a number with one below n comes out below n β⁸: T / R <= n / 2.
//
// Columns. At most 160 digits make a column of a square, at most 160 that of its reduction, each product below 2^54, and
// a carry below 2^37: 320 × 2^54 + 2^37 < 2^62.4. u64 holds it, and each column is carried once. What is subtracted on
// the way (see `square`) is part of what was or will be added, and u64 wraps.
//
// Eight rows a pass, the digits read from memory for each product and not kept: a register then holds a row's digit and
// none is moved. µs per squaring of 4096 bits (AMD EPYC Zen 5; Node 20 / 24): four rows with the digits in locals
// 8.4 / 8.9, eight rows so 8.0 / 7.2, eight rows with the digits from memory 6.9 / 7.0, six 7.8 / 7.5, four 7.9 / 7.5.

import {
  copyDigits,
  digit,
  digits,
  loadModulus,
  MASK,
  MODULUS,
  modulusDigits,
  negativeInverse,
  powersModulo,
  remainderOf,
  WIDTH,
} from './digits27';

const STEP: u32 = 8;

/** Columns: 2 × 160, and the windows that run over the end. */
const T = memory.data(2752, 64);
/** Numbers, each with eight zero digits below and above. The low eight digits of `SCALED_LOW` come out as zeros. */
const SCALED_LOW = memory.data(736, 64);
const SCALED = SCALED_LOW + 32;
const X_AREA = memory.data(704, 64);
const X = X_AREA + 32;
const BASE_AREA = memory.data(704, 64);
const BASE = BASE_AREA + 32;
/** β^(u+7) and β^(u+9) modulo n. */
const HIGH_AREA = memory.data(704, 64);
const HIGH = HIGH_AREA + 32;
const HIGHER_AREA = memory.data(704, 64);
const HIGHER = HIGHER_AREA + 32;

/** columns += (r0 + r1 β + … + r7 β⁷) × factor over `count` columns, a multiple of 8. Reads seven digits below the factor. */
function addRows(columns: usize, factor: usize, count: u32, r0: u64, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64, r6: u64, r7: u64): void {
  // Offsets are written as immediates: added to the pointer they would cost an instruction each.
  let window = factor - 28;
  const end = window + (<usize>count << 2);
  while (window < end) {
    store<u64>(
      columns,
      load<u64>(columns, 0) +
        r0 * <u64>load<u32>(window, 28) +
        r1 * <u64>load<u32>(window, 24) +
        r2 * <u64>load<u32>(window, 20) +
        r3 * <u64>load<u32>(window, 16) +
        r4 * <u64>load<u32>(window, 12) +
        r5 * <u64>load<u32>(window, 8) +
        r6 * <u64>load<u32>(window, 4) +
        r7 * <u64>load<u32>(window, 0),
      0,
    );
    store<u64>(
      columns,
      load<u64>(columns, 8) +
        r0 * <u64>load<u32>(window, 32) +
        r1 * <u64>load<u32>(window, 28) +
        r2 * <u64>load<u32>(window, 24) +
        r3 * <u64>load<u32>(window, 20) +
        r4 * <u64>load<u32>(window, 16) +
        r5 * <u64>load<u32>(window, 12) +
        r6 * <u64>load<u32>(window, 8) +
        r7 * <u64>load<u32>(window, 4),
      8,
    );
    store<u64>(
      columns,
      load<u64>(columns, 16) +
        r0 * <u64>load<u32>(window, 36) +
        r1 * <u64>load<u32>(window, 32) +
        r2 * <u64>load<u32>(window, 28) +
        r3 * <u64>load<u32>(window, 24) +
        r4 * <u64>load<u32>(window, 20) +
        r5 * <u64>load<u32>(window, 16) +
        r6 * <u64>load<u32>(window, 12) +
        r7 * <u64>load<u32>(window, 8),
      16,
    );
    store<u64>(
      columns,
      load<u64>(columns, 24) +
        r0 * <u64>load<u32>(window, 40) +
        r1 * <u64>load<u32>(window, 36) +
        r2 * <u64>load<u32>(window, 32) +
        r3 * <u64>load<u32>(window, 28) +
        r4 * <u64>load<u32>(window, 24) +
        r5 * <u64>load<u32>(window, 20) +
        r6 * <u64>load<u32>(window, 16) +
        r7 * <u64>load<u32>(window, 12),
      24,
    );
    store<u64>(
      columns,
      load<u64>(columns, 32) +
        r0 * <u64>load<u32>(window, 44) +
        r1 * <u64>load<u32>(window, 40) +
        r2 * <u64>load<u32>(window, 36) +
        r3 * <u64>load<u32>(window, 32) +
        r4 * <u64>load<u32>(window, 28) +
        r5 * <u64>load<u32>(window, 24) +
        r6 * <u64>load<u32>(window, 20) +
        r7 * <u64>load<u32>(window, 16),
      32,
    );
    store<u64>(
      columns,
      load<u64>(columns, 40) +
        r0 * <u64>load<u32>(window, 48) +
        r1 * <u64>load<u32>(window, 44) +
        r2 * <u64>load<u32>(window, 40) +
        r3 * <u64>load<u32>(window, 36) +
        r4 * <u64>load<u32>(window, 32) +
        r5 * <u64>load<u32>(window, 28) +
        r6 * <u64>load<u32>(window, 24) +
        r7 * <u64>load<u32>(window, 20),
      40,
    );
    store<u64>(
      columns,
      load<u64>(columns, 48) +
        r0 * <u64>load<u32>(window, 52) +
        r1 * <u64>load<u32>(window, 48) +
        r2 * <u64>load<u32>(window, 44) +
        r3 * <u64>load<u32>(window, 40) +
        r4 * <u64>load<u32>(window, 36) +
        r5 * <u64>load<u32>(window, 32) +
        r6 * <u64>load<u32>(window, 28) +
        r7 * <u64>load<u32>(window, 24),
      48,
    );
    store<u64>(
      columns,
      load<u64>(columns, 56) +
        r0 * <u64>load<u32>(window, 56) +
        r1 * <u64>load<u32>(window, 52) +
        r2 * <u64>load<u32>(window, 48) +
        r3 * <u64>load<u32>(window, 44) +
        r4 * <u64>load<u32>(window, 40) +
        r5 * <u64>load<u32>(window, 36) +
        r6 * <u64>load<u32>(window, 32) +
        r7 * <u64>load<u32>(window, 28),
      56,
    );
    columns += 64;
    window += 32;
  }
}

// @ts-ignore: decorator
@inline
function addTo(column: usize, value: u64): void {
  store<u64>(column, load<u64>(column) + value);
}

// @ts-ignore: decorator
@inline
function clearColumns(): void {
  memory.fill(T, 0, <usize>(2 * digits + STEP) << 3);
}

/**
 * T = X². Rows of doubled digits against all digits behind them. The first seven columns of a row's window also meet the
 * row's own digits, every pair in both orders and doubled: once too often. So of the block in which the row's digits
 * meet, the low eight columns are added and the seven above subtracted.
 */
function square(): void {
  clearColumns();
  let number = X;
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    const x0 = digit(number, 0);
    const x1 = digit(number, 1);
    const x2 = digit(number, 2);
    const x3 = digit(number, 3);
    const x4 = digit(number, 4);
    const x5 = digit(number, 5);
    const x6 = digit(number, 6);
    const x7 = digit(number, 7);
    const t0 = x0 << 1;
    const t1 = x1 << 1;
    const t2 = x2 << 1;
    const t3 = x3 << 1;
    const t4 = x4 << 1;
    const t5 = x5 << 1;
    const t6 = x6 << 1;
    addTo(columns + 0, x0 * x0);
    addTo(columns + 8, t0 * x1);
    addTo(columns + 16, t0 * x2 + x1 * x1);
    addTo(columns + 24, t0 * x3 + t1 * x2);
    addTo(columns + 32, t0 * x4 + t1 * x3 + x2 * x2);
    addTo(columns + 40, t0 * x5 + t1 * x4 + t2 * x3);
    addTo(columns + 48, t0 * x6 + t1 * x5 + t2 * x4 + x3 * x3);
    addTo(columns + 56, t0 * x7 + t1 * x6 + t2 * x5 + t3 * x4);
    addTo(columns + 64, 0 - (t1 * x7 + t2 * x6 + t3 * x5 + x4 * x4));
    addTo(columns + 72, 0 - (t2 * x7 + t3 * x6 + t4 * x5));
    addTo(columns + 80, 0 - (t3 * x7 + t4 * x6 + x5 * x5));
    addTo(columns + 88, 0 - (t4 * x7 + t5 * x6));
    addTo(columns + 96, 0 - (t5 * x7 + x6 * x6));
    addTo(columns + 104, 0 - t6 * x7);
    addTo(columns + 112, 0 - x7 * x7);
    // `left` counts the digits behind and eight zeros.
    addRows(columns + 64, number + 32, left, t0, t1, t2, t3, t4, t5, t6, x7 << 1);
    number += 32;
    columns += 128;
  }
}

/** T = X × factor, a number below 2 n β⁸ too, with zeros below. */
function multiply(factor: usize): void {
  clearColumns();
  let number = X;
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    addNumber(columns, number, factor);
    number += 32;
    columns += 64;
  }
}

/** columns += eight digits × factor, whose upper seven of L digits are zero, or whose product is cut off anyway. */
function addNumber(columns: usize, eight: usize, factor: usize): void {
  addRows(
    columns,
    factor,
    digits + STEP,
    digit(eight, 0),
    digit(eight, 1),
    digit(eight, 2),
    digit(eight, 3),
    digit(eight, 4),
    digit(eight, 5),
    digit(eight, 6),
    digit(eight, 7),
  );
}

/** X = T / R modulo n, within the bounds at the head of this file. */
function reduce(): void {
  let columns = T;
  for (let left: i32 = digits; left > 0; left -= STEP) {
    const v0 = load<u64>(columns, 0);
    const v1 = load<u64>(columns, 8) + (v0 >> WIDTH);
    const v2 = load<u64>(columns, 16) + (v1 >> WIDTH);
    const v3 = load<u64>(columns, 24) + (v2 >> WIDTH);
    const v4 = load<u64>(columns, 32) + (v3 >> WIDTH);
    const v5 = load<u64>(columns, 40) + (v4 >> WIDTH);
    const v6 = load<u64>(columns, 48) + (v5 >> WIDTH);
    const v7 = load<u64>(columns, 56) + (v6 >> WIDTH);
    columns += 64;
    addTo(columns, v7 >> WIDTH);
    // M has as many digits as n, and L is at least eight more, so the last seven of L digits are zero.
    addRows(
      columns,
      SCALED,
      digits,
      v0 & MASK,
      v1 & MASK,
      v2 & MASK,
      v3 & MASK,
      v4 & MASK,
      v5 & MASK,
      v6 & MASK,
      v7 & MASK,
    );
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

/** k into the first digits of X: every digit makes one more of 1 + n k zero. */
function invertModulus(): void {
  const inverse = negativeInverse();
  clearColumns();
  store<u64>(T, 1);
  for (let i: usize = 0; i < STEP; i++) {
    const quotient = (load<u32>(T + (i << 3)) * inverse) & <u32>MASK;
    store<u32>(X + (i << 2), quotient);
    for (let j: usize = 0; i + j < STEP; j++) addTo(T + ((i + j) << 3), <u64>quotient * digit(MODULUS, j));
    addTo(T + ((i + 1) << 3), load<u64>(T + (i << 3)) >> WIDTH);
  }
}

/** Digits that a modulus of `bytes` bytes needs here: R >= 4 n β⁸, a multiple of 8. 160 for 512 bytes. */
function digitsFor(bytes: u32): u32 {
  const perStep = STEP * WIDTH;
  return ((bytes * 8 + 2 + perStep + perStep - 1) / perStep) * STEP;
}

/** Makes the big-endian number at `at` the modulus, see `loadModulus` of digits27.ts. */
export function setModulus(at: usize, bytes: u32): void {
  loadModulus(at, bytes, digitsFor(bytes));
  invertModulus();
  clearColumns();
  store<u64>(T, 1);
  addNumber(T, X, MODULUS);
  carryThrough(T, SCALED_LOW, digits + STEP);
  // The eight zeros above: a wider number may have stood there.
  memory.fill(SCALED + (<usize>digits << 2), 0, 32);
  memory.fill(X + (<usize>digits << 2), 0, 32);
}

/** Carries from column `from` up to column `to`, which keeps what is above. */
function carryUp(from: u32, to: u32): void {
  let at = T + (<usize>from << 3);
  const end = T + (<usize>to << 3);
  let carry: u64 = 0;
  for (; at < end; at += 8) {
    const value = load<u64>(at) + carry;
    store<u64>(at, value & MASK);
    carry = value >> WIDTH;
  }
  addTo(end, carry);
}

/**
 * X = a R modulo n, below 2 n β⁸, for a < n: the way into Montgomery form. A multiplication by R² mod n would need R²
 * first, which costs more.
 *
 * a stands in the columns from L on, and eight columns at a time go from the top: with a cut C = β^c, c = u + 9 + 8 j,
 *   y = h C + l  becomes  h β^(8 j) (β^(u+9) mod n) + l.
 * For y < 2 C β⁸, h is below 2 β⁸ and its top digit below 2^28. Three columns below the cut are carried into it. What is
 * not carried stays below: columns are at most 160 products below 2^55, together below 2^62.4, hence l < 1.01 C. Then
 * y' < 1.01 C + 2 β⁸ n C / β^(u+9) < 2 C, which is 2 C' β⁸ for the next cut. The first is far above a R: a R < β^(u+L).
 * After the last y < 1.01 β^(u+9), and two columns more leave y' < 1.01 β^(u+7) + 1.01 β² n, where β^(u+7) < n β⁸.
 */
function enter(a: usize): void {
  clearColumns();
  powersModulo(HIGH, HIGHER);
  for (let i: u32 = 0; i < modulusDigits; i++) {
    store<u64>(T + (<usize>(digits + i) << 3), digit(a, i));
  }
  const last = modulusDigits + 9;
  for (let cut = last + digits - 2 * STEP; cut >= last; cut -= STEP) {
    carryUp(cut - 3, cut + 7);
    const h = T + (<usize>cut << 3);
    addRows(
      h - (<usize>last << 3),
      HIGHER,
      digits,
      load<u64>(h, 0),
      load<u64>(h, 8),
      load<u64>(h, 16),
      load<u64>(h, 24),
      load<u64>(h, 32),
      load<u64>(h, 40),
      load<u64>(h, 48),
      load<u64>(h, 56),
    );
    memory.fill(h, 0, 64);
  }
  carryUp(last - 5, last - 1);
  const h = T + (<usize>(last - 2) << 3);
  addRows(T, HIGH, digits, load<u64>(h, 0), load<u64>(h, 8), 0, 0, 0, 0, 0, 0);
  store<u64>(h, 0, 0);
  store<u64>(h, 0, 8);
  carryThrough(T, X, digits);
}

/**
 * out = signature^exponent mod n for signature < n and an odd exponent of at least 3. Square and multiply from the second
 * bit down; the factor for the last bit, which is 1, is the plain signature, and that product leaves the form:
 * (x R) s / R = x s.
 */
export function raise(signature: usize, exponent: u32, out: usize): void {
  enter(signature);
  if (popcnt<u32>(exponent) > 2) copyDigits(X, BASE);
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
  multiply(signature);
  reduce();
  remainderOf(X, out);
}

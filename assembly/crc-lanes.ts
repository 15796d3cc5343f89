// CRC-32C of whole blocks in SIMD: sixteen streams side by side, one byte of each per step (docs/protocol/01 §6).
//
// A block is sixteen pieces of 32 bytes that follow each other. It is turned on its side, so that a vector holds the bytes
// that the sixteen streams need next. The sixteen registers lie in four planes, plane k with byte k of each; a table of
// 256 words becomes eight of 16 bytes that a swizzle looks up in, since the entry of a byte is the sum of the entries of
// its halves. At the end the registers are joined as if the pieces had been walked through one after the other.

import { afterZero, makeShifts, shifted } from './crc-polynomial';

const STREAMS: usize = 16;
const PIECE_BYTES: usize = 32;
/** As src/core/wasm-core.ts has it. */
const BLOCK_BYTES: usize = STREAMS * PIECE_BYTES;

/** Eight vectors: for each byte of an entry the one of a low half of a byte, and that of a high half. */
const HALVES = memory.data(8 * 16, 16);

function makeHalves(): void {
  for (let half: u32 = 0; half < 16; half++) {
    const low = afterZero(half);
    const high = afterZero(half << 4);
    for (let k: u32 = 0; k < 4; k++) {
      const at = HALVES + (<usize>k << 5) + half;
      store<u8>(at, <u8>(low >> (8 * k)));
      store<u8>(at, <u8>(high >> (8 * k)), 16);
    }
  }
}
makeHalves();

/** The registers past one piece, and past four. */
const PAST_ONE = memory.data(4096, 64);
const PAST_FOUR = memory.data(4096, 64);
makeShifts(PAST_ONE, <u32>PIECE_BYTES);
makeShifts(PAST_FOUR, 4 * <u32>PIECE_BYTES);

const HALF_TURNED = memory.data(256, 16);
const TURNED = memory.data(256, 16);
const REGISTERS = memory.data(64, 16);

/** The bytes of the first halves of `a` and `b` in turn. */
// @ts-ignore: decorator
@inline
function firsts(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** Those of the second halves. */
// @ts-ignore: decorator
@inline
function seconds(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** Four bytes at a time, one of each: all of those into four vectors at `out`. */
// @ts-ignore: decorator
@inline
function interleave(a: v128, b: v128, c: v128, d: v128, out: usize): void {
  const firstAc = firsts(a, c);
  const firstBd = firsts(b, d);
  const secondAc = seconds(a, c);
  const secondBd = seconds(b, d);
  v128.store(out, firsts(firstAc, firstBd));
  v128.store(out, seconds(firstAc, firstBd), 16);
  v128.store(out, firsts(secondAc, secondBd), 32);
  v128.store(out, seconds(secondAc, secondBd), 48);
}

/**
 * Half of turning 16 rows of 16 bytes, `apart` bytes from one to the next, on their side: row and column of a byte are eight
 * bits of its place, and these are rotated by two here. Done twice, rows and columns have changed places.
 */
// @ts-ignore: decorator
@inline
function halfTurn(rows: usize, apart: usize, out: usize): void {
  for (let i = 0; i < 4; i++) {
    const a = v128.load(rows);
    const b = v128.load(rows + 4 * apart);
    const c = v128.load(rows + 8 * apart);
    const d = v128.load(rows + 12 * apart);
    interleave(a, b, c, d, out);
    rows += apart;
    out += 64;
  }
}

/** The register after `blocks` blocks at `at`, given the one before. */
function registerAfter(register: u32, at: usize, blocks: u32): u32 {
  const lowMask = i8x16.splat(0x0f);
  const byteMask = i32x4(0xff, 0, 0, 0);
  const low0 = v128.load(HALVES);
  const high0 = v128.load(HALVES, 16);
  const low1 = v128.load(HALVES, 32);
  const high1 = v128.load(HALVES, 48);
  const low2 = v128.load(HALVES, 64);
  const high2 = v128.load(HALVES, 80);
  const low3 = v128.load(HALVES, 96);
  const high3 = v128.load(HALVES, 112);
  for (; blocks > 0; blocks--) {
    // The first stream goes on from what came before, the others from nothing.
    const before = i32x4(register, 0, 0, 0);
    let plane0 = v128.and(before, byteMask);
    let plane1 = v128.and(i32x4.shr_u(before, 8), byteMask);
    let plane2 = v128.and(i32x4.shr_u(before, 16), byteMask);
    let plane3 = i32x4.shr_u(before, 24);
    for (let part: usize = 0; part < PIECE_BYTES; part += 16) {
      halfTurn(at + part, PIECE_BYTES, HALF_TURNED);
      halfTurn(HALF_TURNED, 16, TURNED);
      for (let from = TURNED; from < TURNED + 256; from += 16) {
        const bytes = v128.xor(plane0, v128.load(from));
        const low = v128.and(bytes, lowMask);
        const high = v128.and(i16x8.shr_u(bytes, 4), lowMask);
        plane0 = v128.xor(plane1, v128.xor(i8x16.swizzle(low0, low), i8x16.swizzle(high0, high)));
        plane1 = v128.xor(plane2, v128.xor(i8x16.swizzle(low1, low), i8x16.swizzle(high1, high)));
        plane2 = v128.xor(plane3, v128.xor(i8x16.swizzle(low2, low), i8x16.swizzle(high2, high)));
        plane3 = v128.xor(i8x16.swizzle(low3, low), i8x16.swizzle(high3, high));
      }
    }
    register = joined(plane0, plane1, plane2, plane3);
    at += BLOCK_BYTES;
  }
  return register;
}

/** One register of the sixteen in those planes: four and four, then those four. */
function joined(plane0: v128, plane1: v128, plane2: v128, plane3: v128): u32 {
  interleave(plane0, plane1, plane2, plane3, REGISTERS);
  const first = joinedFour(REGISTERS);
  const second = joinedFour(REGISTERS + 16);
  const third = joinedFour(REGISTERS + 32);
  const fourth = joinedFour(REGISTERS + 48);
  return (
    shifted(PAST_FOUR, shifted(PAST_FOUR, shifted(PAST_FOUR, first) ^ second) ^ third) ^ fourth
  );
}

// @ts-ignore: decorator
@inline
function joinedFour(at: usize): u32 {
  return (
    shifted(PAST_ONE, shifted(PAST_ONE, shifted(PAST_ONE, load<u32>(at)) ^ load<u32>(at, 4)) ^ load<u32>(at, 8)) ^
    load<u32>(at, 12)
  );
}

/** CRC-32C of `blocks` blocks of 512 bytes at `at`, continuing the final value `start` (0 for a new one). */
export function crc32cBlocks(at: usize, blocks: u32, start: u32): u32 {
  return ~registerAfter(~start, at, blocks);
}

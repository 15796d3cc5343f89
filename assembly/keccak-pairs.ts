// The permutation Keccak-f[1600] of FIPS 202 §3.2 on two states at once, one per 64-bit lane, and SHA3-512 over pairs of
// messages with it. The steps and the names are those of keccak.ts. Every lane of A[x, y] is a v128.

import { sha3Repeated } from './sha3';
import { paddedWord, RATE_BYTES } from './sha3-padding';

const DIGEST_BYTES: u32 = 64;

/** ι constants, one per round and state (FIPS 202 §3.2.5). */
const ROUND_CONSTANTS = memory.data<u64>(
  [
    0x0000000000000001, 0x0000000000000001, 0x0000000000008082, 0x0000000000008082,
    0x800000000000808a, 0x800000000000808a, 0x8000000080008000, 0x8000000080008000,
    0x000000000000808b, 0x000000000000808b, 0x0000000080000001, 0x0000000080000001,
    0x8000000080008081, 0x8000000080008081, 0x8000000000008009, 0x8000000000008009,
    0x000000000000008a, 0x000000000000008a, 0x0000000000000088, 0x0000000000000088,
    0x0000000080008009, 0x0000000080008009, 0x000000008000000a, 0x000000008000000a,
    0x000000008000808b, 0x000000008000808b, 0x800000000000008b, 0x800000000000008b,
    0x8000000000008089, 0x8000000000008089, 0x8000000000008003, 0x8000000000008003,
    0x8000000000008002, 0x8000000000008002, 0x8000000000000080, 0x8000000000000080,
    0x000000000000800a, 0x000000000000800a, 0x800000008000000a, 0x800000008000000a,
    0x8000000080008081, 0x8000000080008081, 0x8000000000008080, 0x8000000000008080,
    0x0000000080000001, 0x0000000080000001, 0x8000000080008008, 0x8000000080008008,
  ],
  16,
);
const ROUND_CONSTANT_BYTES: usize = 24 * 16;

/** 25 lanes of two words. */
const STATES = memory.data(400, 64);
const DIGESTS = memory.data(128, 16);
const DIGEST = memory.data(64, 16);

/** For each number of whole blocks, modulo the length of the table, the item that waits for a partner, plus 1. */
const WAITING = memory.data(256, 16);
const WAITING_COUNT: u32 = 64;

// @ts-ignore: decorator
@inline
function rotate(x: v128, bits: i32): v128 {
  return v128.or(i64x2.shl(x, bits), i64x2.shr_u(x, 64 - bits));
}

/** b0 ^ (~b1 & b2) */
// @ts-ignore: decorator
@inline
function chi(b0: v128, b1: v128, b2: v128): v128 {
  return v128.xor(b0, v128.andnot(b2, b1));
}

// @ts-ignore: decorator
@inline
function xor5(a: v128, b: v128, c: v128, d: v128, e: v128): v128 {
  return v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), e);
}

function permuteBoth(): void {
  let a0 = v128.load(STATES, 0);
  let a1 = v128.load(STATES, 16);
  let a2 = v128.load(STATES, 32);
  let a3 = v128.load(STATES, 48);
  let a4 = v128.load(STATES, 64);
  let a5 = v128.load(STATES, 80);
  let a6 = v128.load(STATES, 96);
  let a7 = v128.load(STATES, 112);
  let a8 = v128.load(STATES, 128);
  let a9 = v128.load(STATES, 144);
  let a10 = v128.load(STATES, 160);
  let a11 = v128.load(STATES, 176);
  let a12 = v128.load(STATES, 192);
  let a13 = v128.load(STATES, 208);
  let a14 = v128.load(STATES, 224);
  let a15 = v128.load(STATES, 240);
  let a16 = v128.load(STATES, 256);
  let a17 = v128.load(STATES, 272);
  let a18 = v128.load(STATES, 288);
  let a19 = v128.load(STATES, 304);
  let a20 = v128.load(STATES, 320);
  let a21 = v128.load(STATES, 336);
  let a22 = v128.load(STATES, 352);
  let a23 = v128.load(STATES, 368);
  let a24 = v128.load(STATES, 384);

  for (let round: usize = 0; round < ROUND_CONSTANT_BYTES; round += 16) {
    // θ
    const c0 = xor5(a0, a5, a10, a15, a20);
    const c1 = xor5(a1, a6, a11, a16, a21);
    const c2 = xor5(a2, a7, a12, a17, a22);
    const c3 = xor5(a3, a8, a13, a18, a23);
    const c4 = xor5(a4, a9, a14, a19, a24);
    const d0 = v128.xor(c4, rotate(c1, 1));
    const d1 = v128.xor(c0, rotate(c2, 1));
    const d2 = v128.xor(c1, rotate(c3, 1));
    const d3 = v128.xor(c2, rotate(c4, 1));
    const d4 = v128.xor(c3, rotate(c0, 1));

    // ρ and π
    const b00 = v128.xor(a0, d0);
    const b01 = rotate(v128.xor(a6, d1), 44);
    const b02 = rotate(v128.xor(a12, d2), 43);
    const b03 = rotate(v128.xor(a18, d3), 21);
    const b04 = rotate(v128.xor(a24, d4), 14);
    const b10 = rotate(v128.xor(a3, d3), 28);
    const b11 = rotate(v128.xor(a9, d4), 20);
    const b12 = rotate(v128.xor(a10, d0), 3);
    const b13 = rotate(v128.xor(a16, d1), 45);
    const b14 = rotate(v128.xor(a22, d2), 61);
    const b20 = rotate(v128.xor(a1, d1), 1);
    const b21 = rotate(v128.xor(a7, d2), 6);
    const b22 = rotate(v128.xor(a13, d3), 25);
    const b23 = rotate(v128.xor(a19, d4), 8);
    const b24 = rotate(v128.xor(a20, d0), 18);
    const b30 = rotate(v128.xor(a4, d4), 27);
    const b31 = rotate(v128.xor(a5, d0), 36);
    const b32 = rotate(v128.xor(a11, d1), 10);
    const b33 = rotate(v128.xor(a17, d2), 15);
    const b34 = rotate(v128.xor(a23, d3), 56);
    const b40 = rotate(v128.xor(a2, d2), 62);
    const b41 = rotate(v128.xor(a8, d3), 55);
    const b42 = rotate(v128.xor(a14, d4), 39);
    const b43 = rotate(v128.xor(a15, d0), 41);
    const b44 = rotate(v128.xor(a21, d1), 2);

    // χ, and ι in lane 0
    a0 = v128.xor(chi(b00, b01, b02), v128.load(ROUND_CONSTANTS + round));
    a1 = chi(b01, b02, b03);
    a2 = chi(b02, b03, b04);
    a3 = chi(b03, b04, b00);
    a4 = chi(b04, b00, b01);
    a5 = chi(b10, b11, b12);
    a6 = chi(b11, b12, b13);
    a7 = chi(b12, b13, b14);
    a8 = chi(b13, b14, b10);
    a9 = chi(b14, b10, b11);
    a10 = chi(b20, b21, b22);
    a11 = chi(b21, b22, b23);
    a12 = chi(b22, b23, b24);
    a13 = chi(b23, b24, b20);
    a14 = chi(b24, b20, b21);
    a15 = chi(b30, b31, b32);
    a16 = chi(b31, b32, b33);
    a17 = chi(b32, b33, b34);
    a18 = chi(b33, b34, b30);
    a19 = chi(b34, b30, b31);
    a20 = chi(b40, b41, b42);
    a21 = chi(b41, b42, b43);
    a22 = chi(b42, b43, b44);
    a23 = chi(b43, b44, b40);
    a24 = chi(b44, b40, b41);
  }

  v128.store(STATES, a0, 0);
  v128.store(STATES, a1, 16);
  v128.store(STATES, a2, 32);
  v128.store(STATES, a3, 48);
  v128.store(STATES, a4, 64);
  v128.store(STATES, a5, 80);
  v128.store(STATES, a6, 96);
  v128.store(STATES, a7, 112);
  v128.store(STATES, a8, 128);
  v128.store(STATES, a9, 144);
  v128.store(STATES, a10, 160);
  v128.store(STATES, a11, 176);
  v128.store(STATES, a12, 192);
  v128.store(STATES, a13, 208);
  v128.store(STATES, a14, 224);
  v128.store(STATES, a15, 240);
  v128.store(STATES, a16, 256);
  v128.store(STATES, a17, 272);
  v128.store(STATES, a18, 288);
  v128.store(STATES, a19, 304);
  v128.store(STATES, a20, 320);
  v128.store(STATES, a21, 336);
  v128.store(STATES, a22, 352);
  v128.store(STATES, a23, 368);
  v128.store(STATES, a24, 384);
}

/** XORs a block of each message into its state and permutes. */
// @ts-ignore: decorator
@inline
function absorbBoth(block0: usize, block1: usize): void {
  for (let i: usize = 0; i < RATE_BYTES; i += 8) {
    const words = v128.load_lane<u64>(block1 + i, v128.load64_zero(block0 + i), 1);
    const lane = STATES + (i << 1);
    v128.store(lane, v128.xor(v128.load(lane), words));
  }
  permuteBoth();
}

/** XORs the padded last block of each message into its state and permutes; `bytes` of it are left, 0 to 71. */
function absorbLast(at0: usize, bytes0: u32, at1: usize, bytes1: u32): void {
  for (let i: u32 = 0; i < RATE_BYTES; i += 8) {
    const words = i64x2.replace_lane(i64x2.splat(paddedWord(at0, bytes0, i)), 1, paddedWord(at1, bytes1, i));
    const lane = STATES + (<usize>i << 1);
    v128.store(lane, v128.xor(v128.load(lane), words));
  }
  permuteBoth();
}

/** The digests of two messages with the same number of whole blocks, one behind the other into DIGESTS. */
function hashBoth(at0: usize, bytes0: u32, at1: usize, bytes1: u32): void {
  const zero = i64x2.splat(0);
  for (let lane = STATES; lane < STATES + 400; lane += 80) {
    v128.store(lane, zero, 0);
    v128.store(lane, zero, 16);
    v128.store(lane, zero, 32);
    v128.store(lane, zero, 48);
    v128.store(lane, zero, 64);
  }
  for (; bytes0 >= RATE_BYTES; bytes0 -= RATE_BYTES) {
    absorbBoth(at0, at1);
    at0 += RATE_BYTES;
    at1 += RATE_BYTES;
    bytes1 -= RATE_BYTES;
  }
  absorbLast(at0, bytes0, at1, bytes1);
  for (let i: usize = 0; i < DIGEST_BYTES; i += 8) {
    const words = v128.load(STATES + (i << 1));
    v128.store64_lane(DIGESTS + i, words, 0);
    v128.store64_lane(DIGESTS + DIGEST_BYTES + i, words, 1);
  }
}

function pair(item0: usize, item1: usize, rounds: u32, keep: u32, out0: usize, out1: usize): void {
  hashBoth(load<u32>(item0), load<u32>(item0, 4), load<u32>(item1), load<u32>(item1, 4));
  for (let i: u32 = 1; i < rounds; i++) {
    hashBoth(DIGESTS, DIGEST_BYTES, DIGESTS + DIGEST_BYTES, DIGEST_BYTES);
  }
  keepDigest(out0, DIGESTS, keep);
  keepDigest(out1, DIGESTS + DIGEST_BYTES, keep);
}

/** The first `keep` bytes of a digest; whole ones by words. */
// @ts-ignore: decorator
@inline
function keepDigest(out: usize, digest: usize, keep: u32): void {
  if (keep != DIGEST_BYTES) {
    memory.copy(out, digest, keep);
    return;
  }
  v128.store(out, v128.load(digest, 0), 0);
  v128.store(out, v128.load(digest, 16), 16);
  v128.store(out, v128.load(digest, 32), 32);
  v128.store(out, v128.load(digest, 48), 48);
}

function single(item: usize, rounds: u32, keep: u32, out: usize): void {
  sha3Repeated(load<u32>(item), load<u32>(item, 4), rounds, DIGEST);
  memory.copy(out, DIGEST, keep);
}

/**
 * As `sha3Batch` of sha3.ts: the first `keep` bytes of each item's digest in the order of the items. Two go together when
 * they have the same number of blocks, wherever in the batch they stand: each waits in a table until its partner comes.
 */
export function sha3BatchInPairs(items: usize, count: u32, rounds: u32, keep: u32, out: usize): void {
  memory.fill(WAITING, 0, WAITING_COUNT * 4);
  for (let i: u32 = 0; i < count; i++) {
    const item = items + (<usize>i << 3);
    const blocks = load<u32>(item, 4) / RATE_BYTES;
    const slot = WAITING + ((blocks % WAITING_COUNT) << 2);
    const waiting = load<u32>(slot);
    if (waiting == 0) {
      store<u32>(slot, i + 1);
      continue;
    }
    const other = items + (<usize>(waiting - 1) << 3);
    const otherOut = out + (waiting - 1) * keep;
    if (load<u32>(other, 4) / RATE_BYTES == blocks) {
      pair(other, item, rounds, keep, otherOut, out + i * keep);
      store<u32>(slot, 0);
    } else {
      // Another length that shares the place: it stops waiting.
      single(other, rounds, keep, otherOut);
      store<u32>(slot, i + 1);
    }
  }
  for (let slot = WAITING; slot < WAITING + WAITING_COUNT * 4; slot += 4) {
    const waiting = load<u32>(slot);
    if (waiting != 0) single(items + (<usize>(waiting - 1) << 3), rounds, keep, out + (waiting - 1) * keep);
  }
}

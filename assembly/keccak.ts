// The permutation Keccak-f[1600] of FIPS 202 §3.2, all 25 lanes in locals.
//
// Lane A[x, y] is local a(x + 5y). The steps θ, ρ and π are one expression per lane: b(Y)(X) is the lane that π moves
// to column X of row Y. Locals, not an array: the engine then
// keeps as many lanes in registers as it has.

/** ι constants, one per round (FIPS 202 §3.2.5). */
const ROUND_CONSTANTS = memory.data<u64>(
  [
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
  ],
  8,
);
const ROUND_CONSTANT_BYTES: usize = 24 * 8;

/** Permutes the 200-byte state at `state`, little-endian lanes. */
export function keccakF(state: usize): void {
  let a0 = load<u64>(state, 0);
  let a1 = load<u64>(state, 8);
  let a2 = load<u64>(state, 16);
  let a3 = load<u64>(state, 24);
  let a4 = load<u64>(state, 32);
  let a5 = load<u64>(state, 40);
  let a6 = load<u64>(state, 48);
  let a7 = load<u64>(state, 56);
  let a8 = load<u64>(state, 64);
  let a9 = load<u64>(state, 72);
  let a10 = load<u64>(state, 80);
  let a11 = load<u64>(state, 88);
  let a12 = load<u64>(state, 96);
  let a13 = load<u64>(state, 104);
  let a14 = load<u64>(state, 112);
  let a15 = load<u64>(state, 120);
  let a16 = load<u64>(state, 128);
  let a17 = load<u64>(state, 136);
  let a18 = load<u64>(state, 144);
  let a19 = load<u64>(state, 152);
  let a20 = load<u64>(state, 160);
  let a21 = load<u64>(state, 168);
  let a22 = load<u64>(state, 176);
  let a23 = load<u64>(state, 184);
  let a24 = load<u64>(state, 192);

  for (let round: usize = 0; round < ROUND_CONSTANT_BYTES; round += 8) {
    // θ: the parity of every column, and what each column is changed by.
    const c0 = a0 ^ a5 ^ a10 ^ a15 ^ a20;
    const c1 = a1 ^ a6 ^ a11 ^ a16 ^ a21;
    const c2 = a2 ^ a7 ^ a12 ^ a17 ^ a22;
    const c3 = a3 ^ a8 ^ a13 ^ a18 ^ a23;
    const c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24;
    const d0 = c4 ^ rotl<u64>(c1, 1);
    const d1 = c0 ^ rotl<u64>(c2, 1);
    const d2 = c1 ^ rotl<u64>(c3, 1);
    const d3 = c2 ^ rotl<u64>(c4, 1);
    const d4 = c3 ^ rotl<u64>(c0, 1);

    // θ applied, ρ (rotation) and π (transposition).
    const b00 = a0 ^ d0;
    const b01 = rotl<u64>(a6 ^ d1, 44);
    const b02 = rotl<u64>(a12 ^ d2, 43);
    const b03 = rotl<u64>(a18 ^ d3, 21);
    const b04 = rotl<u64>(a24 ^ d4, 14);
    const b10 = rotl<u64>(a3 ^ d3, 28);
    const b11 = rotl<u64>(a9 ^ d4, 20);
    const b12 = rotl<u64>(a10 ^ d0, 3);
    const b13 = rotl<u64>(a16 ^ d1, 45);
    const b14 = rotl<u64>(a22 ^ d2, 61);
    const b20 = rotl<u64>(a1 ^ d1, 1);
    const b21 = rotl<u64>(a7 ^ d2, 6);
    const b22 = rotl<u64>(a13 ^ d3, 25);
    const b23 = rotl<u64>(a19 ^ d4, 8);
    const b24 = rotl<u64>(a20 ^ d0, 18);
    const b30 = rotl<u64>(a4 ^ d4, 27);
    const b31 = rotl<u64>(a5 ^ d0, 36);
    const b32 = rotl<u64>(a11 ^ d1, 10);
    const b33 = rotl<u64>(a17 ^ d2, 15);
    const b34 = rotl<u64>(a23 ^ d3, 56);
    const b40 = rotl<u64>(a2 ^ d2, 62);
    const b41 = rotl<u64>(a8 ^ d3, 55);
    const b42 = rotl<u64>(a14 ^ d4, 39);
    const b43 = rotl<u64>(a15 ^ d0, 41);
    const b44 = rotl<u64>(a21 ^ d1, 2);

    // χ, and ι in lane 0.
    a0 = b00 ^ (~b01 & b02) ^ load<u64>(ROUND_CONSTANTS + round);
    a1 = b01 ^ (~b02 & b03);
    a2 = b02 ^ (~b03 & b04);
    a3 = b03 ^ (~b04 & b00);
    a4 = b04 ^ (~b00 & b01);
    a5 = b10 ^ (~b11 & b12);
    a6 = b11 ^ (~b12 & b13);
    a7 = b12 ^ (~b13 & b14);
    a8 = b13 ^ (~b14 & b10);
    a9 = b14 ^ (~b10 & b11);
    a10 = b20 ^ (~b21 & b22);
    a11 = b21 ^ (~b22 & b23);
    a12 = b22 ^ (~b23 & b24);
    a13 = b23 ^ (~b24 & b20);
    a14 = b24 ^ (~b20 & b21);
    a15 = b30 ^ (~b31 & b32);
    a16 = b31 ^ (~b32 & b33);
    a17 = b32 ^ (~b33 & b34);
    a18 = b33 ^ (~b34 & b30);
    a19 = b34 ^ (~b30 & b31);
    a20 = b40 ^ (~b41 & b42);
    a21 = b41 ^ (~b42 & b43);
    a22 = b42 ^ (~b43 & b44);
    a23 = b43 ^ (~b44 & b40);
    a24 = b44 ^ (~b40 & b41);
  }

  store<u64>(state, a0, 0);
  store<u64>(state, a1, 8);
  store<u64>(state, a2, 16);
  store<u64>(state, a3, 24);
  store<u64>(state, a4, 32);
  store<u64>(state, a5, 40);
  store<u64>(state, a6, 48);
  store<u64>(state, a7, 56);
  store<u64>(state, a8, 64);
  store<u64>(state, a9, 72);
  store<u64>(state, a10, 80);
  store<u64>(state, a11, 88);
  store<u64>(state, a12, 96);
  store<u64>(state, a13, 104);
  store<u64>(state, a14, 112);
  store<u64>(state, a15, 120);
  store<u64>(state, a16, 128);
  store<u64>(state, a17, 136);
  store<u64>(state, a18, 144);
  store<u64>(state, a19, 152);
  store<u64>(state, a20, 160);
  store<u64>(state, a21, 168);
  store<u64>(state, a22, 176);
  store<u64>(state, a23, 184);
  store<u64>(state, a24, 192);
}

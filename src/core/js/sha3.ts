/**
 * SHA3-512 in plain JavaScript (FIPS 202), for runtimes without WebAssembly. A lane is two 32-bit halves, low first:
 * BigInt lanes are an order of magnitude slower.
 */

/** Bytes absorbed per permutation. */
const RATE_BYTES = 72;
const DIGEST_BYTES = 64;

/** ι constants, low and high halves (§3.2.5). */
const ROUND_CONSTANTS = /* @__PURE__ */ Int32Array.of(
  0x00000001,
  0x00000000,
  0x00008082,
  0x00000000,
  0x0000808a,
  0x80000000,
  0x80008000,
  0x80000000,
  0x0000808b,
  0x00000000,
  0x80000001,
  0x00000000,
  0x80008081,
  0x80000000,
  0x00008009,
  0x80000000,
  0x0000008a,
  0x00000000,
  0x00000088,
  0x00000000,
  0x80008009,
  0x00000000,
  0x8000000a,
  0x00000000,
  0x8000808b,
  0x00000000,
  0x0000008b,
  0x80000000,
  0x00008089,
  0x80000000,
  0x00008003,
  0x80000000,
  0x00008002,
  0x80000000,
  0x00000080,
  0x80000000,
  0x0000800a,
  0x00000000,
  0x8000000a,
  0x80000000,
  0x80008081,
  0x80000000,
  0x00008080,
  0x80000000,
  0x80000001,
  0x00000000,
  0x80008008,
  0x80000000,
);

/** Along the cycle that π makes of lanes 1…24: the lane to move to, and how far ρ rotates what moves there. */
const PI_LANES = [
  10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1,
] as const;
const RHO_BITS = [
  1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44,
] as const;

function theta(s: Int32Array, parity: Int32Array): void {
  for (let x = 0; x < 10; x++) parity[x] = s[x]! ^ s[x + 10]! ^ s[x + 20]! ^ s[x + 30]! ^ s[x + 40]!;
  for (let x = 0; x < 10; x += 2) {
    const before = (x + 8) % 10;
    const after = (x + 2) % 10;
    const low = parity[after]!;
    const high = parity[after + 1]!;
    const dLow = parity[before]! ^ ((low << 1) | (high >>> 31));
    const dHigh = parity[before + 1]! ^ ((high << 1) | (low >>> 31));
    for (let y = 0; y < 50; y += 10) {
      s[x + y]! ^= dLow;
      s[x + y + 1]! ^= dHigh;
    }
  }
}

function rhoPi(s: Int32Array): void {
  let low = s[2]!;
  let high = s[3]!;
  for (let i = 0; i < 24; i++) {
    const bits = RHO_BITS[i]!;
    const to = PI_LANES[i]! * 2;
    const keptLow = s[to]!;
    const keptHigh = s[to + 1]!;
    const by = bits & 31;
    // 32 or more swaps the halves; no rotation here is by 0 or 32.
    const a = bits < 32 ? low : high;
    const b = bits < 32 ? high : low;
    s[to] = (a << by) | (b >>> (32 - by));
    s[to + 1] = (b << by) | (a >>> (32 - by));
    low = keptLow;
    high = keptHigh;
  }
}

function chi(s: Int32Array, row: Int32Array): void {
  for (let y = 0; y < 50; y += 10) {
    for (let x = 0; x < 10; x++) row[x] = s[y + x]!;
    for (let x = 0; x < 10; x++) s[y + x]! ^= ~row[(x + 2) % 10]! & row[(x + 4) % 10]!;
  }
}

function permute(s: Int32Array, scratch: Int32Array): void {
  for (let round = 0; round < 48; round += 2) {
    theta(s, scratch);
    rhoPi(s);
    chi(s, scratch);
    s[0]! ^= ROUND_CONSTANTS[round]!;
    s[1]! ^= ROUND_CONSTANTS[round + 1]!;
  }
}

function absorb(s: Int32Array, data: Uint8Array, at: number): void {
  for (let i = 0; i < RATE_BYTES / 4; i++) {
    const p = at + 4 * i;
    s[i]! ^= data[p]! | (data[p + 1]! << 8) | (data[p + 2]! << 16) | (data[p + 3]! << 24);
  }
}

/** SHA3-512, 64 bytes. */
export function sha3_512Js(data: Uint8Array): Uint8Array {
  const s = new Int32Array(50);
  const scratch = new Int32Array(10);
  let at = 0;
  for (; data.length - at >= RATE_BYTES; at += RATE_BYTES) {
    absorb(s, data, at);
    permute(s, scratch);
  }
  const last = new Uint8Array(RATE_BYTES);
  last.set(data.subarray(at));
  // Suffix 01 and pad10*1 (§6.1, §5.1): one byte when 71 bytes are left.
  last[data.length - at] = 0x06;
  last[RATE_BYTES - 1]! |= 0x80;
  absorb(s, last, 0);
  permute(s, scratch);

  const out = new Uint8Array(DIGEST_BYTES);
  for (let i = 0; i < DIGEST_BYTES; i++) out[i] = s[i >> 2]! >>> (8 * (i & 3));
  return out;
}

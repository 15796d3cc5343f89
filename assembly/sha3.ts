// SHA3-512 (FIPS 202 §6.1) and its repeated and truncated forms (docs/protocol/02 §1).

import { keccakF } from './keccak';

/** Bytes absorbed per permutation: 200 − 2 × 64. */
const RATE_BYTES: u32 = 72;
const STATE_BYTES: usize = 200;
const DIGEST_BYTES: u32 = 64;

const STATE = memory.data(200, 64);
/** The padded last block. */
const LAST_BLOCK = memory.data(72, 8);
/** A whole digest, where the caller asked for less or for another round. */
const DIGEST = memory.data(64, 8);

// @ts-ignore: decorator
@inline
function absorb(block: usize): void {
  for (let i: usize = 0; i < RATE_BYTES; i += 8) {
    store<u64>(STATE + i, load<u64>(STATE + i) ^ load<u64>(block + i));
  }
  keccakF(STATE);
}

/** Starts a hash. One at a time: the state is the module's. */
export function sha3Begin(): void {
  memory.fill(STATE, 0, STATE_BYTES);
}

/** Absorbs whole blocks only: `bytes` must be a multiple of 72. */
export function sha3Update(at: usize, bytes: u32): void {
  const end = at + bytes;
  for (; at < end; at += RATE_BYTES) absorb(at);
}

/** Absorbs what is left (any length), pads and writes the 64-byte digest to `out`, which may overlap the input. */
export function sha3Finish(at: usize, bytes: u32, out: usize): void {
  for (; bytes >= RATE_BYTES; bytes -= RATE_BYTES) {
    absorb(at);
    at += RATE_BYTES;
  }
  memory.fill(LAST_BLOCK, 0, RATE_BYTES);
  memory.copy(LAST_BLOCK, at, bytes);
  // Suffix 01 of SHA-3 and pad10*1 (§6.1, §5.1): the same byte when 71 bytes are left.
  store<u8>(LAST_BLOCK + bytes, 0x06);
  store<u8>(LAST_BLOCK + RATE_BYTES - 1, load<u8>(LAST_BLOCK + RATE_BYTES - 1) | 0x80);
  absorb(LAST_BLOCK);
  memory.copy(out, STATE, DIGEST_BYTES);
}

/** SHA3-512 applied `rounds` times (at least 1), the whole digest to `out`. */
export function sha3Repeated(at: usize, bytes: u32, rounds: u32, out: usize): void {
  sha3Begin();
  sha3Finish(at, bytes, out);
  for (; rounds > 1; rounds--) {
    sha3Begin();
    sha3Finish(out, DIGEST_BYTES, out);
  }
}

/** The first `keep` bytes (at most 64) of each item's digest, one behind the other, into `out`. */
export function sha3Batch(items: usize, count: u32, rounds: u32, keep: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    sha3Repeated(load<u32>(items), load<u32>(items, 4), rounds, DIGEST);
    memory.copy(out, DIGEST, keep);
    items += 8;
    out += keep;
  }
}

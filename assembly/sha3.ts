// SHA3-512 (FIPS 202 §6.1) and its repeated and truncated forms (docs/protocol/02 §1).

import { keccakF } from './keccak';
import { paddedWord, RATE_BYTES } from './sha3-padding';

const STATE_BYTES: usize = 200;
const DIGEST_BYTES: u32 = 64;

const STATE = memory.data(200, 64);
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
  for (let i: usize = 0; i < STATE_BYTES; i += 8) store<u64>(STATE + i, 0);
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
  for (let i: u32 = 0; i < RATE_BYTES; i += 8) {
    store<u64>(STATE + i, load<u64>(STATE + i) ^ paddedWord(at, bytes, i));
  }
  keccakF(STATE);
  for (let i: usize = 0; i < DIGEST_BYTES; i += 8) store<u64>(out + i, load<u64>(STATE + i));
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

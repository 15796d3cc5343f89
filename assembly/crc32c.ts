// CRC-32C, slice-by-8, four lanes at once where there is enough (docs/protocol/01 §6).

import { afterZero, makeShifts, shifted } from './crc-polynomial';

/** Row k of 256 words holds the CRC of a byte followed by k zero bytes. */
const TABLES = memory.data(8 * 256 * 4, 64);
const ROW_BYTES: usize = 1024;

function makeTables(): void {
  for (let i: u32 = 0; i < 256; i++) {
    store<u32>(TABLES + (<usize>i << 2), afterZero(i));
  }
  for (let row: usize = 1; row < 8; row++) {
    for (let i: u32 = 0; i < 256; i++) {
      const at = TABLES + row * ROW_BYTES + (<usize>i << 2);
      const before = load<u32>(at - ROW_BYTES);
      store<u32>(at, (before >> 8) ^ load<u32>(TABLES + (<usize>(before & 0xff) << 2)));
    }
  }
}
// 8 KiB made at instantiation (about 10 µs) instead of carried in the module.
makeTables();

// @ts-ignore: decorator
@inline
function entry(row: usize, byte: u32): u32 {
  return load<u32>(TABLES + row * ROW_BYTES + (<usize>byte << 2));
}

/** The register after the eight bytes at `at`. */
// @ts-ignore: decorator
@inline
function eight(crc: u32, at: usize): u32 {
  const word = load<u64>(at) ^ <u64>crc;
  const low = <u32>word;
  const high = <u32>(word >> 32);
  return (
    entry(7, low & 0xff) ^
    entry(6, (low >> 8) & 0xff) ^
    entry(5, (low >> 16) & 0xff) ^
    entry(4, low >> 24) ^
    entry(3, high & 0xff) ^
    entry(2, (high >> 8) & 0xff) ^
    entry(1, (high >> 16) & 0xff) ^
    entry(0, high >> 24)
  );
}

/** The register after the four bytes at `at`. */
// @ts-ignore: decorator
@inline
function four(crc: u32, at: usize): u32 {
  const word = load<u32>(at) ^ crc;
  return (
    entry(3, word & 0xff) ^ entry(2, (word >> 8) & 0xff) ^ entry(1, (word >> 16) & 0xff) ^ entry(0, word >> 24)
  );
}

/** Bytes of each of the four lanes in which long data is walked through, and what is left of it. */
const LANE_BYTES: usize = 128;
const SHORT_LANE_BYTES: usize = 16;

/** The register past a lane. */
const SHIFTS = memory.data(4 * 256 * 4, 64);
makeShifts(SHIFTS, <u32>LANE_BYTES);
const SHORT_SHIFTS = memory.data(4 * 256 * 4, 64);
makeShifts(SHORT_SHIFTS, <u32>SHORT_LANE_BYTES);

/**
 * The register after four lanes at `at`. A walk through the tables waits for its own last step most of the time; four
 * side by side fill the wait, and joining them costs as much as three steps.
 */
// @ts-ignore: decorator
@inline
function lanes(crc: u32, at: usize, bytes: usize, shifts: usize): u32 {
  const end = at + bytes;
  let crc1: u32 = 0;
  let crc2: u32 = 0;
  let crc3: u32 = 0;
  for (; at < end; at += 8) {
    crc = eight(crc, at);
    crc1 = eight(crc1, at + bytes);
    crc2 = eight(crc2, at + 2 * bytes);
    crc3 = eight(crc3, at + 3 * bytes);
  }
  return shifted(shifts, shifted(shifts, shifted(shifts, crc) ^ crc1) ^ crc2) ^ crc3;
}

/** The register after `bytes` bytes at `at`. */
function run(crc: u32, at: usize, bytes: u32): u32 {
  const end = at + bytes;
  for (; end - at >= 4 * LANE_BYTES; at += 4 * LANE_BYTES) crc = lanes(crc, at, LANE_BYTES, SHIFTS);
  for (; end - at >= 4 * SHORT_LANE_BYTES; at += 4 * SHORT_LANE_BYTES)
    crc = lanes(crc, at, SHORT_LANE_BYTES, SHORT_SHIFTS);
  for (; end - at >= 8; at += 8) crc = eight(crc, at);
  if (end - at >= 4) {
    crc = four(crc, at);
    at += 4;
  }
  for (; at < end; at++) crc = (crc >> 8) ^ entry(0, (crc ^ load<u8>(at)) & 0xff);
  return crc;
}

/** CRC-32C of `bytes` bytes at `at`, continuing the final value `start` (0 for a new one). */
export function crc32c(at: usize, bytes: u32, start: u32): u32 {
  return ~run(~start, at, bytes);
}

/** The CRCs of four items at once into four words at `out`: as {@link lanes}, as far as the shortest item goes. */
export function crcFour(items: usize, out: usize): void {
  let at0: usize = load<u32>(items, 0);
  let at1: usize = load<u32>(items, 8);
  let at2: usize = load<u32>(items, 16);
  let at3: usize = load<u32>(items, 24);
  const bytes0 = load<u32>(items, 4);
  const bytes1 = load<u32>(items, 12);
  const bytes2 = load<u32>(items, 20);
  const bytes3 = load<u32>(items, 28);
  const common = min<u32>(min<u32>(bytes0, bytes1), min<u32>(bytes2, bytes3)) & ~7;
  const end = at0 + common;
  let crc0: u32 = ~0;
  let crc1: u32 = ~0;
  let crc2: u32 = ~0;
  let crc3: u32 = ~0;
  while (at0 < end) {
    crc0 = eight(crc0, at0);
    crc1 = eight(crc1, at1);
    crc2 = eight(crc2, at2);
    crc3 = eight(crc3, at3);
    at0 += 8;
    at1 += 8;
    at2 += 8;
    at3 += 8;
  }
  store<u32>(out, ~run(crc0, at0, bytes0 - common), 0);
  store<u32>(out, ~run(crc1, at1, bytes1 - common), 4);
  store<u32>(out, ~run(crc2, at2, bytes2 - common), 8);
  store<u32>(out, ~run(crc3, at3, bytes3 - common), 12);
}

/** One u32 per item of the table `items` into `out`. */
export function crcBatch(items: usize, count: u32, out: usize): void {
  for (; count >= 4; count -= 4) {
    crcFour(items, out);
    items += 32;
    out += 16;
  }
  for (; count > 0; count--) {
    store<u32>(out, crc32c(load<u32>(items), load<u32>(items, 4), 0));
    items += 8;
    out += 4;
  }
}

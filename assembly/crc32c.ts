// CRC-32C, slice-by-8 (docs/protocol/01 §6).

/** Castagnoli polynomial, reflected. */
const POLY: u32 = 0x82f63b78;

/** Row k of 256 words holds the CRC of a byte followed by k zero bytes. */
const TABLES = memory.data(8 * 256 * 4, 64);
const ROW_BYTES: usize = 1024;

function makeTables(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let c = i;
    for (let bit = 0; bit < 8; bit++) c = (c >> 1) ^ (POLY & (0 - (c & 1)));
    store<u32>(TABLES + (<usize>i << 2), c);
  }
  for (let row: usize = 1; row < 8; row++) {
    for (let i: u32 = 0; i < 256; i++) {
      const at = TABLES + row * ROW_BYTES + (<usize>i << 2);
      const before = load<u32>(at - ROW_BYTES);
      store<u32>(at, (before >> 8) ^ load<u32>(TABLES + (<usize>(before & 0xff) << 2)));
    }
  }
}
// 8 KiB made at instantiation (about 10 µs) instead of carried in the module of 14 kB.
makeTables();

// @ts-ignore: decorator
@inline
function entry(row: usize, byte: u32): u32 {
  return load<u32>(TABLES + row * ROW_BYTES + (<usize>byte << 2));
}

/** CRC-32C of `bytes` bytes at `at`, continuing the final value `start` (0 for a new one). */
export function crc32c(at: usize, bytes: u32, start: u32): u32 {
  let crc = ~start;
  const end = at + bytes;
  while (end - at >= 8) {
    const word = load<u64>(at) ^ <u64>crc;
    const low = <u32>word;
    const high = <u32>(word >> 32);
    crc =
      entry(7, low & 0xff) ^
      entry(6, (low >> 8) & 0xff) ^
      entry(5, (low >> 16) & 0xff) ^
      entry(4, low >> 24) ^
      entry(3, high & 0xff) ^
      entry(2, (high >> 8) & 0xff) ^
      entry(1, (high >> 16) & 0xff) ^
      entry(0, high >> 24);
    at += 8;
  }
  while (at < end) {
    crc = (crc >> 8) ^ entry(0, (crc ^ load<u8>(at)) & 0xff);
    at++;
  }
  return ~crc;
}

/** One u32 per item of the table `items` into `out`. */
export function crcBatch(items: usize, count: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(out, crc32c(load<u32>(items), load<u32>(items, 4), 0));
    items += 8;
    out += 4;
  }
}

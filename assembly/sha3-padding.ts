// The padded last block of a SHA3-512 message (FIPS 202 §6.1, §5.1), word by word: nothing is copied or cleared first, as
// memory.copy and memory.fill of so few bytes cost V8 more than the words themselves.

/** Bytes absorbed per permutation: 200 − 2 × 64. */
export const RATE_BYTES: u32 = 72;
const LAST_WORD: u32 = RATE_BYTES - 8;

/**
 * The word at `offset` (a multiple of 8 below 72) of the last block, whose message part is the `bytes` (0 to 71) at `at`.
 * Nothing beyond them is read.
 */
// @ts-ignore: decorator
@inline
export function paddedWord(at: usize, bytes: u32, offset: u32): u64 {
  let word: u64 = 0;
  if (offset + 8 <= bytes) {
    word = load<u64>(at + offset);
  } else if (offset <= bytes) {
    const left = bytes - offset;
    for (let i: u32 = 0; i < left; i++) word |= <u64>load<u8>(at + offset + i) << (i << 3);
    // Suffix 01 of SHA-3 and the first bit of pad10*1.
    word |= <u64>0x06 << (left << 3);
  }
  // The last bit of pad10*1: in the same byte as the first when 71 bytes are left.
  return offset == LAST_WORD ? word | (1 << 63) : word;
}

// What the two ways of computing CRC-32C share (docs/protocol/01 §6).

/** Castagnoli polynomial, reflected. */
const POLY: u32 = 0x82f63b78;

/** The register after a zero byte. */
export function afterZero(register: u32): u32 {
  for (let bit = 0; bit < 8; bit++) register = (register >> 1) ^ (POLY & (0 - (register & 1)));
  return register;
}

/**
 * Fills a table of four rows of 256 words at `table`; row k holds what becomes of the register `byte << 8k` by `zeros` zero
 * bytes. The register is linear over GF(2): 32 single bits are walked through, the rest are sums of those.
 */
export function makeShifts(table: usize, zeros: u32): void {
  for (let bit: u32 = 0; bit < 32; bit++) {
    let register: u32 = 1 << bit;
    for (let i: u32 = 0; i < zeros; i++) register = afterZero(register);
    const row = table + (<usize>(bit >> 3) << 10);
    const single: u32 = 1 << (bit & 7);
    for (let lower: u32 = 0; lower < single; lower++)
      store<u32>(row + (<usize>(single | lower) << 2), register ^ load<u32>(row + (<usize>lower << 2)));
  }
}

/** The register after as many zero bytes as the table at `table` was made for. */
// @ts-ignore: decorator
@inline
export function shifted(table: usize, register: u32): u32 {
  return (
    load<u32>(table + (<usize>(register & 0xff) << 2)) ^
    load<u32>(table + 1024 + (<usize>((register >> 8) & 0xff) << 2)) ^
    load<u32>(table + 2048 + (<usize>((register >> 16) & 0xff) << 2)) ^
    load<u32>(table + 3072 + (<usize>(register >> 24) << 2))
  );
}

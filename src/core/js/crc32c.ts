/** Castagnoli polynomial, reflected (docs/protocol/01 §6). */
const POLY = 0x82f63b78;

/**
 * Slice-by-8 tables, 8 KiB, made on first use so that importing this file does no work.
 * Row k holds the CRC of a byte followed by k zero bytes.
 */
let tables: Uint32Array | null = null;

function makeTables(): Uint32Array {
  const t = new Uint32Array(8 * 256);
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ POLY : c >>> 1;
    t[i] = c;
  }
  for (let row = 1; row < 8; row++) {
    for (let i = 0; i < 256; i++) {
      const prev = t[(row - 1) * 256 + i]!;
      t[row * 256 + i] = (prev >>> 8) ^ t[prev & 0xff]!;
    }
  }
  return t;
}

/**
 * CRC-32C in plain JavaScript, eight bytes per step.
 * @param data the bytes to cover
 * @param start a previous final CRC, to continue it (docs/protocol/01 §6)
 * @returns the final CRC as an unsigned 32-bit number
 */
export function crc32cJs(data: Uint8Array, start = 0): number {
  tables ??= makeTables();
  const t = tables;
  let crc = ~start;
  const n = data.length;
  let i = 0;
  for (; i + 8 <= n; i += 8) {
    const lo = crc ^ (data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24));
    crc =
      t[0x700 | (lo & 0xff)]! ^
      t[0x600 | ((lo >>> 8) & 0xff)]! ^
      t[0x500 | ((lo >>> 16) & 0xff)]! ^
      t[0x400 | (lo >>> 24)]! ^
      t[0x300 | data[i + 4]!]! ^
      t[0x200 | data[i + 5]!]! ^
      t[0x100 | data[i + 6]!]! ^
      t[data[i + 7]!]!;
  }
  for (; i < n; i++) crc = (crc >>> 8) ^ t[(crc ^ data[i]!) & 0xff]!;
  return ~crc >>> 0;
}

// Runs of IxiVarInt (docs/protocol/01 §2).

import { failed, failureOffset, offset, open, remaining, statusWord, varInt } from './cursor';
import { FIELD_WHOLE } from './status';

/** u64 value, u32 offset behind it (of the failure, if it failed), u32 status. */
const ROW_BYTES: usize = 16;

/**
 * Decodes consecutive integers until the input ends, `maxRows` are written or one fails (its row is the last).
 * @returns rows written
 */
export function decodeVarInts(at: usize, bytes: u32, signed: bool, table: usize, maxRows: u32): u32 {
  open(at, bytes);
  let rows: u32 = 0;
  while (rows < maxRows && remaining() > 0) {
    const value = varInt(FIELD_WHOLE, signed, false);
    store<u64>(table, value);
    store<u32>(table, failed() ? failureOffset() : offset(), 8);
    store<u32>(table, statusWord(), 12);
    table += ROW_BYTES;
    rows++;
  }
  return rows;
}

// The byte stream of docs/protocol/03 §2, cut into records.

import { crc32c, crcFour } from './crc32c';

const FRAME_START: u32 = 0xea;
const TIME_START: u32 = 0x02;
const HEADER_BYTES: u32 = 12;
const TIME_BYTES: u32 = 9;
/** Largest payload any code may have (03 §2.1). */
const PAYLOAD_BYTES_MAX: u32 = 50_000_000;
const CHECKSUM_SEED: u8 = 0x7f;

// Kinds of row. The numbers are the ABI: src/core/tables.ts holds the same list.
/** A whole frame; its CRC verdict is in the row. */
const FRAME: u32 = 1;
/** A time-sync record. */
const TIME: u32 = 2;
/** A run of single bytes: pings and whatever starts no record. */
const BYTES: u32 = 3;
/** Skipped: a header with a wrong checksum or without payload. */
const REJECTED: u32 = 4;
/** The record that the input ends in; `bytes` is what it needs in all, as far as known. */
const PARTIAL: u32 = 5;
/** A valid header with a payload above the limit. Nothing behind it was scanned (03 §2.3: close). */
const OVERSIZE: u32 = 6;

/** kind, offset, bytes of the record, code, CRC verdict (1 holds), CRC of the header. */
const ROW_BYTES: usize = 24;

// @ts-ignore: decorator
@inline
function putRow(row: usize, kind: u32, offset: u32, bytes: u32, code: u32, crcHolds: u32, crc: u32): void {
  store<u32>(row, kind, 0);
  store<u32>(row, offset, 4);
  store<u32>(row, bytes, 8);
  store<u32>(row, code, 12);
  store<u32>(row, crcHolds, 16);
  store<u32>(row, crc, 20);
}

// @ts-ignore: decorator
@inline
function headerChecksumHolds(at: usize): bool {
  let sum: u8 = CHECKSUM_SEED;
  for (let i: usize = 0; i < HEADER_BYTES - 1; i++) sum ^= load<u8>(at + i);
  return sum == load<u8>(at + HEADER_BYTES - 1);
}

/** Payloads of up to four frames as a table of items, the rows they came from, and their CRCs. */
const ITEMS = memory.data(32, 8);
const ROWS = memory.data(16, 8);
const CRCS = memory.data(16, 8);

/** CRC verdicts of all frame rows, four frames at a time: alone each takes half as long again. */
function judgeFrames(at: usize, table: usize, rows: u32): void {
  const end = table + <usize>rows * ROW_BYTES;
  let held: usize = 0;
  for (let row = table; row < end; row += ROW_BYTES) {
    if (load<u32>(row) != FRAME) continue;
    store<u32>(ITEMS + (held << 3), <u32>at + load<u32>(row, 4) + HEADER_BYTES, 0);
    store<u32>(ITEMS + (held << 3), load<u32>(row, 8) - HEADER_BYTES, 4);
    store<u32>(ROWS + (held << 2), <u32>row);
    if (++held < 4) continue;
    crcFour(ITEMS, CRCS);
    for (let i: usize = 0; i < 16; i += 4) judge(load<u32>(ROWS + i), load<u32>(CRCS + i));
    held = 0;
  }
  for (let i: usize = 0; i < held; i++) {
    const item = ITEMS + (i << 3);
    judge(load<u32>(ROWS + (i << 2)), crc32c(load<u32>(item, 0), load<u32>(item, 4), 0));
  }
}

// @ts-ignore: decorator
@inline
function judge(row: usize, crc: u32): void {
  store<u32>(row, load<u32>(row, 20) == crc ? 1 : 0, 16);
}

/**
 * Scans `bytes` bytes at `at`, which start between two records.
 *
 * @param timeRecords how many time records are still due on this connection (03 §2.4)
 * @param rescan 1: after a header with a wrong checksum go on at its second byte; 0: behind it, as the reference
 * @param summary three words out: bytes consumed, time records still due, bytes of payload the last PARTIAL lacks
 * @returns rows written; when it equals `maxRows`, go on at the consumed offset
 */
export function scanFrames(
  at: usize,
  bytes: u32,
  timeRecords: u32,
  rescan: bool,
  table: usize,
  maxRows: u32,
  summary: usize,
): u32 {
  let offset: u32 = 0;
  let rows: u32 = 0;
  let missing: u32 = 0;
  while (rows < maxRows && offset < bytes) {
    const here = at + offset;
    const left = bytes - offset;
    const lead: u32 = load<u8>(here);
    const row = table + <usize>rows * ROW_BYTES;

    if (lead == FRAME_START) {
      if (left < HEADER_BYTES) {
        missing = HEADER_BYTES - left;
        putRow(row, PARTIAL, offset, HEADER_BYTES, 0, 0, 0);
        rows++;
        break;
      }
      const code: u32 = load<u16>(here, 1);
      const payload = load<u32>(here, 3);
      const crc = load<u32>(here, 7);
      const headerHolds = headerChecksumHolds(here);
      if (!headerHolds || payload == 0) {
        const skipped: u32 = rescan && !headerHolds ? 1 : HEADER_BYTES;
        putRow(row, REJECTED, offset, skipped, code, 0, crc);
        offset += skipped;
        rows++;
        continue;
      }
      if (payload > PAYLOAD_BYTES_MAX) {
        putRow(row, OVERSIZE, offset, payload, code, 0, crc);
        rows++;
        break;
      }
      // No overflow: payload is below 2^26 here.
      const whole = HEADER_BYTES + payload;
      if (left < whole) {
        missing = whole - left;
        putRow(row, PARTIAL, offset, whole, code, 0, crc);
        rows++;
        break;
      }
      // Its verdict comes when the rows are known, see `judgeFrames`.
      putRow(row, FRAME, offset, whole, code, 0, crc);
      offset += whole;
      rows++;
    } else if (lead == TIME_START && timeRecords > 0) {
      if (left < TIME_BYTES) {
        missing = TIME_BYTES - left;
        putRow(row, PARTIAL, offset, TIME_BYTES, 0, 0, 0);
        rows++;
        break;
      }
      putRow(row, TIME, offset, TIME_BYTES, 0, 0, 0);
      timeRecords--;
      offset += TIME_BYTES;
      rows++;
    } else {
      const first = offset;
      do offset++;
      while (offset < bytes && isSingle(load<u8>(at + offset), timeRecords));
      putRow(row, BYTES, first, offset - first, 0, 0, 0);
      rows++;
    }
  }
  judgeFrames(at, table, rows);
  store<u32>(summary, offset, 0);
  store<u32>(summary, timeRecords, 4);
  store<u32>(summary, missing, 8);
  return rows;
}

// @ts-ignore: decorator
@inline
function isSingle(lead: u32, timeRecords: u32): bool {
  return lead != FRAME_START && (lead != TIME_START || timeRecords == 0);
}

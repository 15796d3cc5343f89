// KeepAlive version 2 into a row of offsets, by the strict rules of docs/protocol/05 §5.1: what passes here is what
// re-encoding its fields gives, byte for byte, so the signed preimage is a prefix of the input.

import {
  fail,
  failHere,
  failed,
  failureOffset,
  length,
  netstrLength,
  offset,
  open,
  remaining,
  skip,
  statusWord,
  u8At,
  varInt,
} from './cursor';
import { sha3Repeated } from './sha3';
import {
  EOF,
  FIELD_DEVICE,
  FIELD_HOSTNAME,
  FIELD_POW,
  FIELD_SIGNATURE,
  FIELD_TIMESTAMP,
  FIELD_TYPE,
  FIELD_VERSION,
  FIELD_WALLET,
  FIELD_WHOLE,
  FORMAT,
  LEGACY,
  OK,
  RANGE,
  TOO_LONG,
  TRAILING,
  VERSION,
} from './status';
import { isUtf8 } from './utf8';

/** 05 §5.1, Strict: an honest one has 923 bytes with everything in it. */
const KEEP_ALIVE_BYTES_MAX: u32 = 1200;
/** Of the network lock in front of the preimage: the longest in use has 7 (05 §1). */
const LOCK_BYTES_MAX: u32 = 64;
/** Of the double SHA3-512 (05 §1, H2t). */
const CHECKSUM_BYTES: u32 = 44;

/**
 * status, failure offset, wallet at, bytes, device at, bytes, timestamp low, high, hostname at, bytes, type,
 * PoW at, bytes, signature at, bytes, signed bytes. Offsets are relative to the item.
 */
const ROW_BYTES: usize = 64;

/** lock ‖ fields 1…7. */
const PREIMAGE = memory.data(1264, 8);
const DIGEST = memory.data(64, 8);

/** 33 bytes of version 0, or 45 of version 1 or 2, without checksum (docs/protocol/02 §3). */
function isRawAddress(at: usize, bytes: u32): bool {
  if (bytes == 33) return load<u8>(at) == 0;
  if (bytes != 45) return false;
  const version = load<u8>(at);
  return version == 1 || version == 2;
}

function scanKeepAlive(at: usize, bytes: u32, row: usize): void {
  memory.fill(row, 0, ROW_BYTES);
  open(at, bytes);
  if (bytes > KEEP_ALIVE_BYTES_MAX) {
    failHere(TOO_LONG, FIELD_WHOLE);
    return;
  }
  if (bytes == 0) {
    failHere(EOF, FIELD_VERSION);
    return;
  }
  const version = load<u8>(at);
  if (version != 2) {
    failHere(version <= 1 ? LEGACY : VERSION, FIELD_VERSION);
    return;
  }
  skip(1, FIELD_VERSION);

  let before = offset();
  const walletBytes = length(FIELD_WALLET, KEEP_ALIVE_BYTES_MAX, true);
  const walletAt = skip(walletBytes, FIELD_WALLET);
  if (!failed() && !isRawAddress(at + walletAt, walletBytes)) fail(FORMAT, FIELD_WALLET, at + before);

  const deviceBytes = length(FIELD_DEVICE, KEEP_ALIVE_BYTES_MAX, true);
  const deviceAt = skip(deviceBytes, FIELD_DEVICE);

  before = offset();
  const timestamp = varInt(FIELD_TIMESTAMP, false, true);
  // Written with the signed encoder, which has no form for more (05 §5.1).
  if (timestamp > 0x7fffffffffffffff) fail(RANGE, FIELD_TIMESTAMP, at + before);

  before = offset();
  const hostnameBytes = netstrLength(FIELD_HOSTNAME, true);
  const hostnameAt = skip(hostnameBytes, FIELD_HOSTNAME);
  if (!failed() && !isUtf8(at + hostnameAt, hostnameBytes)) fail(FORMAT, FIELD_HOSTNAME, at + before);

  before = offset();
  const type = u8At(FIELD_TYPE);
  // Every node type is an ASCII letter (01 §4.3).
  if (type >= 0x80) fail(FORMAT, FIELD_TYPE, at + before);

  const powBytes = length(FIELD_POW, KEEP_ALIVE_BYTES_MAX, true);
  const powAt = skip(powBytes, FIELD_POW);

  const signedBytes = offset();
  const signatureBytes = length(FIELD_SIGNATURE, KEEP_ALIVE_BYTES_MAX, true);
  const signatureAt = skip(signatureBytes, FIELD_SIGNATURE);
  if (!failed() && remaining() > 0) failHere(TRAILING, FIELD_WHOLE);
  if (failed()) return;

  store<u32>(row, walletAt, 8);
  store<u32>(row, walletBytes, 12);
  store<u32>(row, deviceAt, 16);
  store<u32>(row, deviceBytes, 20);
  store<u64>(row, timestamp, 24);
  store<u32>(row, hostnameAt, 32);
  store<u32>(row, hostnameBytes, 36);
  store<u32>(row, type, 40);
  store<u32>(row, powAt, 44);
  store<u32>(row, powBytes, 48);
  store<u32>(row, signatureAt, 52);
  store<u32>(row, signatureBytes, 56);
  store<u32>(row, signedBytes, 60);
}

/**
 * One row per item. A refused item has a status and nothing else in its row.
 * @returns how many passed
 */
export function scanKeepAlives(items: usize, count: u32, table: usize): u32 {
  let passed: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    scanKeepAlive(load<u32>(items), load<u32>(items, 4), table);
    store<u32>(table, statusWord(), 0);
    store<u32>(table, failureOffset(), 4);
    if (!failed()) passed++;
    items += 8;
    table += ROW_BYTES;
  }
  return passed;
}

/**
 * The 44-byte checksum that each passed item's signature covers (05 §5.1), one behind the other into `out`; zeros
 * for a refused item. `table` holds the rows of `scanKeepAlives` over the same items; at most 64 bytes of lock.
 */
export function keepAliveChecksums(items: usize, table: usize, count: u32, lock: usize, lockBytes: u32, out: usize): void {
  if (lockBytes > LOCK_BYTES_MAX) unreachable();
  memory.copy(PREIMAGE, lock, lockBytes);
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(table) == OK) {
      const signedBytes = load<u32>(table, 60);
      // A row that did not come from the scan must not reach behind the scratch.
      if (signedBytes > KEEP_ALIVE_BYTES_MAX) unreachable();
      memory.copy(PREIMAGE + lockBytes, load<u32>(items), signedBytes);
      sha3Repeated(PREIMAGE, lockBytes + signedBytes, 2, DIGEST);
      memory.copy(out, DIGEST, CHECKSUM_BYTES);
    } else {
      memory.fill(out, 0, CHECKSUM_BYTES);
    }
    items += 8;
    table += ROW_BYTES;
    out += CHECKSUM_BYTES;
  }
}

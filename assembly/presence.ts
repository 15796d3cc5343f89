// Presence version 1 and the PresenceAddress version 2 inside it (docs/protocol/05 §3.1, §4.1) into rows of offsets.
//
// A slot that does not parse spoils its own row only: the strict rule of 05 §3.2 drops the bad address, not the
// packet. Integers need not be shortest (01 §2.5): unlike a keep-alive nothing is hashed over these bytes.

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
import { sha512Repeated } from './sha512';
import {
  CHECKSUM,
  EOF,
  FIELD_COUNT,
  FIELD_DEVICE,
  FIELD_HOSTNAME,
  FIELD_METADATA,
  FIELD_NODE_VERSION,
  FIELD_POW,
  FIELD_PUBLIC_KEY,
  FIELD_SIGNATURE,
  FIELD_SLOT,
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
  VERSION,
} from './status';

/** 05 §2. */
const PRESENCE_BYTES_MAX: u32 = 102400;
const ADDRESS_BYTES_MAX: u32 = 1024;

/**
 * status, failure offset, version, wallet at, bytes (without checksum), public key at, bytes, metadata at, bytes,
 * slots announced, first address row, address rows, PoW at, bytes, bytes read, 0.
 */
const PRESENCE_ROW_BYTES: usize = 64;
/**
 * status, failure offset, slot at, bytes, device at, bytes, last seen low, high, hostname at, bytes, type,
 * PoW at, bytes, signature at, bytes, node version at, bytes, 0. Offsets are relative to the presence.
 */
const ADDRESS_ROW_BYTES: usize = 72;

const DIGEST = memory.data(64, 8);

/** The slot at `slotAt` inside the presence at `base`; moves the cursor. */
function scanAddress(base: usize, slotAt: u32, slotBytes: u32, row: usize): void {
  memory.fill(row, 0, ADDRESS_ROW_BYTES);
  store<u32>(row, slotAt, 8);
  store<u32>(row, slotBytes, 12);
  const at = base + slotAt;
  open(at, slotBytes);
  scanAddressFields(at, slotAt, slotBytes, row);
  store<u32>(row, statusWord(), 0);
  store<u32>(row, failed() ? slotAt + failureOffset() : 0, 4);
}

function scanAddressFields(at: usize, slotAt: u32, slotBytes: u32, row: usize): void {
  if (slotBytes > ADDRESS_BYTES_MAX) {
    failHere(TOO_LONG, FIELD_SLOT);
    return;
  }
  // The caller never passes an empty slot.
  const version = load<u8>(at);
  if (version != 2) {
    failHere(version == 1 ? LEGACY : VERSION, FIELD_VERSION);
    return;
  }
  skip(1, FIELD_VERSION);
  const deviceBytes = length(FIELD_DEVICE, ADDRESS_BYTES_MAX, false);
  const deviceAt = skip(deviceBytes, FIELD_DEVICE);
  const hostnameBytes = netstrLength(FIELD_HOSTNAME, false);
  const hostnameAt = skip(hostnameBytes, FIELD_HOSTNAME);
  const typeAt = offset();
  const type = u8At(FIELD_TYPE);
  if (type >= 0x80) fail(FORMAT, FIELD_TYPE, at + typeAt);
  const nodeVersionBytes = netstrLength(FIELD_NODE_VERSION, false);
  const nodeVersionAt = skip(nodeVersionBytes, FIELD_NODE_VERSION);
  const lastSeen = varInt(FIELD_TIMESTAMP, true, false);
  const signatureBytes = length(FIELD_SIGNATURE, ADDRESS_BYTES_MAX, false);
  const signatureAt = skip(signatureBytes, FIELD_SIGNATURE);
  let powAt: u32 = 0;
  let powBytes: u32 = 0;
  if (!failed() && remaining() > 0) {
    powBytes = length(FIELD_POW, ADDRESS_BYTES_MAX, false);
    powAt = skip(powBytes, FIELD_POW);
  }
  if (failed()) return;

  store<u32>(row, slotAt + deviceAt, 16);
  store<u32>(row, deviceBytes, 20);
  store<u64>(row, lastSeen, 24);
  store<u32>(row, slotAt + hostnameAt, 32);
  store<u32>(row, hostnameBytes, 36);
  store<u32>(row, type, 40);
  store<u32>(row, powBytes > 0 ? slotAt + powAt : 0, 44);
  store<u32>(row, powBytes, 48);
  store<u32>(row, slotAt + signatureAt, 52);
  store<u32>(row, signatureBytes, 56);
  store<u32>(row, slotAt + nodeVersionAt, 60);
  store<u32>(row, nodeVersionBytes, 64);
}

/**
 * Bytes of the wallet without its checksum, or 0 when it is none. 33 bytes of version 0, 45 of version 1 or 2, and
 * 3 more when the checksum is there, which must hold (02 §3). A key in this place is refused (05 §4.1, Strict).
 */
function rawWalletBytes(at: usize, bytes: u32): u32 {
  if (bytes < 33) return 0;
  const raw: u32 = load<u8>(at) == 0 ? 33 : load<u8>(at) <= 2 ? 45 : 0;
  if (raw == 0 || (bytes != raw && bytes != raw + 3)) return 0;
  return raw;
}

function walletChecksumHolds(at: usize, raw: u32): bool {
  sha512Repeated(at, raw, 2, DIGEST);
  return (
    load<u16>(DIGEST) == load<u16>(at + raw) && load<u8>(DIGEST + 2) == load<u8>(at + raw + 2)
  );
}

/** Moves the cursor over everything in front of the slots. Returns the announced slots. */
function scanHead(at: usize, bytes: u32, row: usize): u32 {
  if (bytes > PRESENCE_BYTES_MAX) {
    failHere(TOO_LONG, FIELD_WHOLE);
    return 0;
  }
  if (bytes == 0) {
    failHere(EOF, FIELD_VERSION);
    return 0;
  }
  if (load<u8>(at) == 0) {
    failHere(LEGACY, FIELD_VERSION);
    return 0;
  }
  const version = varInt(FIELD_VERSION, true, false);
  // The reference keeps the low 32 bits; no honest encoder leaves the range (01 §2.6).
  if (version > 0x7fffffff) fail(RANGE, FIELD_VERSION, at);
  const before = offset();
  const walletBytes = length(FIELD_WALLET, PRESENCE_BYTES_MAX, false);
  const walletAt = skip(walletBytes, FIELD_WALLET);
  let raw: u32 = 0;
  if (!failed()) {
    raw = rawWalletBytes(at + walletAt, walletBytes);
    if (raw == 0) fail(FORMAT, FIELD_WALLET, at + before);
    else if (walletBytes > raw && !walletChecksumHolds(at + walletAt, raw)) fail(CHECKSUM, FIELD_WALLET, at + before);
  }
  const keyBytes = length(FIELD_PUBLIC_KEY, PRESENCE_BYTES_MAX, false);
  const keyAt = skip(keyBytes, FIELD_PUBLIC_KEY);
  const metadataBytes = length(FIELD_METADATA, PRESENCE_BYTES_MAX, false);
  const metadataAt = skip(metadataBytes, FIELD_METADATA);
  // Every slot takes at least its length byte.
  const slots = length(FIELD_COUNT, PRESENCE_BYTES_MAX, false);
  if (failed()) return 0;

  store<u32>(row, <u32>version, 8);
  store<u32>(row, walletAt, 12);
  store<u32>(row, raw, 16);
  store<u32>(row, keyAt, 20);
  store<u32>(row, keyBytes, 24);
  store<u32>(row, metadataAt, 28);
  store<u32>(row, metadataBytes, 32);
  store<u32>(row, slots, 36);
  return slots;
}

/**
 * Scans one presence into `row` and its non-empty slots into rows from `addresses` on, at most `maxAddresses`.
 * @returns address rows written, 0 when the presence as a whole is refused
 */
function scanPresence(at: usize, bytes: u32, row: usize, addresses: usize, maxAddresses: u32): u32 {
  memory.fill(row, 0, PRESENCE_ROW_BYTES);
  open(at, bytes);
  const slots = scanHead(at, bytes, row);
  let rows: u32 = 0;
  for (let i: u32 = 0; i < slots && !failed(); i++) {
    const slotBytes = length(FIELD_SLOT, PRESENCE_BYTES_MAX, false);
    const slotAt = skip(slotBytes, FIELD_SLOT);
    if (failed() || slotBytes == 0) continue;
    if (rows == maxAddresses) {
      fail(TOO_LONG, FIELD_COUNT, at + slotAt);
      break;
    }
    scanAddress(at, slotAt, slotBytes, addresses + <usize>rows * ADDRESS_ROW_BYTES);
    rows++;
    open(at, bytes);
    skip(slotAt + slotBytes, FIELD_SLOT);
  }
  let powAt: u32 = 0;
  let powBytes: u32 = 0;
  if (!failed() && remaining() > 0) {
    powBytes = length(FIELD_POW, PRESENCE_BYTES_MAX, false);
    powAt = skip(powBytes, FIELD_POW);
  }
  if (failed()) {
    memory.fill(row, 0, PRESENCE_ROW_BYTES);
    store<u32>(row, statusWord(), 0);
    store<u32>(row, failureOffset(), 4);
    return 0;
  }
  store<u32>(row, rows, 44);
  store<u32>(row, powBytes > 0 ? powAt : 0, 48);
  store<u32>(row, powBytes, 52);
  store<u32>(row, offset(), 56);
  return rows;
}

/**
 * One row per item into `table`, the address rows of all of them one behind the other into `addresses`.
 * A presence that would need a row beyond `maxAddresses` in all is refused as too long.
 * @returns address rows written
 */
export function scanPresences(items: usize, count: u32, table: usize, addresses: usize, maxAddresses: u32): u32 {
  let used: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const rows = scanPresence(
      load<u32>(items),
      load<u32>(items, 4),
      table,
      addresses + <usize>used * ADDRESS_ROW_BYTES,
      maxAddresses - used,
    );
    if (load<u32>(table) == OK) store<u32>(table, used, 40);
    used += rows;
    items += 8;
    table += PRESENCE_ROW_BYTES;
  }
  return used;
}

import { ScanField as F, ScanStatus as S } from '../status.js';
import { PresenceAddressTable, PresenceTable } from '../tables.js';
import { Cursor, putU64 } from './cursor.js';
import { sha512Js } from './sha512.js';

/** docs/protocol/05 §2. */
const PRESENCE_BYTES_MAX = 102400;
const ADDRESS_BYTES_MAX = 1024;

type Put = (column: number, value: number) => void;

/** Moves over a field and writes (at, bytes) at `column`, the offset inside the presence. */
function putField(c: Cursor, put: Put, field: F, column: number, bytes: number): void {
  const at = c.start + c.skip(bytes, field);
  put(column, at);
  put(column + 1, bytes);
}

function scanAddressFields(c: Cursor, words: Uint32Array, row: number): void {
  const put: Put = (column, value) => {
    words[row + column] = value;
  };
  const version = c.data[c.at]!;
  if (c.remaining > ADDRESS_BYTES_MAX) c.fail(S.tooLong, F.slot);
  else if (version !== 2) c.fail(version === 1 ? S.legacy : S.version, F.version);
  if (c.failed) return;
  c.skip(1, F.version);
  putField(c, put, F.device, 4, c.length(F.device, ADDRESS_BYTES_MAX, false));
  putField(c, put, F.hostname, 8, c.netstrLength(F.hostname, false));
  const typeAt = c.at;
  const type = c.u8(F.type);
  if (type >= 0x80) c.fail(S.format, F.type, typeAt);
  put(10, type);
  putField(c, put, F.nodeVersion, 15, c.netstrLength(F.nodeVersion, false));
  putU64(words, row + 6, c.varInt(F.timestamp, true, false));
  putField(c, put, F.signature, 13, c.length(F.signature, ADDRESS_BYTES_MAX, false));
  if (!c.failed && c.remaining > 0) {
    const bytes = c.length(F.pow, ADDRESS_BYTES_MAX, false);
    if (bytes > 0) putField(c, put, F.pow, 11, bytes);
  }
}

/** One slot as a row of {@link PresenceAddressTable}. */
function scanAddress(presence: Uint8Array, slotAt: number, slotBytes: number): Uint32Array {
  const words = new Uint32Array(PresenceAddressTable.rowWords);
  const c = new Cursor(presence, slotAt, slotAt + slotBytes);
  scanAddressFields(c, words, 0);
  if (c.failed) {
    words.fill(0);
    words[0] = c.statusWord;
    words[1] = slotAt + c.failureOffset;
  }
  words[2] = slotAt;
  words[3] = slotBytes;
  return words;
}

/** Bytes of the wallet without its checksum, or 0 when it is none (assembly/presence.ts). */
function rawWalletBytes(wallet: Uint8Array): number {
  if (wallet.length < 33) return 0;
  const raw = wallet[0] === 0 ? 33 : wallet[0]! <= 2 ? 45 : 0;
  return raw !== 0 && (wallet.length === raw || wallet.length === raw + 3) ? raw : 0;
}

function walletChecksumHolds(wallet: Uint8Array, raw: number): boolean {
  const digest = sha512Js(sha512Js(wallet.subarray(0, raw)));
  return digest[0] === wallet[raw] && digest[1] === wallet[raw + 1] && digest[2] === wallet[raw + 2];
}

/** Everything in front of the slots. Returns the announced slots. */
function scanHead(c: Cursor, put: Put): number {
  const { data } = c;
  if (data.length > PRESENCE_BYTES_MAX) c.fail(S.tooLong, F.whole);
  else if (data.length === 0) c.fail(S.eof, F.version);
  else if (data[0] === 0) c.fail(S.legacy, F.version);
  if (c.failed) return 0;

  const version = c.varInt(F.version, true, false);
  if (version < 0n || version > 0x7fff_ffffn) c.fail(S.range, F.version, 0);
  put(2, Number(version & 0xffff_ffffn));
  const before = c.at;
  const walletBytes = c.length(F.wallet, PRESENCE_BYTES_MAX, false);
  const walletAt = c.skip(walletBytes, F.wallet);
  if (!c.failed) {
    const wallet = data.subarray(walletAt, walletAt + walletBytes);
    const raw = rawWalletBytes(wallet);
    if (raw === 0) c.fail(S.format, F.wallet, before);
    else if (walletBytes > raw && !walletChecksumHolds(wallet, raw)) c.fail(S.checksum, F.wallet, before);
    put(3, walletAt);
    put(4, raw);
  }
  putField(c, put, F.publicKey, 5, c.length(F.publicKey, PRESENCE_BYTES_MAX, false));
  putField(c, put, F.metadata, 7, c.length(F.metadata, PRESENCE_BYTES_MAX, false));
  const slots = c.length(F.count, PRESENCE_BYTES_MAX, false);
  put(9, slots);
  return slots;
}

/** Writes one presence row and appends its addresses' rows. */
function scanPresence(
  data: Uint8Array,
  words: Uint32Array,
  row: number,
  addresses: Uint32Array[],
  max: number,
): void {
  const c = new Cursor(data);
  const put: Put = (column, value) => {
    words[row + column] = value;
  };
  const first = addresses.length;
  const slots = scanHead(c, put);
  for (let i = 0; i < slots && !c.failed; i++) {
    const slotBytes = c.length(F.slot, PRESENCE_BYTES_MAX, false);
    const slotAt = c.skip(slotBytes, F.slot);
    if (c.failed || slotBytes === 0) continue;
    if (addresses.length === max) c.fail(S.tooLong, F.count, slotAt);
    else addresses.push(scanAddress(data, slotAt, slotBytes));
  }
  if (!c.failed && c.remaining > 0) {
    const bytes = c.length(F.pow, PRESENCE_BYTES_MAX, false);
    if (bytes > 0) putField(c, put, F.pow, 12, bytes);
  }
  if (c.failed) {
    addresses.length = first;
    words.fill(0, row, row + PresenceTable.rowWords);
    put(0, c.statusWord);
    put(1, c.failureOffset);
    return;
  }
  put(10, first);
  put(11, addresses.length - first);
  put(14, c.offset);
}

/** As `scanPresences` of assembly/presence.ts. */
export function scanPresencesJs(presences: readonly Uint8Array[], addressesMax: number): PresenceTable {
  const words = new Uint32Array(presences.length * PresenceTable.rowWords);
  const rows: Uint32Array[] = [];
  presences.forEach((presence, i) => {
    scanPresence(presence, words, i * PresenceTable.rowWords, rows, addressesMax);
  });
  const addressWords = new Uint32Array(rows.length * PresenceAddressTable.rowWords);
  rows.forEach((r, i) => {
    addressWords.set(r, i * PresenceAddressTable.rowWords);
  });
  return new PresenceTable(words, presences.length, new PresenceAddressTable(addressWords, rows.length));
}

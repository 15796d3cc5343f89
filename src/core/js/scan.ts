import { ScanField as F, ScanStatus as S } from '../status.js';
import { FrameKind, FrameTable, KeepAliveTable, VarIntTable } from '../tables.js';
import { crc32cJs } from './crc32c.js';
import { Cursor, putU64 } from './cursor.js';

const FRAME_START = 0xea;
const TIME_START = 0x02;
const HEADER_BYTES = 12;
const TIME_BYTES = 9;
/** Largest payload any code may have (docs/protocol/03 §2.1). */
const PAYLOAD_BYTES_MAX = 50_000_000;
const CHECKSUM_SEED = 0x7f;
/** 05 §5.1, Strict. */
const KEEP_ALIVE_BYTES_MAX = 1200;

/** As `decodeVarInts` of assembly/varint.ts. */
export function decodeVarIntsJs(data: Uint8Array, signed: boolean, rowsMax: number): VarIntTable {
  const words: number[] = [];
  const value = new Uint32Array(2);
  const cursor = new Cursor(data);
  let rows = 0;
  for (; rows < rowsMax && cursor.remaining > 0; rows++) {
    putU64(value, 0, cursor.varInt(F.whole, signed, false));
    words.push(value[0]!, value[1]!, cursor.failed ? cursor.failureOffset : cursor.offset, cursor.statusWord);
  }
  return new VarIntTable(Uint32Array.from(words), rows, signed);
}

function headerChecksumHolds(data: Uint8Array, at: number): boolean {
  let sum = CHECKSUM_SEED;
  for (let i = 0; i < HEADER_BYTES; i++) sum ^= data[at + i]!;
  return sum === 0;
}

/** As `scanFrames` of assembly/frames.ts. */
export function scanFramesJs(
  chunk: Uint8Array,
  timeRecordsDue: number,
  rescan: boolean,
  rowsMax: number,
): FrameTable {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const words: number[] = [];
  let timeRecords = timeRecordsDue;
  let offset = 0;
  let rows = 0;
  let missing = 0;
  const put = (kind: number, bytes: number, code = 0, crcHolds = 0, crc = 0): void => {
    words.push(kind, offset, bytes, code, crcHolds, crc);
    rows++;
  };
  while (rows < rowsMax && offset < chunk.length) {
    const left = chunk.length - offset;
    const lead = chunk[offset]!;
    if (lead === FRAME_START) {
      if (left < HEADER_BYTES) {
        missing = HEADER_BYTES - left;
        put(FrameKind.partial, HEADER_BYTES);
        break;
      }
      const code = view.getUint16(offset + 1, true);
      const payload = view.getUint32(offset + 3, true);
      const crc = view.getUint32(offset + 7, true);
      const headerHolds = headerChecksumHolds(chunk, offset);
      if (!headerHolds || payload === 0) {
        const skipped = rescan && !headerHolds ? 1 : HEADER_BYTES;
        put(FrameKind.rejected, skipped, code, 0, crc);
        offset += skipped;
        continue;
      }
      if (payload > PAYLOAD_BYTES_MAX) {
        put(FrameKind.oversize, payload, code, 0, crc);
        break;
      }
      const whole = HEADER_BYTES + payload;
      if (left < whole) {
        missing = whole - left;
        put(FrameKind.partial, whole, code, 0, crc);
        break;
      }
      const holds = crc32cJs(chunk.subarray(offset + HEADER_BYTES, offset + whole)) === crc;
      put(FrameKind.frame, whole, code, holds ? 1 : 0, crc);
      offset += whole;
    } else if (lead === TIME_START && timeRecords > 0) {
      if (left < TIME_BYTES) {
        missing = TIME_BYTES - left;
        put(FrameKind.partial, TIME_BYTES);
        break;
      }
      put(FrameKind.time, TIME_BYTES);
      timeRecords--;
      offset += TIME_BYTES;
    } else {
      let end = offset + 1;
      while (end < chunk.length && isSingle(chunk[end]!, timeRecords)) end++;
      put(FrameKind.bytes, end - offset);
      offset = end;
    }
  }
  return new FrameTable(Uint32Array.from(words), rows, offset, timeRecords, missing);
}

function isSingle(lead: number, timeRecords: number): boolean {
  return lead !== FRAME_START && (lead !== TIME_START || timeRecords === 0);
}

/** 33 bytes of version 0, or 45 of version 1 or 2, without checksum (docs/protocol/02 §3). */
function isRawAddress(data: Uint8Array, at: number, bytes: number): boolean {
  if (bytes === 33) return data[at] === 0;
  return bytes === 45 && (data[at] === 1 || data[at] === 2);
}

/** Strict UTF-8, as assembly/utf8.ts: what decodes without a replacement encodes to the same bytes. */
function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function scanKeepAlive(data: Uint8Array, words: Uint32Array, row: number): void {
  const c = new Cursor(data);
  const put = (column: number, value: number): void => {
    words[row + column] = value;
  };
  if (isCurrentLayout(c)) scanKeepAliveFields(c, put);
  if (c.failed) {
    words.fill(0, row, row + KeepAliveTable.rowWords);
    put(0, c.statusWord);
    put(1, c.failureOffset);
  }
}

/** Fails unless size and version byte are those of a keep-alive of version 2. */
function isCurrentLayout(c: Cursor): boolean {
  const version = c.data[0] ?? 0;
  if (c.data.length > KEEP_ALIVE_BYTES_MAX) c.fail(S.tooLong, F.whole);
  else if (c.data.length === 0) c.fail(S.eof, F.version);
  else if (version !== 2) c.fail(version <= 1 ? S.legacy : S.version, F.version);
  return !c.failed;
}

function scanKeepAliveFields(c: Cursor, put: (column: number, value: number) => void): void {
  const { data } = c;
  c.skip(1, F.version);

  const field = (name: F, column: number, bytes: number): Uint8Array => {
    const at = c.skip(bytes, name);
    put(column, at);
    put(column + 1, bytes);
    return data.subarray(at, at + bytes);
  };

  let before = c.offset;
  const wallet = field(F.wallet, 2, c.length(F.wallet, KEEP_ALIVE_BYTES_MAX, true));
  if (!c.failed && !isRawAddress(wallet, 0, wallet.length)) c.fail(S.format, F.wallet, before);

  field(F.device, 4, c.length(F.device, KEEP_ALIVE_BYTES_MAX, true));

  before = c.offset;
  const timestamp = c.varInt(F.timestamp, false, true);
  if (timestamp > 0x7fff_ffff_ffff_ffffn) c.fail(S.range, F.timestamp, before);
  put(6, Number(timestamp & 0xffff_ffffn));
  put(7, Number(timestamp >> 32n));

  before = c.offset;
  const hostname = field(F.hostname, 8, c.netstrLength(F.hostname, true));
  if (!c.failed && !isUtf8(hostname)) c.fail(S.format, F.hostname, before);

  before = c.offset;
  const type = c.u8(F.type);
  if (type >= 0x80) c.fail(S.format, F.type, before);
  put(10, type);

  field(F.pow, 11, c.length(F.pow, KEEP_ALIVE_BYTES_MAX, true));
  put(15, c.offset);
  field(F.signature, 13, c.length(F.signature, KEEP_ALIVE_BYTES_MAX, true));
  if (!c.failed && c.remaining > 0) c.fail(S.trailing, F.whole);
}

/** As `scanKeepAlives` of assembly/keepalive.ts. */
export function scanKeepAlivesJs(messages: readonly Uint8Array[]): KeepAliveTable {
  const words = new Uint32Array(messages.length * KeepAliveTable.rowWords);
  messages.forEach((message, i) => {
    scanKeepAlive(message, words, i * KeepAliveTable.rowWords);
  });
  return new KeepAliveTable(words, messages.length);
}

import { crc32c } from '../core/index.js';
import { bytesKey } from '../wire/index.js';

/**
 * Where a chain keeps its headers between runs. Records are opaque bytes in chain order; record 0 is the first
 * header after (or at) the chain's start. Calls come one at a time, each after the one before has settled.
 */
export interface HeaderStorage {
  /** All records, oldest first; a damaged end is dropped, not reported. */
  load(): Promise<readonly Uint8Array[]>;
  /** Adds records at the end. */
  append(records: readonly Uint8Array[]): Promise<void>;
  /** Keeps the first `count` records. */
  truncate(count: number): Promise<void>;
  /** `count` records from index `from`; fewer at the end. */
  read(from: number, count: number): Promise<readonly Uint8Array[]>;
}

/** Forgets everything with the process: tests, browsers, nodes that start over. */
export class MemoryHeaderStorage implements HeaderStorage {
  #records: Uint8Array[] = [];

  load(): Promise<readonly Uint8Array[]> {
    return Promise.resolve(this.#records.slice());
  }

  append(records: readonly Uint8Array[]): Promise<void> {
    for (const r of records) this.#records.push(r.slice());
    return Promise.resolve();
  }

  truncate(count: number): Promise<void> {
    this.#records.length = Math.min(this.#records.length, count);
    return Promise.resolve();
  }

  read(from: number, count: number): Promise<readonly Uint8Array[]> {
    return Promise.resolve(this.#records.slice(from, from + count));
  }
}

/** Length and CRC-32C before each record of a header file. */
export const HEADER_RECORD_PREFIX_BYTES = 8;
/** First bytes of a header file: name and format version. */
export const HEADER_FILE_MAGIC: Uint8Array = new TextEncoder().encode('STLHDR01');

/**
 * One record of a header file: u32 length, u32 CRC-32C of the record, the record. The checksum finds the torn
 * end that a crash leaves behind.
 */
export function encodeHeaderRecord(record: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEADER_RECORD_PREFIX_BYTES + record.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, record.length, true);
  view.setUint32(4, crc32c(record), true);
  out.set(record, HEADER_RECORD_PREFIX_BYTES);
  return out;
}

/** What a header file holds. */
export interface HeaderFileContent {
  readonly records: readonly Uint8Array[];
  /** Offset of each record's prefix in the file. */
  readonly offsets: readonly number[];
  /** Bytes up to and including the last whole record; what follows is to be cut off. */
  readonly validBytes: number;
}

/**
 * Reads a whole header file. Stops at the first record that is cut short or does not match its checksum.
 * Null when the file does not begin with {@link HEADER_FILE_MAGIC}. Records are views into `file`.
 */
export function readHeaderFile(file: Uint8Array): HeaderFileContent | null {
  const start = HEADER_FILE_MAGIC.length;
  if (file.length < start || bytesKey(file.subarray(0, start)) !== bytesKey(HEADER_FILE_MAGIC)) return null;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const records: Uint8Array[] = [];
  const offsets: number[] = [];
  let at = start;
  while (at + HEADER_RECORD_PREFIX_BYTES <= file.length) {
    const length = view.getUint32(at, true);
    const begin = at + HEADER_RECORD_PREFIX_BYTES;
    if (length > file.length - begin) break;
    const record = file.subarray(begin, begin + length);
    if (crc32c(record) !== view.getUint32(at + 4, true)) break;
    records.push(record);
    offsets.push(at);
    at = begin + length;
  }
  return { records, offsets, validBytes: at };
}

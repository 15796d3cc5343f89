import { DecodeError } from '../errors.js';
import { nameRecordsMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** Longest name key: a hash of 64 bytes, with room (docs/protocol/10 §6). */
const nameBytesMax = 1024;
/** Longest single record of a name. */
const nameRecordBytesMax = 64 * 1024;

/** getNameRecord, code 43 (03 §6). */
export interface GetNameRecord {
  readonly name: Uint8Array;
  /** One record of the name, null for all. */
  readonly record: Uint8Array | null;
}

/** nameRecord, code 44 (03 §6). */
export interface NameRecord {
  readonly name: Uint8Array;
  readonly records: readonly Uint8Array[];
}

function readName(r: ByteReader, field: string): Uint8Array {
  const start = r.offset;
  const name = r.vb(field, nameBytesMax);
  if (name.length === 0) throw new DecodeError('EMPTY', field, start);
  return name;
}

export function encodeGetNameRecord(m: GetNameRecord): Uint8Array {
  return new ByteWriter(96).vb(m.name).vb(m.record).bytes();
}

/** Views into the payload. Throws DecodeError. */
export function decodeGetNameRecord(payload: Uint8Array): GetNameRecord {
  const r = new ByteReader(payload);
  return {
    name: readName(r, 'getNameRecord.name'),
    record: r.ixiBytes('getNameRecord.record', nameBytesMax),
  };
}

export function encodeNameRecord(m: NameRecord): Uint8Array {
  const w = new ByteWriter(m.records.reduce((n, x) => n + x.length + 5, 96)).vb(m.name).var(m.records.length);
  for (const x of m.records) w.vb(x);
  return w.bytes();
}

/** Views into the payload. Throws DecodeError. */
export function decodeNameRecord(payload: Uint8Array): NameRecord {
  const r = new ByteReader(payload);
  const name = readName(r, 'nameRecord.name');
  const n = r.uvarInt('nameRecord.count', nameRecordsMax);
  const records: Uint8Array[] = [];
  for (let i = 0; i < n; i++) records.push(r.vb('nameRecord.record', nameRecordBytesMax));
  return { name, records };
}

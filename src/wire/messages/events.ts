import { DecodeError } from '../errors.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** Event types (docs/protocol/04 §1.1). */
export const EventType = {
  /** In detachEvent only. */
  all: -1,
  keepAlive: 0,
  /** [0.9.7] */
  transactionFrom: 1,
  /** [0.9.7] */
  transactionTo: 2,
  /** [0.9.7] Never triggered. */
  balance: 3,
} as const;

/** attachEvent, code 40 (04 §1.2). */
export interface AttachEvent {
  readonly type: number;
  /** Serialised Cuckoo filter. */
  readonly filter: Uint8Array;
}

/** detachEvent, code 41 (04 §1.3). */
export interface DetachEvent {
  readonly type: number;
  /** The one item to remove, null for the whole filter. */
  readonly item: Uint8Array | null;
}

export function encodeAttachEvent(m: AttachEvent): Uint8Array {
  return new ByteWriter(8 + m.filter.length).i32(m.type).i32Bytes(m.filter).bytes();
}

/** Type and length of an event message. Throws DecodeError, `RANGE` for a negative length. */
function readHead(r: ByteReader, name: string): { type: number; length: number } {
  const type = r.i32(`${name}.type`);
  const at = r.offset;
  const length = r.i32(`${name}.length`);
  if (length < 0) throw new DecodeError('RANGE', `${name}.length`, at);
  return { type, length };
}

/**
 * The filter is a view into the payload and not parsed. A filter cut short is handed out as far as it goes:
 * parsing it fails, which makes the request one to ignore rather than a broken message (04 §1.2).
 *
 * @throws DecodeError
 */
export function decodeAttachEvent(payload: Uint8Array): AttachEvent {
  const r = new ByteReader(payload);
  const { type, length } = readHead(r, 'attachEvent');
  return { type, filter: r.raw(Math.min(length, r.remaining), 'attachEvent.filter') };
}

export function encodeDetachEvent(m: DetachEvent): Uint8Array {
  return new ByteWriter(8 + (m.item?.length ?? 0)).i32(m.type).i32Bytes(m.item).bytes();
}

/** The item is a view into the payload. Behind type −1 nothing is read (04 §1.3). Throws DecodeError. */
export function decodeDetachEvent(payload: Uint8Array): DetachEvent {
  const r = new ByteReader(payload);
  if (r.remaining >= 4) {
    const type = new ByteReader(payload).i32('detachEvent.type');
    if (type === EventType.all) return { type, item: null };
  }
  const { type, length } = readHead(r, 'detachEvent');
  return { type, item: length === 0 ? null : r.raw(length, 'detachEvent.item') };
}

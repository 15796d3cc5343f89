import { DecodeError } from '../errors.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** Longest address form on the wire: version 1 or 2 with checksum (docs/protocol/02 §3). */
export const addressBytesSentMax = 48;

/** A present address field, as sent. */
export function readAddressField(r: ByteReader, field: string): Uint8Array {
  const start = r.offset;
  const bytes = r.vb(field, addressBytesSentMax);
  if (bytes.length === 0) throw new DecodeError('EMPTY', field, start);
  return bytes;
}

/** getPresence2, code 36 (03 §6). */
export function encodeGetPresence2(address: Uint8Array): Uint8Array {
  return new ByteWriter(64).vb(address).bytes();
}

/** The address as sent, a view into the payload. Throws DecodeError. */
export function decodeGetPresence2(payload: Uint8Array): Uint8Array {
  return readAddressField(new ByteReader(payload), 'getPresence2.address');
}

/** getRandomPresences, code 48 (03 §6): one node type letter. */
export function encodeGetRandomPresences(nodeType: string): Uint8Array {
  return new ByteWriter(1).char(nodeType).bytes();
}

/** The node type letter asked for. Throws DecodeError. */
export function decodeGetRandomPresences(payload: Uint8Array): string {
  return new ByteReader(payload).char('getRandomPresences.type');
}

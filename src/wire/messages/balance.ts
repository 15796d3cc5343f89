import { decodeIxiNumber, encodeIxiNumber, ixiNumberBytesMax } from '../ixi-number.js';
import { hashBytesMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';
import { readAddressField } from './presences.js';

/** balance2, code 31 (docs/protocol/03 §6). */
export interface Balance2 {
  /** As sent. */
  readonly address: Uint8Array;
  /** 10⁻⁸ units. */
  readonly balance: bigint;
  readonly height: number;
  readonly blockChecksum: Uint8Array | null;
}

/** getBalance2, code 30 (03 §6). */
export function encodeGetBalance2(address: Uint8Array): Uint8Array {
  return new ByteWriter(64).vb(address).bytes();
}

/** The address as sent, a view into the payload. Throws DecodeError. */
export function decodeGetBalance2(payload: Uint8Array): Uint8Array {
  return readAddressField(new ByteReader(payload), 'getBalance2.address');
}

export function encodeBalance2(m: Balance2): Uint8Array {
  return new ByteWriter(160)
    .vb(m.address)
    .vb(encodeIxiNumber(m.balance))
    .var(m.height)
    .vb(m.blockChecksum)
    .bytes();
}

/** Bytes are views into the payload. Throws DecodeError. */
export function decodeBalance2(payload: Uint8Array): Balance2 {
  const r = new ByteReader(payload);
  const address = readAddressField(r, 'balance2.address');
  const at = r.offset;
  return {
    address,
    balance: decodeIxiNumber(r.vb('balance2.balance', ixiNumberBytesMax), 'balance2.balance', at),
    height: r.uvarSafe('balance2.height'),
    blockChecksum: r.ixiBytes('balance2.blockChecksum', hashBytesMax),
  };
}

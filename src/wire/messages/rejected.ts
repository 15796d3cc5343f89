import { DecodeError } from '../errors.js';
import { rejectedPayloadBytesMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** Why a transaction was refused (docs/protocol/03 §6.1). */
export const RejectedReason = {
  transactionInvalid: 0x20,
  transactionDust: 0x21,
  transactionInsufficientFee: 0x22,
  transactionDuplicate: 0x23,
} as const;

/** rejected, code 3 (03 §6.1). */
export interface Rejected {
  /** One of {@link RejectedReason}, or a byte to log. */
  readonly reason: number;
  /** Transaction id; null when the message names none. */
  readonly transactionId: Uint8Array | null;
}

/** Throws RangeError when the payload would exceed the 128 bytes every receiver insists on. */
export function encodeRejected(m: Rejected): Uint8Array {
  const out = new ByteWriter(64).u8(m.reason).vb(m.transactionId).bytes();
  if (out.length > rejectedPayloadBytesMax) throw new RangeError(`rejected payload of ${out.length} bytes`);
  return out;
}

/** The id is a view into the payload. Throws DecodeError, `TOOLONG` above 128 bytes. */
export function decodeRejected(payload: Uint8Array): Rejected {
  if (payload.length > rejectedPayloadBytesMax)
    throw new DecodeError('TOOLONG', 'rejected', 0, `${payload.length} bytes`);
  const r = new ByteReader(payload);
  return { reason: r.u8('rejected.reason'), transactionId: r.ixiBytes('rejected.transactionId') };
}

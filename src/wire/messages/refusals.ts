import { DecodeError } from '../errors.js';
import { rejectedPayloadBytesMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** bye, code 2 (docs/protocol/03 §5.2). */
export interface ByeMessage {
  /** One of {@link Bye}, or anything else. */
  readonly code: number;
  /** Free text, never interpreted. */
  readonly text: string;
  /** Interpreted according to the code, e.g. the observed IP for 600. */
  readonly data: string;
}

/** Longest text and data looked at, in characters; more is refused, nobody shows it. */
const byeCharsMax = 1024;

export function encodeBye(m: ByeMessage): Uint8Array {
  return new ByteWriter(64).i32(m.code).netstr(m.text).netstr(m.data).bytes();
}

/** Throws DecodeError; a bye ends the connection all the same. */
export function decodeBye(payload: Uint8Array): ByeMessage {
  const r = new ByteReader(payload);
  return {
    code: r.i32('bye.code'),
    text: r.netstr('bye.text', byeCharsMax),
    data: r.netstr('bye.data', byeCharsMax),
  };
}

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

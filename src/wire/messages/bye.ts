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

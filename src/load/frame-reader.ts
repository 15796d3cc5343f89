import {
  FRAME_HEADER_BYTES,
  FRAME_START,
  TIME_RECORD_BYTES,
  TIME_RECORD_START,
  TIME_RECORDS_PER_CONNECTION,
  u32At,
} from '../wire/index.js';

/** A frame as it lies in the received bytes: valid during the call only. */
export type FrameHandler = (
  code: number,
  bytes: Uint8Array,
  /** Where the payload begins, and its length. */
  at: number,
  length: number,
  /** CRC-32C that the header announces; the handler checks it. */
  crc: number,
) => void;

/** Largest frame a load client takes; an answer of a relay is far below. A larger one ends the connection. */
export const frameBytesMax = 8 * 1024 * 1024;

/**
 * Finds frames in a relay's byte stream (docs/protocol/03 §2) with as little work as possible: a generator must
 * cost less than what it measures, so headers are read in place and nothing is allocated while whole frames come.
 */
export class FrameReader {
  #rest: Uint8Array | null = null;
  #timesLeft = TIME_RECORDS_PER_CONNECTION;

  constructor(private readonly onFrame: FrameHandler) {}

  /** Takes the next bytes. False: the stream is no use any more (a frame beyond {@link frameBytesMax}). */
  push(chunk: Uint8Array): boolean {
    let bytes = chunk;
    if (this.#rest !== null) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
      this.#rest = null;
    }
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      const lead = bytes[at]!;
      if (lead === FRAME_START) {
        if (end - at < FRAME_HEADER_BYTES) break;
        const length = u32At(bytes, at + 3);
        if (length > frameBytesMax) return false;
        const next = at + FRAME_HEADER_BYTES + length;
        if (next > end) break;
        const crc = u32At(bytes, at + 7);
        this.onFrame(bytes[at + 1]! | (bytes[at + 2]! << 8), bytes, at + FRAME_HEADER_BYTES, length, crc);
        at = next;
      } else if (lead === TIME_RECORD_START && this.#timesLeft > 0) {
        if (end - at < TIME_RECORD_BYTES) break;
        this.#timesLeft--;
        at += TIME_RECORD_BYTES;
      } else at++;
    }
    // The chunk's memory is used again for the next read, so what is left must be copied.
    if (at < end) this.#rest = bytes.slice(at);
    return true;
  }
}

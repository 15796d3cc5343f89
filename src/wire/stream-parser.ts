import { crc32c } from '../core/index.js';
import { EMPTY_BYTES } from './bytes.js';
import {
  FRAME_HEADER_BYTES,
  FRAME_START,
  type FrameHeader,
  FrameTooLarge,
  judgeLength,
  readFrameHeader,
  TIME_RECORD_BYTES,
  TIME_RECORD_START,
  TIME_RECORDS_PER_CONNECTION,
} from './frame.js';
import { framePayloadBytesMax } from './limits.js';

/** Who gets the records of one byte stream, in order. */
export interface StreamSink {
  /**
   * A whole frame. `payload` is a view that is valid **only during the call**: copy what must live longer. The
   * twelve bytes before it in its buffer are the frame's header, see {@link frameAround}.
   * `crcValid` false: drop the message, keep the connection (docs/protocol/03 §2.3 step 5). `crc` is the one
   * the header announces; with the code it names a message where duplicates are suppressed (01 §6).
   */
  frame(code: number, payload: Uint8Array, crcValid: boolean, crc: number): void;
  /** A time-sync record, milliseconds; at most five per stream (03 §2.4). */
  time(ms: bigint): void;
  /** As {@link StreamParserOptions.payloadMax}, in its place. */
  payloadMax?(code: number): number;
  /** A single byte that starts nothing: ping, probe byte or garbage (03 §2). */
  byte(b: number): void;
}

export interface StreamParserOptions {
  /**
   * Largest payload taken for a code, in bytes; asked for every frame, so it may change after the handshake.
   * Never above 50,000,000 whatever it returns.
   */
  readonly payloadMax?: (code: number) => number;
}

const NO_OPTIONS: StreamParserOptions = {};

/** First allocation for a frame that spans chunks: one of this size costs one allocation. */
const collectBytesInitial = 2 * 1024;

/**
 * The byte state machine of 03 §2.1–2.4: feed it chunks as they come from the socket, cut anywhere; the
 * records handed out do not depend on the cuts. A frame that lies in one chunk is handed out as a view into
 * it; one that spans chunks is collected in a buffer that grows with what really arrived, never to the
 * announced length ahead of the data (03 §2.3 Weakness).
 *
 * A header with a wrong checksum is searched for another start byte and, if there is one, read again from
 * there; the reference throws all 12 bytes away (03 §2.3 Quirk).
 */
export class StreamParser {
  readonly #payloadMax: ((code: number) => number) | undefined;
  /** Bytes of a header or time record that began in an earlier chunk. */
  #head = EMPTY_BYTES;
  #headLength = 0;
  /** The frame that is being received. */
  #open: FrameHeader | null = null;
  /** Its bytes so far, header included, when it does not lie in one chunk. */
  #collect = EMPTY_BYTES;
  #collected = 0;
  #timesLeft = TIME_RECORDS_PER_CONNECTION;
  #stopped = false;

  constructor(options: StreamParserOptions = NO_OPTIONS) {
    this.#payloadMax = options.payloadMax;
  }

  /** Time records read so far. */
  get timeRecords(): number {
    return TIME_RECORDS_PER_CONNECTION - this.#timesLeft;
  }

  /** Bytes held for a record that is not complete yet. */
  get pendingBytes(): number {
    return this.#open === null ? this.#headLength : this.#collected;
  }

  /** Size of the buffer in which a frame is collected. */
  get heldBytes(): number {
    return this.#collect.length;
  }

  /** Ends parsing, also from inside a sink call: nothing more is handed out. */
  stop(): void {
    this.#stopped = true;
    this.#collect = EMPTY_BYTES;
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @throws FrameTooLarge when a header announces more than its cap; the parser is stopped then and the caller
   * closes the connection. What a sink throws passes through; the rest of the chunk is lost in that case.
   */
  push(chunk: Uint8Array, sink: StreamSink): void {
    // Buffer.slice means something else than Uint8Array.slice, so a sink never gets to see a Buffer.
    const bytes =
      chunk.constructor === Uint8Array
        ? chunk
        : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length && !this.#stopped) {
      if (this.#open !== null) at = this.#payload(bytes, at, sink);
      else if (this.#headLength > 0) at = this.#resume(bytes, at, sink);
      else at = this.#start(bytes, at, sink);
    }
  }

  /** Between records: `bytes[at]` decides. Returns the new position. */
  #start(bytes: Uint8Array, at: number, sink: StreamSink): number {
    const b = bytes[at]!;
    if (b === FRAME_START) {
      if (bytes.length - at < FRAME_HEADER_BYTES) return this.#keep(bytes, at);
      const h = readFrameHeader(bytes, at);
      if (h === null) {
        const next = bytes.indexOf(FRAME_START, at + 1);
        return next < 0 || next > at + FRAME_HEADER_BYTES ? at + FRAME_HEADER_BYTES : next;
      }
      return this.#accept(h, bytes, at, sink);
    }
    if (b === TIME_RECORD_START && this.#timesLeft > 0) {
      if (bytes.length - at < TIME_RECORD_BYTES) return this.#keep(bytes, at);
      this.#time(bytes, at + 1, sink);
      return at + TIME_RECORD_BYTES;
    }
    sink.byte(b);
    return at + 1;
  }

  #keep(bytes: Uint8Array, at: number): number {
    if (this.#head.length === 0) this.#head = new Uint8Array(FRAME_HEADER_BYTES);
    this.#head.set(bytes.subarray(at));
    this.#headLength = bytes.length - at;
    return bytes.length;
  }

  /** Completes a header or time record that began in an earlier chunk. */
  #resume(bytes: Uint8Array, at: number, sink: StreamSink): number {
    const head = this.#head;
    const size = head[0] === FRAME_START ? FRAME_HEADER_BYTES : TIME_RECORD_BYTES;
    const n = Math.min(size - this.#headLength, bytes.length - at);
    head.set(bytes.subarray(at, at + n), this.#headLength);
    this.#headLength += n;
    if (this.#headLength < size) return at + n;
    this.#headLength = 0;
    if (head[0] !== FRAME_START) {
      this.#time(head, 1, sink);
      return at + n;
    }
    const h = readFrameHeader(head);
    // The view is of the head that was kept: what follows is collected behind a copy of it.
    if (h !== null) this.#accept(h, head, 0, sink);
    else {
      const next = head.indexOf(FRAME_START, 1);
      if (next > 0) {
        head.copyWithin(0, next);
        this.#headLength = FRAME_HEADER_BYTES - next;
      }
    }
    return at + n;
  }

  #time(bytes: Uint8Array, at: number, sink: StreamSink): void {
    this.#timesLeft--;
    sink.time(new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigInt64(0, true));
  }

  /** A header that starts at `bytes[at]`; hands the frame out when it is all there. Returns the new position. */
  #accept(h: FrameHeader, bytes: Uint8Array, at: number, sink: StreamSink): number {
    const max = sink.payloadMax?.(h.code) ?? this.#payloadMax?.(h.code) ?? framePayloadBytesMax;
    const verdict = judgeLength(h, max);
    const from = at + FRAME_HEADER_BYTES;
    if (verdict === 'empty') return from; // a no-op, not an error (03 §2.3)
    if (verdict === 'oversize') {
      this.stop();
      throw new FrameTooLarge(h.code, h.length, Math.min(max, framePayloadBytesMax));
    }
    if (bytes.length - from >= h.length) {
      const payload = bytes.subarray(from, from + h.length);
      sink.frame(h.code, payload, crc32c(payload) === h.crc, h.crc);
      return from + h.length;
    }
    this.#open = h;
    const n = bytes.length - at;
    this.#collected = 0;
    this.#grow(n, FRAME_HEADER_BYTES + h.length);
    this.#collect.set(bytes.subarray(at), 0);
    this.#collected = n;
    return bytes.length;
  }

  /** Collects a part of the open frame; hands it out when it is complete. */
  #payload(bytes: Uint8Array, at: number, sink: StreamSink): number {
    const h = this.#open!;
    const size = FRAME_HEADER_BYTES + h.length;
    const n = Math.min(size - this.#collected, bytes.length - at);
    this.#grow(this.#collected + n, size);
    this.#collect.set(bytes.subarray(at, at + n), this.#collected);
    this.#collected += n;
    if (this.#collected === size) {
      this.#open = null;
      this.#collected = 0;
      // Let go: whoever hands the frame on may keep it, and an idle connection holds nothing.
      const payload = this.#collect.subarray(FRAME_HEADER_BYTES, size);
      this.#collect = EMPTY_BYTES;
      sink.frame(h.code, payload, crc32c(payload) === h.crc, h.crc);
    }
    return at + n;
  }

  /** Doubles, but never beyond the announced length. */
  #grow(need: number, whole: number): void {
    if (this.#collect.length >= need) return;
    const doubled = Math.max(need, collectBytesInitial, this.#collect.length * 2);
    const grown = new Uint8Array(Math.min(Math.max(whole, need), doubled));
    grown.set(this.#collect.subarray(0, this.#collected));
    this.#collect = grown;
  }
}

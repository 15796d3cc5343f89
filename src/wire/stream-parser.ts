import { crc32c } from '../core/index.js';
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
   * A whole frame. `payload` is a view that is valid **only during the call**: copy what must live longer.
   * `crcValid` false: drop the message, keep the connection (docs/protocol/03 §2.3 step 5). `crc` is the one
   * the header announces; with the code it names a message where duplicates are suppressed (01 §6).
   */
  frame(code: number, payload: Uint8Array, crcValid: boolean, crc: number): void;
  /** A time-sync record, milliseconds; at most five per stream (03 §2.4). */
  time(ms: bigint): void;
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

/** First allocation for a payload that spans chunks: a frame of this size costs one allocation. */
const collectBytesInitial = 16 * 1024;

/** Collecting buffers up to this size are kept for the next frame, larger ones are let go. */
const collectBytesKept = 64 * 1024;

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
  readonly #payloadMax: (code: number) => number;
  /** Bytes of a header or time record that began in an earlier chunk. */
  readonly #head = new Uint8Array(FRAME_HEADER_BYTES);
  #headLength = 0;
  #open: FrameHeader | null = null;
  #collect = new Uint8Array(0);
  #collected = 0;
  #timesLeft = TIME_RECORDS_PER_CONNECTION;
  #stopped = false;

  constructor(options: StreamParserOptions = {}) {
    this.#payloadMax = options.payloadMax ?? (() => framePayloadBytesMax);
  }

  /** Time records read so far. */
  get timeRecords(): number {
    return TIME_RECORDS_PER_CONNECTION - this.#timesLeft;
  }

  /** Bytes held for a record that is not complete yet. */
  get pendingBytes(): number {
    return this.#open === null ? this.#headLength : FRAME_HEADER_BYTES + this.#collected;
  }

  /** Ends parsing, also from inside a sink call: nothing more is handed out. */
  stop(): void {
    this.#stopped = true;
    this.#collect = new Uint8Array(0);
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
      this.#accept(h);
      return at + FRAME_HEADER_BYTES;
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
    if (h !== null) this.#accept(h);
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

  #accept(h: FrameHeader): void {
    const max = this.#payloadMax(h.code);
    const verdict = judgeLength(h, max);
    if (verdict === 'empty') return; // a no-op, not an error (03 §2.3)
    if (verdict === 'oversize') {
      this.stop();
      throw new FrameTooLarge(h.code, h.length, Math.min(max, framePayloadBytesMax));
    }
    this.#open = h;
    this.#collected = 0;
  }

  /** Hands out the open frame or collects a part of it. */
  #payload(bytes: Uint8Array, at: number, sink: StreamSink): number {
    const h = this.#open!;
    if (this.#collected === 0 && bytes.length - at >= h.length) {
      this.#open = null;
      const payload = bytes.subarray(at, at + h.length);
      sink.frame(h.code, payload, crc32c(payload) === h.crc, h.crc);
      return at + h.length;
    }
    const n = Math.min(h.length - this.#collected, bytes.length - at);
    this.#grow(this.#collected + n, h.length);
    this.#collect.set(bytes.subarray(at, at + n), this.#collected);
    this.#collected += n;
    if (this.#collected === h.length) {
      this.#open = null;
      this.#collected = 0;
      const buffer = this.#collect;
      const payload = buffer.subarray(0, h.length);
      if (buffer.length > collectBytesKept) this.#collect = new Uint8Array(0);
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

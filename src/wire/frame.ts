import { crc32c } from '../core/index.js';
import { EMPTY_BYTES, u32At } from './bytes.js';
import { framePayloadBytesMax } from './limits.js';

/** First byte of a v6 frame (docs/protocol/03 §2.1). */
export const FRAME_START = 0xea;

/** Bytes before the payload. */
export const FRAME_HEADER_BYTES = 12;

/** First byte of a time-sync record (03 §2.4). */
export const TIME_RECORD_START = 0x02;

/** Lead byte and an i64 of milliseconds. */
export const TIME_RECORD_BYTES = 9;

/** Records the accepting side sends, and the most a receiver reads as such (03 §2.4). */
export const TIME_RECORDS_PER_CONNECTION = 5;

/** Sent when nothing else was for a while; needs no answer (03 §2.5). */
export const PING_BYTE = 0x01;

/** Sent ahead of the bye of a connectivity probe (03 §3.6). */
export const PROBE_BYTE = 0x00;

/** What a v6 header says. */
export interface FrameHeader {
  readonly code: number;
  /** Payload length in bytes, as announced. */
  readonly length: number;
  /** Announced CRC-32C of the payload. */
  readonly crc: number;
}

/** A frame larger than its cap: the connection must be closed (03 §2.3). */
export class FrameTooLarge extends Error {
  override readonly name = 'FrameTooLarge';
  constructor(
    readonly code: number,
    /** Announced payload length in bytes. */
    readonly length: number,
    /** The cap that applies, in bytes. */
    readonly max: number,
  ) {
    super(`frame of code ${code} announces ${length} bytes, at most ${max} are taken`);
  }
}

function headerChecksum(bytes: Uint8Array, at: number): number {
  let x = 0x7f;
  for (let i = at; i < at + 11; i++) x ^= bytes[i]!;
  return x;
}

/**
 * Reads the 12 header bytes at `at`. Null when the start byte or the header checksum is wrong; the length is
 * not judged here, see {@link judgeLength}. The caller guarantees that 12 bytes are there.
 */
export function readFrameHeader(bytes: Uint8Array, at = 0): FrameHeader | null {
  if (bytes[at] !== FRAME_START || headerChecksum(bytes, at) !== bytes[at + 11]) return null;
  return {
    code: bytes[at + 1]! | (bytes[at + 2]! << 8),
    length: u32At(bytes, at + 3),
    crc: u32At(bytes, at + 7),
  };
}

/** `empty`: legal to send but never delivered; `oversize`: the connection is closed (03 §2.3). */
export function judgeLength(h: FrameHeader, payloadMax = framePayloadBytesMax): 'ok' | 'empty' | 'oversize' {
  if (h.length === 0) return 'empty';
  return h.length > Math.min(payloadMax, framePayloadBytesMax) ? 'oversize' : 'ok';
}

/** Writes the 12 header bytes of a frame around `payload` to `out[at…]`. Throws RangeError as {@link encodeFrame}. */
export function writeFrameHeader(out: Uint8Array, at: number, code: number, payload: Uint8Array): void {
  if (!Number.isInteger(code) || code < 0 || code > 0xffff) throw new RangeError(`no message code: ${code}`);
  if (payload.length > framePayloadBytesMax)
    throw new RangeError(`payload of ${payload.length} bytes, at most ${framePayloadBytesMax}`);
  putHeader(out, at, code, payload.length, crc32c(payload));
}

function putHeader(out: Uint8Array, at: number, code: number, n: number, crc: number): void {
  out[at] = FRAME_START;
  out[at + 1] = code & 0xff;
  out[at + 2] = code >> 8;
  for (let i = 0; i < 4; i++) {
    out[at + 3 + i] = (n >>> (8 * i)) & 0xff;
    out[at + 7 + i] = (crc >>> (8 * i)) & 0xff;
  }
  out[at + 11] = headerChecksum(out, at);
}

/**
 * One v6 frame (03 §2.1) in a fresh array. An empty payload can be framed, but no receiver delivers it: pad
 * with one byte instead (03 §2.3).
 *
 * @throws RangeError for a code outside u16 and for a payload above 50,000,000 bytes.
 */
export function encodeFrame(code: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(out, 0, code, payload);
  out.set(payload, FRAME_HEADER_BYTES);
  return out;
}

/** Answers are carved from arrays of this size, so that one allocation serves many of them. */
const carvedBytes = 64 * 1024;
/** Larger ones get an array of their own. */
const carvedPayloadBytesMax = 12 * 1024;

let carved = EMPTY_BYTES;
let carvedUsed = 0;

/** Zeroed bytes for a payload, with room for the header in front: fill them, then {@link sealFrame}. */
export function roomyPayload(length: number): Uint8Array {
  const size = FRAME_HEADER_BYTES + length;
  if (length > carvedPayloadBytesMax) return new Uint8Array(size).subarray(FRAME_HEADER_BYTES);
  if (carved.length - carvedUsed < size) {
    carved = new Uint8Array(carvedBytes);
    carvedUsed = 0;
  }
  const from = carvedUsed + FRAME_HEADER_BYTES;
  carvedUsed += size;
  return carved.subarray(from, from + length);
}

/** A copy of a payload with room for the header in front. */
export function withRoom(payload: Uint8Array): Uint8Array {
  const out = roomyPayload(payload.length);
  out.set(payload);
  return out;
}

/** A payload from {@link roomyPayload} and the room in front of it. */
function withHeader(payload: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = payload;
  return new Uint8Array(buffer, byteOffset - FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length);
}

/** Makes a frame of a payload from {@link roomyPayload} and of no other: no copy, one checksum. */
export function sealFrame(code: number, payload: Uint8Array): Uint8Array {
  const frame = withHeader(payload);
  writeFrameHeader(frame, 0, code, payload);
  return frame;
}

/** As {@link sealFrame}, for a payload whose CRC-32C the caller knows. */
export function sealSummedFrame(code: number, payload: Uint8Array, crc: number): Uint8Array {
  const frame = withHeader(payload);
  putHeader(frame, 0, code, payload.length, crc);
  return frame;
}

/**
 * The frame around a payload that a {@link StreamParser} handed out, to be sent on as it came: a view of header and
 * payload, no copy and no second checksum. A payload that came from elsewhere is framed anew. `memory` is the payload's
 * buffer, for whoever has asked for it already.
 */
export function frameAround(
  code: number,
  payload: Uint8Array,
  memory: ArrayBufferLike = payload.buffer,
): Uint8Array {
  const at = payload.byteOffset - FRAME_HEADER_BYTES;
  if (at >= 0) {
    const frame = new Uint8Array(memory, at, FRAME_HEADER_BYTES + payload.length);
    const h = readFrameHeader(frame);
    if (h !== null && h.code === code && h.length === payload.length) return frame;
  }
  return encodeFrame(code, payload);
}

/** One time-sync record (03 §2.4): network-adjusted Unix time in milliseconds. */
export function encodeTimeRecord(ms: bigint | number): Uint8Array {
  const out = new Uint8Array(TIME_RECORD_BYTES);
  out[0] = TIME_RECORD_START;
  new DataView(out.buffer).setBigInt64(1, BigInt(ms), true);
  return out;
}

/** The five records that open an accepted connection, all with the same time. */
export function encodeTimeRecords(ms: bigint | number): Uint8Array {
  const one = encodeTimeRecord(ms);
  const out = new Uint8Array(TIME_RECORD_BYTES * TIME_RECORDS_PER_CONNECTION);
  for (let i = 0; i < TIME_RECORDS_PER_CONNECTION; i++) out.set(one, i * TIME_RECORD_BYTES);
  return out;
}

/**
 * Clock samples `d_i` of 03 §2.4 from what was received: `received[i]` = {local ms `at`, remote ms `sent`}.
 * The first is local − remote; from the second on the time since the previous record is taken off.
 */
export function timeSamplesMs(received: readonly { at: number; sent: number }[]): number[] {
  return received.map((r, i) => (i === 0 ? r.at : received[i - 1]!.at) - r.sent);
}

/**
 * Connection time difference in whole seconds from samples in milliseconds: the smallest, cut towards zero;
 * positive when the local clock is ahead, 0 without samples (03 §2.4).
 */
export function timeDifferenceSeconds(samplesMs: readonly number[]): number {
  if (samplesMs.length === 0) return 0;
  const seconds = Math.trunc(Math.min(...samplesMs) / 1000);
  return seconds === 0 ? 0 : seconds; // never −0
}

import { crc32c } from '../core/index.js';
import { encodeStreamMessage, messageIdBytes, StreamMessageType, streamMessage } from '../messages/index.js';
import { Code, encodeFrame, FRAME_HEADER_BYTES, u32At } from '../wire/index.js';
import { messagePrefix, type TransportKind } from './socket.js';

// A load message is an ordinary StreamMessage of version 1 (docs/protocol/07 §3.4) whose id and data say which it is:
//
//   id    "SLOD", u32 run, u32 flow, u32 sequence number
//   data  f64 intended send time (ms), filler, u32 CRC-32C of the payload up to here
//
// The checksum covers sender, recipient, id and data, so a relay that mixes up, cuts or alters messages is found out even
// where it computes the frame's own checksum anew. All integers little endian.

const MAGIC = 0x444f4c53;
/** version, id length, id, type, encryption, and two addresses of 45 bytes with their lengths. */
const DATA_LENGTH_AT = 2 + messageIdBytes + 2 + 2 * 46;
const ID_AT = 2;
/** Timestamp (five bytes until 2106), no signature, confirmation flag. */
const TAIL_BYTES = 7;
const INTENDED_BYTES = 8;
const CHECKSUM_BYTES = 4;

/** Smallest and largest size of a load message, in bytes of the whole StreamMessage. */
export const messageBytesMin = DATA_LENGTH_AT + 1 + INTENDED_BYTES + CHECKSUM_BYTES + TAIL_BYTES;
export const messageBytesMax = 64_000;

/** Bytes of a data length field. */
const lengthBytes = (n: number): number => (n <= 247 ? 1 : 3);

/** Writes one flow's messages: the frame is built once, only number, time and checksums change. */
export class MessageWriter {
  #bytes: Uint8Array;
  #view: DataView;
  readonly #at: number;
  readonly #checksumAt: number;
  readonly #prefixBytes: number;
  /** XOR over the header but its CRC, seeded as the protocol wants it. */
  readonly #headerSum: number;
  readonly #intendedAt: number;

  /**
   * @param size Bytes of the whole StreamMessage.
   * @throws RangeError for a size outside {@link messageBytesMin}…{@link messageBytesMax}.
   */
  constructor(
    kind: TransportKind,
    run: number,
    flow: number,
    sender: Uint8Array,
    recipient: Uint8Array,
    size: number,
  ) {
    if (!Number.isInteger(size) || size < messageBytesMin || size > messageBytesMax)
      throw new RangeError(`a load message has ${messageBytesMin} to ${messageBytesMax} bytes, not ${size}`);
    const room = size - DATA_LENGTH_AT - TAIL_BYTES;
    // Where the length field itself grows, two sizes cannot be had: the message is then a byte or two shorter.
    const dataBytes = room <= 248 ? room - 1 : Math.max(room - 3, 247);
    const data = new Uint8Array(dataBytes).fill(0x5a);
    const id = new Uint8Array(messageIdBytes);
    const idView = new DataView(id.buffer);
    idView.setUint32(0, MAGIC, true);
    idView.setUint32(4, run, true);
    idView.setUint32(8, flow, true);
    const payload = encodeStreamMessage({
      ...streamMessage({ sender, recipient, data, timestamp: BigInt(Math.floor(Date.now() / 1000)), id }),
      type: StreamMessageType.data,
      requireRcvConfirmation: false,
    });
    const frame = encodeFrame(Code.s2data, payload);
    const prefix = messagePrefix(kind, frame.length);
    this.#prefixBytes = prefix.length;
    this.#at = prefix.length + FRAME_HEADER_BYTES;
    this.#bytes = new Uint8Array(prefix.length + frame.length);
    this.#bytes.set(prefix);
    this.#bytes.set(frame, prefix.length);
    this.#view = new DataView(this.#bytes.buffer);
    this.#checksumAt = this.#at + payload.length - TAIL_BYTES - CHECKSUM_BYTES;
    this.#intendedAt = this.#at + DATA_LENGTH_AT + lengthBytes(dataBytes);
    let sum = 0x7f;
    for (let i = 0; i < 7; i++) sum ^= frame[i]!;
    this.#headerSum = sum;
  }

  /** Bytes of one message as written to the socket. */
  get wireBytes(): number {
    return this.#bytes.length;
  }

  /** The message with this number. The bytes are the writer's own, valid until {@link next} or {@link keep}. */
  next(sequence: number, intendedMs: number): Uint8Array {
    const bytes = this.#bytes;
    const view = this.#view;
    view.setUint32(this.#at + ID_AT + 12, sequence, true);
    view.setFloat64(this.#intendedAt, intendedMs, true);
    const inner = crc32c(bytes.subarray(this.#at, this.#checksumAt));
    view.setUint32(this.#checksumAt, inner, true);
    const outer = crc32c(bytes.subarray(this.#checksumAt), inner);
    const header = this.#prefixBytes;
    view.setUint32(header + 7, outer, true);
    bytes[header + 11] =
      this.#headerSum ^ (outer & 255) ^ ((outer >>> 8) & 255) ^ ((outer >>> 16) & 255) ^ (outer >>> 24);
    return bytes;
  }

  /** Leaves the bytes of the last message to whoever still needs them, and goes on with a copy. */
  keep(): void {
    this.#bytes = this.#bytes.slice();
    this.#view = new DataView(this.#bytes.buffer);
  }
}

/** What a received message is. */
export type MessageVerdict =
  /** One of ours, whole: {@link MessageReader} holds its fields. */
  | 'ours'
  /** Carries our mark but not the bytes that were sent. */
  | 'corrupt'
  /** Somebody else's, or of an earlier run. */
  | 'foreign';

/** Reads received messages in place; one reader is used for all of a process. */
export class MessageReader {
  flow = 0;
  sequence = 0;
  intendedMs = 0;
  readonly #float = new DataView(new ArrayBuffer(8));

  constructor(private readonly run: number) {}

  /** Looks at an s2data payload at `bytes[at…at + length)`; `crc` is the one its frame announced. */
  read(bytes: Uint8Array, at: number, length: number, crc: number): MessageVerdict {
    const id = at + ID_AT;
    if (
      length < messageBytesMin ||
      bytes[at] !== 1 ||
      bytes[at + 1] !== messageIdBytes ||
      u32At(bytes, id) !== MAGIC ||
      u32At(bytes, id + 4) !== this.run
    )
      return 'foreign';
    const checksumAt = at + length - TAIL_BYTES - CHECKSUM_BYTES;
    const inner = crc32c(bytes.subarray(at, checksumAt));
    if (inner !== u32At(bytes, checksumAt)) return 'corrupt';
    if (crc32c(bytes.subarray(checksumAt, at + length), inner) !== crc) return 'corrupt';
    this.flow = u32At(bytes, id + 8);
    this.sequence = u32At(bytes, id + 12);
    const intendedAt = at + DATA_LENGTH_AT + (bytes[at + DATA_LENGTH_AT]! <= 247 ? 1 : 3);
    for (let i = 0; i < 8; i++) this.#float.setUint8(i, bytes[intendedAt + i]!);
    this.intendedMs = this.#float.getFloat64(0, true);
    return 'ours';
  }

  /** Flow and number of the message that a relay's error names, or null when it is none of ours (07 §9.3). */
  failed(id: Uint8Array): { readonly flow: number; readonly sequence: number } | null {
    if (id.length !== messageIdBytes || u32At(id, 0) !== MAGIC || u32At(id, 4) !== this.run) return null;
    return { flow: u32At(id, 8), sequence: u32At(id, 12) };
  }
}

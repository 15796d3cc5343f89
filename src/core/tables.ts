import { fieldOf, type ScanField, type ScanStatus, statusOf } from './status.js';

// Every table owns its words: they are copied out of the arena, so a table stays valid for as long as its holder
// wants. Offsets point into the input that was scanned; the input itself is not kept.

/** Kinds of row in a {@link FrameTable}; the numbers are those of assembly/frames.ts. */
export const FrameKind = {
  /** A whole frame; {@link FrameTable.crcHolds} is its verdict. */
  frame: 1,
  /** A time-sync record of 9 bytes (docs/protocol/03 §2.4). */
  time: 2,
  /** A run of single bytes: pings and whatever starts no record. */
  bytes: 3,
  /** Skipped: a frame header with a wrong checksum or without payload. */
  rejected: 4,
  /** The record that the input ends in. `bytes` is what it needs in all, as far as known. */
  partial: 5,
  /** A valid header with a payload above 50,000,000 bytes: nothing behind it was scanned, close (03 §2.3). */
  oversize: 6,
} as const;
/** One of the values of {@link FrameKind}. */
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** Header in front of a frame's payload (docs/protocol/03 §2.1). */
const FRAME_HEADER_BYTES = 12;

/** What {@link Core.scanFrames} found in one chunk, in order. */
export class FrameTable {
  static readonly rowWords = 6;

  constructor(
    readonly words: Uint32Array,
    readonly count: number,
    /** Bytes of the input that the rows cover; a partial or oversize record is not among them. */
    readonly consumed: number,
    /** Time records still due on this connection: the next scan's `timeRecords`. */
    readonly timeRecords: number,
    /** Bytes that the partial record at the end still lacks, as far as its header tells; 0 without one. */
    readonly missingBytes: number,
  ) {}

  kind(row: number): FrameKind {
    return this.words[row * FrameTable.rowWords]! as FrameKind;
  }

  /** Where the record starts. */
  offset(row: number): number {
    return this.words[row * FrameTable.rowWords + 1]!;
  }

  /** Size of the record with its header; for an oversize one the announced payload. */
  bytes(row: number): number {
    return this.words[row * FrameTable.rowWords + 2]!;
  }

  /** Message code of a frame, rejected header, partial (0 until the header is whole) or oversize row. */
  code(row: number): number {
    return this.words[row * FrameTable.rowWords + 3]!;
  }

  crcHolds(row: number): boolean {
    return this.words[row * FrameTable.rowWords + 4] === 1;
  }

  /** CRC-32C that the header declares. */
  crc(row: number): number {
    return this.words[row * FrameTable.rowWords + 5]!;
  }

  payloadOffset(row: number): number {
    return this.offset(row) + FRAME_HEADER_BYTES;
  }

  payloadBytes(row: number): number {
    return this.bytes(row) - FRAME_HEADER_BYTES;
  }
}

/** Rows with a status word and a failure offset in front. */
abstract class StatusTable {
  constructor(
    readonly words: Uint32Array,
    readonly count: number,
  ) {}

  protected abstract readonly width: number;

  protected word(row: number, column: number): number {
    return this.words[row * this.width + column]!;
  }

  /** A view of the range that `column` and the next one give, into the scanned input. */
  protected range(row: number, column: number, input: Uint8Array): Uint8Array {
    const at = this.word(row, column);
    return input.subarray(at, at + this.word(row, column + 1));
  }

  status(row: number): ScanStatus {
    return statusOf(this.word(row, 0));
  }

  /** The field that failed. */
  field(row: number): ScanField {
    return fieldOf(this.word(row, 0));
  }

  /** Where it failed, inside the row's input. */
  failureOffset(row: number): number {
    return this.word(row, 1);
  }

  protected u64(row: number, column: number): bigint {
    return (BigInt(this.word(row, column + 1)) << 32n) | BigInt(this.word(row, column));
  }
}

/**
 * One row per keep-alive (docs/protocol/05 §5.1). Fields are meaningful where the status is ok. Methods that return
 * bytes take the message that the row was scanned from and return a view into it.
 */
export class KeepAliveTable extends StatusTable {
  static readonly rowWords = 16;
  protected readonly width = KeepAliveTable.rowWords;

  wallet(row: number, message: Uint8Array): Uint8Array {
    return this.range(row, 2, message);
  }

  device(row: number, message: Uint8Array): Uint8Array {
    return this.range(row, 4, message);
  }

  /** Network seconds, below 2^63. */
  timestamp(row: number): bigint {
    return this.u64(row, 6);
  }

  /** Well-formed UTF-8. */
  hostname(row: number, message: Uint8Array): Uint8Array {
    return this.range(row, 8, message);
  }

  /** ASCII code of the node type. */
  type(row: number): number {
    return this.word(row, 10);
  }

  /** Empty when there is none. */
  pow(row: number, message: Uint8Array): Uint8Array {
    return this.range(row, 11, message);
  }

  /** Empty when there is none. */
  signature(row: number, message: Uint8Array): Uint8Array {
    return this.range(row, 13, message);
  }

  /** How many bytes from the start of the message the signature covers (behind the network lock). */
  signedBytes(row: number): number {
    return this.word(row, 15);
  }
}

/** One row per presence (docs/protocol/05 §4.1); its addresses are rows of {@link PresenceTable.addresses}. */
export class PresenceTable extends StatusTable {
  static readonly rowWords = 16;
  protected readonly width = PresenceTable.rowWords;

  constructor(
    words: Uint32Array,
    count: number,
    /** Non-empty slots of all presences, each presence's in its order. */
    readonly addresses: PresenceAddressTable,
  ) {
    super(words, count);
  }

  version(row: number): number {
    return this.word(row, 2);
  }

  /** Without checksum: where one was sent it was checked. */
  wallet(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 3, presence);
  }

  publicKey(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 5, presence);
  }

  /** Unsigned: decide nothing on it (05 §5.3). */
  metadata(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 7, presence);
  }

  /** Slots announced, empty ones included. */
  slots(row: number): number {
    return this.word(row, 9);
  }

  /** First row of {@link addresses} that belongs to this presence. */
  firstAddress(row: number): number {
    return this.word(row, 10);
  }

  addressCount(row: number): number {
    return this.word(row, 11);
  }

  /** The legacy field behind the slots, empty when there is none. */
  pow(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 12, presence);
  }

  /** Bytes read; what follows is ignored (05 §4.1). */
  bytesRead(row: number): number {
    return this.word(row, 14);
  }
}

/** One row per non-empty slot (docs/protocol/05 §3.1); offsets are inside the presence it came in. */
export class PresenceAddressTable extends StatusTable {
  static readonly rowWords = 18;
  protected readonly width = PresenceAddressTable.rowWords;

  /** The whole slot, meaningful whatever the status. */
  slot(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 2, presence);
  }

  device(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 4, presence);
  }

  /** Network seconds, signed. */
  lastSeen(row: number): bigint {
    return BigInt.asIntN(64, this.u64(row, 6));
  }

  hostname(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 8, presence);
  }

  /** ASCII code of the node type. */
  type(row: number): number {
    return this.word(row, 10);
  }

  pow(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 11, presence);
  }

  signature(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 13, presence);
  }

  /** Unsigned: decide nothing on it (05 §5.3). */
  nodeVersion(row: number, presence: Uint8Array): Uint8Array {
    return this.range(row, 15, presence);
  }
}

/** Consecutive integers (docs/protocol/01 §2). Only the last row can have failed. */
export class VarIntTable {
  static readonly rowWords = 4;

  constructor(
    readonly words: Uint32Array,
    readonly count: number,
    readonly signed: boolean,
  ) {}

  value(row: number): bigint {
    const at = row * VarIntTable.rowWords;
    const raw = (BigInt(this.words[at + 1]!) << 32n) | BigInt(this.words[at]!);
    return this.signed ? BigInt.asIntN(64, raw) : raw;
  }

  /** Offset behind the integer, or of the byte that failed. */
  end(row: number): number {
    return this.words[row * VarIntTable.rowWords + 2]!;
  }

  status(row: number): ScanStatus {
    return statusOf(this.words[row * VarIntTable.rowWords + 3]!);
  }
}

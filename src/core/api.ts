import type { FrameTable, KeepAliveTable, PresenceTable, VarIntTable } from './tables.js';

/** Which implementation answers. */
export type CoreEngine = 'wasm-scalar' | 'js';

/** Form of a hash (docs/protocol/02 §1). */
export interface HashForm {
  /** How often the hash is applied: 1 (default), 2 for the `sq` forms, 4 for `qu`. At most 16. */
  readonly rounds?: number;
  /** Leading bytes of the last digest to keep, 1…64 (default 64). */
  readonly keepBytes?: number;
}

/** One RSA signature to verify: PKCS#1 v1.5 with SHA-512 over `message` (docs/protocol/02 §2.3). */
export interface RsaItem {
  /** Big-endian, 2048…4096 bits, odd, no leading zero bytes; anything else verifies as false. */
  readonly modulus: Uint8Array;
  /** Odd, 3…2^32−1 (the protocol uses 65537); anything else verifies as false. */
  readonly exponent: number;
  /** Big-endian, exactly as long as the modulus and below it; anything else verifies as false. */
  readonly signature: Uint8Array;
  /** Hashed inside. */
  readonly message: Uint8Array;
}

/** How {@link Core.scanFrames} reads a chunk. */
export interface FrameScanOptions {
  /** Time records still due on this connection (docs/protocol/03 §2.4): 5 for a new one, default 0. */
  readonly timeRecords?: number;
  /**
   * After a header with a wrong checksum go on at its second byte instead of behind it; allowed and better, though
   * not what the reference does (03 §2.3). Default false.
   */
  readonly rescan?: boolean;
  /** Rows at most (default 1024). When {@link FrameTable.count} reaches it, scan again from `consumed`. */
  readonly rowsMax?: number;
}

/** How {@link Core.decodeVarInts} reads its input. */
export interface VarIntOptions {
  /** The signed decoder (01 §2.1); default false. */
  readonly signed?: boolean;
  /** Integers at most (default 1024). */
  readonly rowsMax?: number;
}

/**
 * The protocol's hot paths over batches, the same over WebAssembly and plain JavaScript.
 *
 * Who owns which bytes: inputs are read during the call and never kept; results are fresh arrays and belong to the
 * caller. Calls are synchronous and complete before they return, so one core may be shared by everything on its
 * thread. A wrong type throws TypeError, a wrong value RangeError; bad protocol input never throws, it is a verdict.
 */
export interface Core {
  readonly engine: CoreEngine;
  /** True when batches of SHA3-512 take two messages at a time. */
  readonly simd: boolean;

  /** SHA3-512, 64 bytes (02 §1). */
  sha3_512(data: Uint8Array): Uint8Array;
  /** SHA-512, 64 bytes (02 §1). */
  sha512(data: Uint8Array): Uint8Array;
  /** CRC-32C, unsigned, continuing the final value `start` (01 §6). */
  crc32c(data: Uint8Array, start?: number): number;

  /** One digest per message, one behind the other, `keepBytes` each. */
  sha3_512Batch(messages: readonly Uint8Array[], form?: HashForm): Uint8Array;
  /** The sector of an address: the first 10 bytes of its SHA3-512 (06 §1). */
  sectorPrefix(address: Uint8Array): Uint8Array;
  /** One sector prefix per address, one behind the other, 10 bytes each. */
  sectorPrefixBatch(addresses: readonly Uint8Array[]): Uint8Array;
  /** As {@link sha3_512Batch} with SHA-512. */
  sha512Batch(messages: readonly Uint8Array[], form?: HashForm): Uint8Array;
  /** One CRC-32C per message. */
  crc32cBatch(messages: readonly Uint8Array[]): Uint32Array;

  /** Consecutive IxiVarInts from the start of `data` (01 §2), up to the end, the limit or the first bad one. */
  decodeVarInts(data: Uint8Array, options?: VarIntOptions): VarIntTable;

  /** Cuts `chunk`, which starts between two records, into records (03 §2). */
  scanFrames(chunk: Uint8Array, options?: FrameScanOptions): FrameTable;

  /** Parses keep-alives of version 2 by the strict rules of 05 §5.1, one row each. */
  scanKeepAlives(messages: readonly Uint8Array[]): KeepAliveTable;
  /**
   * The 44-byte checksum under each passed keep-alive's signature, one behind the other, zeros for a refused one.
   * `table` must come from {@link scanKeepAlives} over the same messages; `lock` is the network's, at most 64 bytes.
   */
  keepAliveChecksums(messages: readonly Uint8Array[], table: KeepAliveTable, lock: Uint8Array): Uint8Array;

  /**
   * Parses presences of version 1 and their addresses of version 2 (05 §3.1, §4.1).
   * @param addressesMax address rows in all (default 256); a presence that would need more is refused as too long
   */
  scanPresences(presences: readonly Uint8Array[], addressesMax?: number): PresenceTable;

  /** One byte per item: 1 when the signature is valid, else 0. */
  rsaVerifyBatch(items: readonly RsaItem[]): Uint8Array;

  /**
   * Bytes of WebAssembly memory held: 256 KiB at first, and as much as the largest batch so far needed; a JavaScript
   * core holds none.
   */
  readonly memoryBytes: number;
  /**
   * Lets go of the memory, with all bytes of earlier inputs that may lie in it, and goes on with 256 KiB of zeros.
   * WebAssembly memory cannot shrink, so this is the way to give the room of an unusually large batch back; it takes
   * some tens of microseconds. Results handed out before are not touched.
   */
  freeMemory(): void;
}

/** Rows of a frame or integer scan when the caller names no limit: a 64 kB chunk of ordinary messages has fewer. */
export const SCAN_ROWS_DEFAULT = 1024;
/** Rows one scan may ask for: 24 MiB of table. */
export const SCAN_ROWS_MAX = 1 << 20;
/** Address rows of a presence scan when the caller names no limit. */
export const ADDRESS_ROWS_DEFAULT = 256;
/** The longest network lock the scratch in front of a preimage has room for (assembly/keepalive.ts). */
export const LOCK_BYTES_MAX = 64;
/** The protocol needs 4 (02 §1). */
const HASH_ROUNDS_MAX = 16;
const DIGEST_BYTES = 64;
/** Of a sector prefix. */
export const SECTOR_PREFIX_BYTES = 10;

/** `value` as a whole number within the limits. Throws RangeError. */
export function wholeNumber(value: number, min: number, max: number, name: string): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
  return value;
}

/** A form with its defaults filled in. Throws RangeError. */
export function hashForm(form: HashForm | undefined): { rounds: number; keepBytes: number } {
  return {
    rounds: wholeNumber(form?.rounds ?? 1, 1, HASH_ROUNDS_MAX, 'rounds'),
    keepBytes: wholeNumber(form?.keepBytes ?? DIGEST_BYTES, 1, DIGEST_BYTES, 'keepBytes'),
  };
}

/** Throws TypeError unless `value` is a Uint8Array: a silent conversion would hash the wrong bytes. */
export function mustBeBytes(value: Uint8Array, name: string): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`);
}

/** The checks of {@link Core.keepAliveChecksums}. */
export function checkChecksumInput(
  messages: readonly Uint8Array[],
  table: KeepAliveTable,
  lock: Uint8Array,
): void {
  mustBeBytes(lock, 'lock');
  wholeNumber(lock.length, 0, LOCK_BYTES_MAX, 'lock.length');
  if (table.count !== messages.length) throw new RangeError('table and messages differ in length');
  for (let i = 0; i < table.count; i++) {
    if (table.signedBytes(i) > messages[i]!.length) throw new RangeError('table is not of these messages');
  }
}

/** Exponents the kernels can raise to: the rest verifies as false. */
export function isUsableExponent(exponent: number): boolean {
  return Number.isInteger(exponent) && exponent >= 3 && exponent <= 0xffffffff && exponent % 2 === 1;
}

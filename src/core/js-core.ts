import {
  ADDRESS_ROWS_DEFAULT,
  type Core,
  checkChecksumInput,
  type FrameScanOptions,
  type HashForm,
  hashForm,
  mustBeBytes,
  type RsaItem,
  SCAN_ROWS_DEFAULT,
  SCAN_ROWS_MAX,
  SECTOR_PREFIX_BYTES,
  type VarIntOptions,
  wholeNumber,
} from './api.js';
import { crc32cJs } from './js/crc32c.js';
import { scanPresencesJs } from './js/presence.js';
import { rsaVerifyJs } from './js/rsa.js';
import { decodeVarIntsJs, scanFramesJs, scanKeepAlivesJs } from './js/scan.js';
import { sha3_512Js } from './js/sha3.js';
import { sha512Js } from './js/sha512.js';
import { ScanStatus } from './status.js';
import type { FrameTable, KeepAliveTable, PresenceTable, VarIntTable } from './tables.js';

/** Of the double SHA3-512 under a keep-alive's signature (docs/protocol/05 §1). */
const CHECKSUM_BYTES = 44;

type Hash = (data: Uint8Array) => Uint8Array;

function hashBatch(hash: Hash, messages: readonly Uint8Array[], form: HashForm | undefined): Uint8Array {
  const { rounds, keepBytes } = hashForm(form);
  const out = new Uint8Array(messages.length * keepBytes);
  messages.forEach((message, i) => {
    mustBeBytes(message, 'input');
    let digest = hash(message);
    for (let round = 1; round < rounds; round++) digest = hash(digest);
    out.set(digest.subarray(0, keepBytes), i * keepBytes);
  });
  return out;
}

function allMustBeBytes(messages: readonly Uint8Array[]): void {
  for (const message of messages) mustBeBytes(message, 'input');
}

/** {@link Core} in plain JavaScript: where WebAssembly is missing, refused, or not ready yet. */
export class JsCore implements Core {
  readonly engine = 'js';
  readonly simd = false;
  readonly memoryBytes = 0;

  freeMemory(): void {
    // Holds nothing between calls.
  }

  sha3_512(data: Uint8Array): Uint8Array {
    mustBeBytes(data, 'data');
    return sha3_512Js(data);
  }

  sha512(data: Uint8Array): Uint8Array {
    mustBeBytes(data, 'data');
    return sha512Js(data);
  }

  crc32c(data: Uint8Array, start = 0): number {
    mustBeBytes(data, 'data');
    return crc32cJs(data, start);
  }

  sha3_512Batch(messages: readonly Uint8Array[], form?: HashForm): Uint8Array {
    return hashBatch(sha3_512Js, messages, form);
  }

  sectorPrefix(address: Uint8Array): Uint8Array {
    return this.sha3_512(address).slice(0, SECTOR_PREFIX_BYTES);
  }

  sectorPrefixBatch(addresses: readonly Uint8Array[]): Uint8Array {
    return this.sha3_512Batch(addresses, { keepBytes: SECTOR_PREFIX_BYTES });
  }

  sha512Batch(messages: readonly Uint8Array[], form?: HashForm): Uint8Array {
    return hashBatch(sha512Js, messages, form);
  }

  crc32cBatch(messages: readonly Uint8Array[]): Uint32Array {
    return Uint32Array.from(messages, (message) => this.crc32c(message));
  }

  decodeVarInts(data: Uint8Array, options: VarIntOptions = {}): VarIntTable {
    mustBeBytes(data, 'input');
    const rowsMax = wholeNumber(options.rowsMax ?? SCAN_ROWS_DEFAULT, 1, SCAN_ROWS_MAX, 'rowsMax');
    return decodeVarIntsJs(data, options.signed ?? false, rowsMax);
  }

  scanFrames(chunk: Uint8Array, options: FrameScanOptions = {}): FrameTable {
    mustBeBytes(chunk, 'input');
    const rowsMax = wholeNumber(options.rowsMax ?? SCAN_ROWS_DEFAULT, 1, SCAN_ROWS_MAX, 'rowsMax');
    const timeRecords = wholeNumber(options.timeRecords ?? 0, 0, 255, 'timeRecords');
    return scanFramesJs(chunk, timeRecords, options.rescan === true, rowsMax);
  }

  scanKeepAlives(messages: readonly Uint8Array[]): KeepAliveTable {
    allMustBeBytes(messages);
    return scanKeepAlivesJs(messages);
  }

  keepAliveChecksums(messages: readonly Uint8Array[], table: KeepAliveTable, lock: Uint8Array): Uint8Array {
    checkChecksumInput(messages, table, lock);
    const out = new Uint8Array(messages.length * CHECKSUM_BYTES);
    messages.forEach((message, i) => {
      if (table.status(i) !== ScanStatus.ok) return;
      const preimage = new Uint8Array(lock.length + table.signedBytes(i));
      preimage.set(lock);
      preimage.set(message.subarray(0, table.signedBytes(i)), lock.length);
      out.set(sha3_512Js(sha3_512Js(preimage)).subarray(0, CHECKSUM_BYTES), i * CHECKSUM_BYTES);
    });
    return out;
  }

  scanPresences(presences: readonly Uint8Array[], addressesMax = ADDRESS_ROWS_DEFAULT): PresenceTable {
    allMustBeBytes(presences);
    return scanPresencesJs(presences, wholeNumber(addressesMax, 0, SCAN_ROWS_MAX, 'addressesMax'));
  }

  rsaVerifyBatch(items: readonly RsaItem[]): Uint8Array {
    for (const item of items) allMustBeBytes([item.modulus, item.signature, item.message]);
    return Uint8Array.from(items, (item) => (rsaVerifyJs(item) ? 1 : 0));
  }
}

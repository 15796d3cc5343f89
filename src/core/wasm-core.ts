import {
  ADDRESS_ROWS_DEFAULT,
  type Core,
  checkChecksumInput,
  type FrameScanOptions,
  type HashForm,
  hashForm,
  isUsableExponent,
  mustBeBytes,
  type RsaItem,
  SCAN_ROWS_DEFAULT,
  SCAN_ROWS_MAX,
  SECTOR_PREFIX_BYTES,
  type VarIntOptions,
  wholeNumber,
} from './api.js';
import { Arena } from './arena.js';
import { FrameTable, KeepAliveTable, PresenceAddressTable, PresenceTable, VarIntTable } from './tables.js';

/** Exports of assembly/scalar.ts. Addresses and sizes are unsigned 32-bit. */
export interface ScalarExports {
  arenaBase(): number;
  selfTest(scratch: number): number;
  crc32c(at: number, bytes: number, start: number): number;
  crcBatch(items: number, count: number, out: number): void;
  sha3Begin(): void;
  sha3Update(at: number, bytes: number): void;
  sha3Finish(at: number, bytes: number, out: number): void;
  sha3Batch(items: number, count: number, rounds: number, keep: number, out: number): void;
  sha512Begin(): void;
  sha512Update(at: number, bytes: number): void;
  sha512Finish(at: number, bytes: number, out: number): void;
  sha512Batch(items: number, count: number, rounds: number, keep: number, out: number): void;
  decodeVarInts(at: number, bytes: number, signed: number, table: number, maxRows: number): number;
  scanFrames(
    at: number,
    bytes: number,
    timeRecords: number,
    rescan: number,
    table: number,
    maxRows: number,
    summary: number,
  ): number;
  scanKeepAlives(items: number, count: number, table: number): number;
  keepAliveChecksums(
    items: number,
    table: number,
    count: number,
    lock: number,
    lockBytes: number,
    out: number,
  ): void;
  scanPresences(items: number, count: number, table: number, addresses: number, maxRows: number): number;
  rsaPower(modulus: number, bytes: number, signature: number, exponent: number, out: number): number;
  rsaVerifyBatch(items: number, count: number, verdicts: number): void;
}

/** Exports of assembly/simd.ts that this core uses. */
interface SimdExports {
  arenaBase(): number;
  selfTest(scratch: number): number;
  crc32cBlocks(at: number, blocks: number, start: number): number;
  sha3Batch(items: number, count: number, rounds: number, keep: number, out: number): void;
}

/** Thrown when the compiled module does not behave: the loader then stays with JavaScript. */
export class CoreUnusable extends Error {
  override readonly name = 'CoreUnusable';
}

/** Long single inputs pass through in pieces of this size: a multiple of both block sizes, 72 and 128. */
const STAGE_BYTES = 72 * 128 * 7;
const DIGEST_BYTES = 64;
const ITEM_BYTES = 8;
const RSA_ITEM_BYTES = 32;
const CHECKSUM_BYTES = 44;
/** As assembly/crc-lanes.ts has it. */
const CRC_BLOCK_BYTES = 512;

/** {@link Core} over the scalar module, and the SIMD one where there is one: both work in the same arena. */
export class WasmCore implements Core {
  readonly engine = 'wasm-scalar';
  readonly #module: WebAssembly.Module;
  /** Null where there is none, or it failed its self-test. */
  #simdModule: WebAssembly.Module | null;
  #arena!: Arena;
  #x!: ScalarExports;
  #simd!: SimdExports | null;
  /** Fixed place for single inputs and digests, so that a lone call allocates nothing in the arena. */
  #stage!: number;
  #digest!: number;

  /**
   * Instantiates the modules. A SIMD module that fails its self-test is left aside; throws {@link CoreUnusable} when the
   * scalar one does.
   */
  constructor(module: WebAssembly.Module, simdModule: WebAssembly.Module | null = null) {
    this.#module = module;
    this.#simdModule = simdModule;
    this.#instantiate();
    if (this.#x.selfTest(this.#stage) !== 1) throw new CoreUnusable('scalar module: self-test failed');
    if (this.#simd !== null && this.#simd.selfTest(this.#stage) !== 1) {
      this.#simd = null;
      this.#simdModule = null;
    }
  }

  /** Fresh instances over a fresh arena; nothing changes when the machine has no memory for them. */
  #instantiate(): void {
    const arena = new Arena();
    const imports = { env: { memory: arena.memory } };
    // The one place where types cannot follow: WebAssembly.Exports knows no signatures.
    const x = new WebAssembly.Instance(this.#module, imports).exports as unknown as ScalarExports;
    let base = x.arenaBase();
    let simd: SimdExports | null = null;
    if (this.#simdModule !== null) {
      simd = new WebAssembly.Instance(this.#simdModule, imports).exports as unknown as SimdExports;
      base = Math.max(base, simd.arenaBase());
    }
    arena.reserveBelow(base);
    this.#stage = arena.alloc(STAGE_BYTES);
    this.#digest = arena.alloc(DIGEST_BYTES);
    arena.reserveBelow(arena.mark());
    this.#arena = arena;
    this.#x = x;
    this.#simd = simd;
  }

  get memoryBytes(): number {
    return this.#arena.memory.buffer.byteLength;
  }

  freeMemory(): void {
    this.#instantiate();
  }

  get simd(): boolean {
    return this.#simd !== null;
  }

  crc32c(data: Uint8Array, start = 0): number {
    mustBeBytes(data, 'data');
    const { bytes } = this.#arena;
    let crc = start;
    for (let at = 0; at < data.length; at += STAGE_BYTES) {
      const piece = data.length <= STAGE_BYTES ? data : data.subarray(at, at + STAGE_BYTES);
      bytes.set(piece, this.#stage);
      crc = this.#crcOfStage(piece.length, crc);
    }
    return crc >>> 0;
  }

  /** CRC of what lies in the stage: whole blocks in SIMD where there is any, the rest in steps of eight bytes. */
  #crcOfStage(bytes: number, start: number): number {
    const blocks = this.#simd === null ? 0 : Math.floor(bytes / CRC_BLOCK_BYTES);
    const done = blocks * CRC_BLOCK_BYTES;
    const crc = blocks === 0 ? start : this.#simd!.crc32cBlocks(this.#stage, blocks, start);
    return done === bytes ? crc : this.#x.crc32c(this.#stage + done, bytes - done, crc);
  }

  sha3_512(data: Uint8Array): Uint8Array {
    mustBeBytes(data, 'data');
    const { bytes } = this.#arena;
    let at = 0;
    this.#x.sha3Begin();
    for (; data.length - at > STAGE_BYTES; at += STAGE_BYTES) {
      bytes.set(data.subarray(at, at + STAGE_BYTES), this.#stage);
      this.#x.sha3Update(this.#stage, STAGE_BYTES);
    }
    bytes.set(at === 0 ? data : data.subarray(at), this.#stage);
    this.#x.sha3Finish(this.#stage, data.length - at, this.#digest);
    return bytes.slice(this.#digest, this.#digest + DIGEST_BYTES);
  }

  sha512(data: Uint8Array): Uint8Array {
    mustBeBytes(data, 'data');
    const { bytes } = this.#arena;
    let at = 0;
    this.#x.sha512Begin();
    for (; data.length - at > STAGE_BYTES; at += STAGE_BYTES) {
      bytes.set(data.subarray(at, at + STAGE_BYTES), this.#stage);
      this.#x.sha512Update(this.#stage, STAGE_BYTES);
    }
    bytes.set(at === 0 ? data : data.subarray(at), this.#stage);
    this.#x.sha512Finish(this.#stage, data.length - at, this.#digest);
    return bytes.slice(this.#digest, this.#digest + DIGEST_BYTES);
  }

  sha3_512Batch(messages: readonly Uint8Array[], form?: HashForm): Uint8Array {
    const { rounds, keepBytes } = hashForm(form);
    return this.#framed(() => {
      const items = this.#putItems(messages);
      const out = this.#arena.alloc(messages.length * keepBytes);
      (this.#simd ?? this.#x).sha3Batch(items, messages.length, rounds, keepBytes, out);
      return this.#arena.bytes.slice(out, out + messages.length * keepBytes);
    });
  }

  sectorPrefix(address: Uint8Array): Uint8Array {
    return this.sha3_512(address).slice(0, SECTOR_PREFIX_BYTES);
  }

  sectorPrefixBatch(addresses: readonly Uint8Array[]): Uint8Array {
    return this.sha3_512Batch(addresses, { keepBytes: SECTOR_PREFIX_BYTES });
  }

  sha512Batch(messages: readonly Uint8Array[], form?: HashForm): Uint8Array {
    const { rounds, keepBytes } = hashForm(form);
    return this.#framed(() => {
      const items = this.#putItems(messages);
      const out = this.#arena.alloc(messages.length * keepBytes);
      this.#x.sha512Batch(items, messages.length, rounds, keepBytes, out);
      return this.#arena.bytes.slice(out, out + messages.length * keepBytes);
    });
  }

  crc32cBatch(messages: readonly Uint8Array[]): Uint32Array {
    return this.#framed(() => {
      const items = this.#putItems(messages);
      const out = this.#arena.alloc(messages.length * 4);
      this.#x.crcBatch(items, messages.length, out);
      return this.#words(out, messages.length);
    });
  }

  decodeVarInts(data: Uint8Array, options: VarIntOptions = {}): VarIntTable {
    const rowsMax = wholeNumber(options.rowsMax ?? SCAN_ROWS_DEFAULT, 1, SCAN_ROWS_MAX, 'rowsMax');
    const signed = options.signed ?? false;
    return this.#framed(() => {
      const at = this.#put(data);
      // An integer takes a byte at least, so that many rows always do.
      const table = this.#arena.alloc(Math.min(rowsMax, data.length) * VarIntTable.rowWords * 4);
      const rows = this.#x.decodeVarInts(at, data.length, signed ? 1 : 0, table, rowsMax);
      return new VarIntTable(this.#words(table, rows * VarIntTable.rowWords), rows, signed);
    });
  }

  scanFrames(chunk: Uint8Array, options: FrameScanOptions = {}): FrameTable {
    const rowsMax = wholeNumber(options.rowsMax ?? SCAN_ROWS_DEFAULT, 1, SCAN_ROWS_MAX, 'rowsMax');
    const timeRecords = wholeNumber(options.timeRecords ?? 0, 0, 255, 'timeRecords');
    return this.#framed(() => {
      const at = this.#put(chunk);
      const summary = this.#arena.alloc(16);
      // A record takes a byte at least.
      const table = this.#arena.alloc(Math.min(rowsMax, chunk.length) * FrameTable.rowWords * 4);
      const rescan = options.rescan === true ? 1 : 0;
      const rows = this.#x.scanFrames(at, chunk.length, timeRecords, rescan, table, rowsMax, summary);
      const words = this.#words(table, rows * FrameTable.rowWords);
      const [consumed, due, missing] = this.#words(summary, 3);
      return new FrameTable(words, rows, consumed!, due!, missing!);
    });
  }

  scanKeepAlives(messages: readonly Uint8Array[]): KeepAliveTable {
    const words = messages.length * KeepAliveTable.rowWords;
    return this.#framed(() => {
      const items = this.#putItems(messages);
      const table = this.#arena.alloc(words * 4);
      this.#x.scanKeepAlives(items, messages.length, table);
      return new KeepAliveTable(this.#words(table, words), messages.length);
    });
  }

  keepAliveChecksums(messages: readonly Uint8Array[], table: KeepAliveTable, lock: Uint8Array): Uint8Array {
    checkChecksumInput(messages, table, lock);
    return this.#framed(() => {
      const items = this.#putItems(messages);
      const lockAt = this.#put(lock);
      const rows = this.#arena.alloc(table.words.length * 4);
      const out = this.#arena.alloc(messages.length * CHECKSUM_BYTES);
      this.#arena.words.set(table.words, rows >>> 2);
      this.#x.keepAliveChecksums(items, rows, messages.length, lockAt, lock.length, out);
      return this.#arena.bytes.slice(out, out + messages.length * CHECKSUM_BYTES);
    });
  }

  scanPresences(presences: readonly Uint8Array[], addressesMax = ADDRESS_ROWS_DEFAULT): PresenceTable {
    wholeNumber(addressesMax, 0, SCAN_ROWS_MAX, 'addressesMax');
    const count = presences.length;
    const words = count * PresenceTable.rowWords;
    return this.#framed(() => {
      const items = this.#putItems(presences);
      const table = this.#arena.alloc(words * 4);
      const addresses = this.#arena.alloc(addressesMax * PresenceAddressTable.rowWords * 4);
      const used = this.#x.scanPresences(items, count, table, addresses, addressesMax);
      const addressWords = this.#words(addresses, used * PresenceAddressTable.rowWords);
      return new PresenceTable(
        this.#words(table, words),
        count,
        new PresenceAddressTable(addressWords, used),
      );
    });
  }

  rsaVerifyBatch(items: readonly RsaItem[]): Uint8Array {
    const count = items.length;
    return this.#framed(() => {
      const table = this.#arena.alloc(count * RSA_ITEM_BYTES);
      const verdicts = this.#arena.alloc(count);
      for (let i = 0; i < count; i++) {
        const item = items[i]!;
        const modulus = this.#put(item.modulus);
        const signature = this.#put(item.signature);
        const message = this.#put(item.message);
        const { words } = this.#arena;
        const at = (table + i * RSA_ITEM_BYTES) >>> 2;
        words[at] = modulus;
        words[at + 1] = item.modulus.length;
        words[at + 2] = signature;
        words[at + 3] = item.signature.length;
        words[at + 4] = message;
        words[at + 5] = item.message.length;
        // 0 is an exponent the kernel refuses; storing another number would wrap it into a good one.
        words[at + 6] = isUsableExponent(item.exponent) ? item.exponent : 0;
        words[at + 7] = 0;
      }
      this.#x.rsaVerifyBatch(table, count, verdicts);
      return this.#arena.bytes.slice(verdicts, verdicts + count);
    });
  }

  /** Runs `work` and gives back what it allocated, also when it throws. */
  #framed<T>(work: () => T): T {
    const mark = this.#arena.mark();
    try {
      return work();
    } finally {
      this.#arena.release(mark);
    }
  }

  #words(address: number, count: number): Uint32Array {
    return this.#arena.words.slice(address >>> 2, (address >>> 2) + count);
  }

  #put(data: Uint8Array): number {
    mustBeBytes(data, 'input');
    const at = this.#arena.alloc(data.length);
    this.#arena.bytes.set(data, at);
    return at;
  }

  /** Copies the messages in and returns the table of (address, bytes). */
  #putItems(messages: readonly Uint8Array[]): number {
    const count = messages.length;
    let size = 0;
    for (let i = 0; i < count; i++) {
      const message = messages[i]!;
      mustBeBytes(message, 'input');
      size += (message.length + 7) & ~7;
    }
    // One allocation for all: asking the arena for each, and for its views after each, costs as much as the copies.
    const items = this.#arena.alloc(count * ITEM_BYTES + size);
    const { bytes, words } = this.#arena;
    let at = items + count * ITEM_BYTES;
    let row = items >>> 2;
    for (let i = 0; i < count; i++) {
      const message = messages[i]!;
      bytes.set(message, at);
      words[row++] = at;
      words[row++] = message.length;
      at += (message.length + 7) & ~7;
    }
    return items;
  }
}

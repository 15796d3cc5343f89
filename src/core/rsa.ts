import { isUsableExponent, mustBeBytes, type RsaItem } from './api.js';
import { Arena } from './arena.js';
import { compileModule, compileModuleSync, type ModuleSource } from './compile.js';
import { relaxedWasm } from './generated/relaxed.js';
import { scalarWasm } from './generated/scalar.js';
import { simdWasm } from './generated/simd.js';

/**
 * RSA kernels, fastest first. `wasm-relaxed` and `wasm-simd` take two signatures at a time, so they want batches;
 * `wasm-scalar` runs wherever WebAssembly does.
 */
export type RsaEngineName = 'wasm-relaxed' | 'wasm-simd' | 'wasm-scalar';
/** Every name, fastest first: the order in which `auto` asks. */
export const rsaEngineNames: readonly RsaEngineName[] = ['wasm-relaxed', 'wasm-simd', 'wasm-scalar'];

/** One signature to verify with a serialized public key (docs/protocol/02 §2): PKCS#1 v1.5, SHA-512 over `message`. */
export interface RsaKeyItem {
  /** Bare or with header; whatever does not parse is refused. */
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}

/** What a kernel says of an {@link RsaKeyItem}; the numbers are those of assembly/keyblob.ts. */
export const RsaVerdict = {
  /** Malformed key, or a signature of the wrong length or size: no RSA operation was spent. */
  refused: 0,
  valid: 1,
  /** An RSA operation was spent, and this is not its signature. */
  wrong: 2,
  /** Well-formed and outside what the kernels take: below 2048 bits, or an exponent beyond 32 bits. Ask another engine. */
  elsewhere: 3,
} as const;
/** One of the values of {@link RsaVerdict}. */
export type RsaVerdict = (typeof RsaVerdict)[keyof typeof RsaVerdict];

/**
 * One RSA kernel over an arena of its own: a batch is copied in, and parsed, hashed and verified without leaving
 * WebAssembly. Calls are synchronous; inputs are read during the call and never kept, results belong to the caller.
 */
export interface RsaCore {
  readonly engine: RsaEngineName;
  /** One byte per item: 1 when the signature is valid, else 0. */
  verifyBatch(items: readonly RsaItem[]): Uint8Array;
  /** One {@link RsaVerdict} per item. */
  verifyKeys(items: readonly RsaKeyItem[]): Uint8Array;
  /**
   * The same for items that lie packed in one buffer, shared or not: key, signature and message of each behind each
   * other, every one beginning at a multiple of 8. Copied in at once, without an object per item.
   * @param lengths bytes of key, signature and message, item by item
   * @param verdicts where one {@link RsaVerdict} per item is written
   * Throws RangeError, and writes nothing, when the lengths reach beyond `packed` or an array is too short.
   */
  verifyPackedKeys(packed: Uint8Array, lengths: Uint32Array, count: number, verdicts: Uint8Array): void;

  /** Bytes of WebAssembly memory held: 256 KiB at first, and as much as the largest batch so far needed. */
  readonly memoryBytes: number;
  /** Lets go of the memory, with the bytes of earlier inputs in it, and goes on with 256 KiB of zeros. */
  freeMemory(): void;
}

/** What scalar.ts, simd.ts and relaxed.ts have in common. Addresses and sizes are unsigned 32-bit. */
interface RsaExports {
  arenaBase(): number;
  selfTest(scratch: number): number;
  rsaVerifyBatch(items: number, count: number, verdicts: number): void;
  rsaVerifyKeys(items: number, count: number, verdicts: number): void;
}

const ROW_BYTES = 32;
const SELF_TEST_BYTES = 64;

/**
 * Bytes that an input takes in the arena: the next begins at a multiple of 8. For any 32-bit length, also one that bits
 * alone would make negative.
 */
const padded = (bytes: number): number => bytes + (-bytes & 7);

class RsaModule implements RsaCore {
  readonly engine: RsaEngineName;
  readonly #module: WebAssembly.Module;
  #arena!: Arena;
  #x!: RsaExports;

  constructor(engine: RsaEngineName, module: WebAssembly.Module) {
    this.engine = engine;
    this.#module = module;
    this.#instantiate();
  }

  /** A fresh instance over a fresh arena; nothing changes when the machine has no memory for them. */
  #instantiate(): void {
    const arena = new Arena();
    const instance = new WebAssembly.Instance(this.#module, { env: { memory: arena.memory } });
    // The one place where types cannot follow: WebAssembly.Exports knows no signatures.
    const x = instance.exports as unknown as RsaExports;
    arena.reserveBelow(x.arenaBase());
    this.#arena = arena;
    this.#x = x;
  }

  get memoryBytes(): number {
    return this.#arena.memory.buffer.byteLength;
  }

  freeMemory(): void {
    this.#instantiate();
  }

  /** True when the instructions do what the kernel's proof needs; a runtime may know them and not keep to it. */
  passesSelfTest(): boolean {
    const scratch = this.#arena.alloc(SELF_TEST_BYTES);
    const passed = this.#x.selfTest(scratch) === 1;
    this.#arena.reset();
    return passed;
  }

  verifyBatch(items: readonly RsaItem[]): Uint8Array {
    let bytes = 0;
    for (const { modulus, signature, message } of items) {
      mustBeBytes(modulus, 'modulus');
      mustBeBytes(signature, 'signature');
      mustBeBytes(message, 'message');
      bytes += padded(modulus.length) + padded(signature.length) + padded(message.length);
    }
    return this.#run(items.length, bytes, (rows, inputs) => {
      let row = rows;
      let at = inputs;
      for (const item of items) {
        at = this.#put(row, at, item.modulus, item.signature, item.message);
        // 0 is an exponent the kernel refuses; storing another number would wrap it into a good one.
        this.#arena.words[(row >>> 2) + 6] = isUsableExponent(item.exponent) ? item.exponent : 0;
        row += ROW_BYTES;
      }
      this.#x.rsaVerifyBatch(rows, items.length, inputs + bytes);
    });
  }

  verifyKeys(items: readonly RsaKeyItem[]): Uint8Array {
    let bytes = 0;
    for (const { key, signature, message } of items) {
      mustBeBytes(key, 'key');
      mustBeBytes(signature, 'signature');
      mustBeBytes(message, 'message');
      bytes += padded(key.length) + padded(signature.length) + padded(message.length);
    }
    return this.#run(items.length, bytes, (rows, inputs) => {
      let row = rows;
      let at = inputs;
      for (const item of items) {
        at = this.#put(row, at, item.key, item.signature, item.message);
        row += ROW_BYTES;
      }
      this.#x.rsaVerifyKeys(rows, items.length, inputs + bytes);
    });
  }

  verifyPackedKeys(packed: Uint8Array, lengths: Uint32Array, count: number, verdicts: Uint8Array): void {
    mustBeBytes(packed, 'packed');
    mustBeBytes(verdicts, 'verdicts');
    if (!(lengths instanceof Uint32Array)) throw new TypeError('lengths must be a Uint32Array');
    if (!Number.isInteger(count) || count < 0 || 3 * count > lengths.length || count > verdicts.length)
      throw new RangeError(`count: ${count} items have no room in lengths and verdicts`);
    let bytes = 0;
    for (let i = 0; i < 3 * count; i++) bytes += padded(lengths[i]!);
    if (bytes > packed.length)
      throw new RangeError(`packed: ${packed.length} bytes where the lengths say ${bytes}`);
    const rows = this.#arena.alloc(count * ROW_BYTES + bytes + count);
    try {
      const inputs = rows + count * ROW_BYTES;
      const { bytes: memory, words } = this.#arena;
      memory.set(bytes === packed.length ? packed : packed.subarray(0, bytes), inputs);
      let at = inputs;
      for (let i = 0; i < count; i++) {
        let w = (rows + i * ROW_BYTES) >>> 2;
        for (let part = 3 * i; part < 3 * i + 3; part++) {
          const length = lengths[part]!;
          words[w++] = at;
          words[w++] = length;
          at += padded(length);
        }
        words[w] = 0;
        words[w + 1] = 0;
      }
      // Lengths in shared memory may have moved since they were added up.
      if (at !== inputs + bytes) throw new RangeError('lengths: changed during the call');
      this.#x.rsaVerifyKeys(rows, count, at);
      for (let i = 0; i < count; i++) verdicts[i] = memory[at + i]!;
    } finally {
      this.#arena.reset();
    }
  }

  /** Room for rows, inputs and, behind them, verdicts; `fill` puts them in and calls the kernel. */
  #run(count: number, inputBytes: number, fill: (rows: number, inputs: number) => void): Uint8Array {
    const rows = this.#arena.alloc(count * ROW_BYTES + inputBytes + count);
    try {
      const inputs = rows + count * ROW_BYTES;
      fill(rows, inputs);
      const verdicts = inputs + inputBytes;
      return this.#arena.bytes.slice(verdicts, verdicts + count);
    } finally {
      this.#arena.reset();
    }
  }

  /** One row and its three inputs from `at` on; where the next input goes. */
  #put(row: number, at: number, first: Uint8Array, signature: Uint8Array, message: Uint8Array): number {
    const { bytes, words } = this.#arena;
    const signatureAt = at + padded(first.length);
    const messageAt = signatureAt + padded(signature.length);
    bytes.set(first, at);
    bytes.set(signature, signatureAt);
    bytes.set(message, messageAt);
    const w = row >>> 2;
    words[w] = at;
    words[w + 1] = first.length;
    words[w + 2] = signatureAt;
    words[w + 3] = signature.length;
    words[w + 4] = messageAt;
    words[w + 5] = message.length;
    words[w + 6] = 0;
    words[w + 7] = 0;
    return messageAt + padded(message.length);
  }
}

function moduleSource(engine: RsaEngineName): ModuleSource {
  if (engine === 'wasm-relaxed') return relaxedWasm;
  return engine === 'wasm-simd' ? simdWasm : scalarWasm;
}

/** Kernels of this thread that were asked for; null = not usable here. */
const loaded = new Map<RsaEngineName, RsaCore | null>();

function usable(engine: RsaEngineName, module: WebAssembly.Module | null): RsaCore | null {
  if (module === null) return null;
  const made = new RsaModule(engine, module);
  return made.passesSelfTest() ? made : null;
}

/** Remembers the first answer, so that everybody on this thread gets the same kernel. */
function keep(engine: RsaEngineName, made: RsaCore | null): RsaCore | null {
  const before = loaded.get(engine);
  if (before !== undefined) return before;
  loaded.set(engine, made);
  return made;
}

async function load(engine: RsaEngineName): Promise<RsaCore | null> {
  const before = loaded.get(engine);
  if (before !== undefined) return before;
  try {
    return keep(engine, usable(engine, await compileModule(moduleSource(engine))));
  } catch {
    // No WebAssembly, or forbidden by policy: the same as not knowing the feature.
    return keep(engine, null);
  }
}

function loadNow(engine: RsaEngineName): RsaCore | null {
  const before = loaded.get(engine);
  if (before !== undefined) return before;
  try {
    return keep(engine, usable(engine, compileModuleSync(moduleSource(engine))));
  } catch {
    // Not remembered: a browser's main thread refuses large modules at once, and takes them in `loadRsaCore`.
    return null;
  }
}

/**
 * The RSA kernel of that name, or with `auto` (default) the fastest one that works here. Null when the runtime lacks the
 * feature or does not compute as the kernel needs it; never rejects. Every call on a thread returns the same kernel.
 */
export async function loadRsaCore(engine: RsaEngineName | 'auto' = 'auto'): Promise<RsaCore | null> {
  if (engine !== 'auto') return await load(engine);
  for (const name of rsaEngineNames) {
    const made = await load(name);
    if (made !== null) return made;
  }
  return null;
}

/** As {@link loadRsaCore}, at once; null also where compiling at once is refused. */
export function loadRsaCoreSync(engine: RsaEngineName | 'auto' = 'auto'): RsaCore | null {
  if (engine !== 'auto') return loadNow(engine);
  for (const name of rsaEngineNames) {
    const made = loadNow(name);
    if (made !== null) return made;
  }
  return null;
}

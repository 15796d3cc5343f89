import { mustBeBytes } from './api.js';
import { loadCoreSync } from './load.js';

// Which implementation hashes one message. WebAssembly costs less per call and OpenSSL less per block, so there is a
// length from which the runtime's own is faster, where it has one. Measured beside each other (npm run bench:core -- --only
// auto, kept in bench/results; AMD EPYC Zen 5 VM, 2026-11-28, thousand calls per second of processor time, medians of 11
// rounds, Node 20.20.2 / 22.23.3 / 24.21.0; ratios hold within a column and a Node, the machine's pace moved between them):
//
//   bytes                45               600             2048              8192               65536
//   WASM         2412 / 2648 / 2412   321 / 237 / 316   102 / 76 / 101   26.0 / 19.6 / 26.8   3.26 / 2.53 / 3.33
//   createHash    480 /  500 /  686   277 / 190 / 262   107 / 78 / 109   29.5 / 23.4 / 32.3   3.89 / 3.10 / 4.12
//   crypto.hash   684 /  666 /  870   300 / 212 / 296   112 / 86 / 114   30.7 / 24.1 / 32.8   3.92 / 3.17 / 4.15
//
// On an Intel Xeon VM with Node 20 the two met between 600 and 2048 bytes. So below a block count where WASM won
// everywhere nothing is asked, and above it this machine decides.

type Sha3 = (data: Uint8Array) => Uint8Array;

/** Eight blocks: below, WebAssembly was the faster one on every machine and Node. */
const ASKED_BYTES_MIN = 8 * 72;
/** Where the two met on the machines above; it holds until measured, and where the clock stands still during work. */
const NATIVE_BYTES_MIN_DEFAULT = 2048;
/** Long messages before the crossover is measured: a process that hashes few never pays for it, and the code is hot. */
const CALLS_BEFORE_MEASURING = 256;
/** What is hashed to measure; 10 to 20 ms in all, several times that on a crowded machine or with cold code. */
const MEASURED_BYTES = [600, 1024, 2048, 4096] as const;
const MEASURED_ROUNDS = 6;
const ROUND_BYTES = 32768;
/** A sixth over the lengths in question. */
const CLEAR_GAIN = 0.15;

/** From which length single messages go to the runtime's own SHA3-512. */
export interface Sha3Crossover {
  /** In bytes; Infinity where it never does. */
  readonly nativeBytesMin: number;
  /** The runtime's function, null where it has none. */
  readonly native: 'crypto.hash' | 'createHash' | null;
  /** False while the built-in guess holds: not measured yet, or the clock stands still during work. */
  readonly measured: boolean;
}

interface NodeHashes {
  createHash(name: 'sha3-512'): { update(data: Uint8Array): { digest(): Uint8Array } };
  hash?(name: 'sha3-512', data: Uint8Array, encoding: 'buffer'): Uint8Array;
}
interface Host {
  readonly process?: { getBuiltinModule?(id: string): NodeHashes | undefined };
  readonly performance?: { now(): number };
}

interface Native {
  readonly name: 'crypto.hash' | 'createHash';
  readonly hash: Sha3;
}

let native: Native | null | undefined;
let nativeBytesMin = NATIVE_BYTES_MIN_DEFAULT;
let callsBeforeMeasuring = CALLS_BEFORE_MEASURING;

/** OpenSSL's SHA3-512 where the runtime has node:crypto with it; looked for once, on the first long message. */
function findNative(): Native | null {
  // Asked for at run time and not imported: a bundle for browsers must not contain a Node import.
  const node = (globalThis as Host).process?.getBuiltinModule?.('node:crypto');
  if (node === undefined) return null;
  const { hash } = node;
  // Results are plain Uint8Arrays with bytes of their own: Node's is a Buffer, whose `slice` is a view.
  const found: Native =
    hash !== undefined
      ? { name: 'crypto.hash', hash: (data) => new Uint8Array(hash('sha3-512', data, 'buffer')) }
      : {
          name: 'createHash',
          hash: (data) => new Uint8Array(node.createHash('sha3-512').update(data).digest()),
        };
  try {
    return found.hash(new Uint8Array(0)).length === 64 ? found : null;
  } catch {
    // Linked with a library that does not know it.
    return null;
  }
}

/** Milliseconds that `hash` takes for `calls` messages. */
function timeOf(hash: Sha3, message: Uint8Array, calls: number, now: () => number): number {
  const start = now();
  for (let i = 0; i < calls; i++) hash(message);
  return now() - start;
}

/**
 * The measured length from which OpenSSL wins most in all, over that and every longer one; null when the clock does not
 * tell. The guess stays unless another length wins clearly more: single lengths are measured within a few per cent only.
 */
function findCrossover(own: Sha3): number | null {
  const clock = (globalThis as Host).performance;
  if (clock === undefined) return null;
  const now = (): number => clock.now();
  const wasm: Sha3 = (data) => loadCoreSync().sha3_512(data);
  // What OpenSSL gains over the lengths so far, longest first, as a logarithm; nothing where it is never asked.
  let gain = 0;
  let best = { bytes: Number.POSITIVE_INFINITY, gain: 0 };
  let guess = best;
  for (const bytes of [...MEASURED_BYTES].reverse()) {
    const message = new Uint8Array(bytes);
    const calls = Math.ceil(ROUND_BYTES / bytes);
    let wasmMs = Number.POSITIVE_INFINITY;
    let ownMs = Number.POSITIVE_INFINITY;
    // The quickest of several rounds: what else the machine does only ever adds.
    for (let round = 0; round < MEASURED_ROUNDS; round++) {
      wasmMs = Math.min(wasmMs, timeOf(wasm, message, calls, now));
      ownMs = Math.min(ownMs, timeOf(own, message, calls, now));
    }
    if (!(wasmMs > 0 && ownMs > 0)) return null;
    gain += Math.log(wasmMs / ownMs);
    const here = { bytes, gain };
    if (gain > best.gain) best = here;
    if (bytes === NATIVE_BYTES_MIN_DEFAULT) guess = here;
  }
  return best.gain - guess.gain > CLEAR_GAIN ? best.bytes : guess.bytes;
}

/**
 * Measures the crossover now, in some milliseconds, and takes it. It happens by itself on the 256th message of 576 bytes or
 * more; `starling tune` calls it to show the result.
 */
export function measureSha3Crossover(): Sha3Crossover {
  callsBeforeMeasuring = 0;
  if (native === undefined) native = findNative();
  if (native === null) {
    nativeBytesMin = Number.POSITIVE_INFINITY;
    return { nativeBytesMin, native: null, measured: false };
  }
  let found = findCrossover(native.hash);
  // One measurement in forty left the guess on a crowded machine, for another length each time: it takes two that agree.
  if (found !== null && found !== NATIVE_BYTES_MIN_DEFAULT && findCrossover(native.hash) !== found)
    found = NATIVE_BYTES_MIN_DEFAULT;
  nativeBytesMin = found ?? NATIVE_BYTES_MIN_DEFAULT;
  return { nativeBytesMin, native: native.name, measured: found !== null };
}

function hashLong(data: Uint8Array): Uint8Array {
  mustBeBytes(data, 'data');
  if (native === undefined) native = findNative();
  if (callsBeforeMeasuring > 0 && --callsBeforeMeasuring === 0) measureSha3Crossover();
  if (data.length >= nativeBytesMin && native !== null) return native.hash(data);
  return loadCoreSync().sha3_512(data);
}

/**
 * SHA3-512, 64 bytes (docs/protocol/02 §1). Synchronous from the first call on, nothing needs to be awaited. Short
 * messages go to WebAssembly, long ones to the runtime's own implementation where it has a faster one.
 */
export function sha3_512(data: Uint8Array): Uint8Array {
  if (data.length >= ASKED_BYTES_MIN) return hashLong(data);
  return loadCoreSync().sha3_512(data);
}

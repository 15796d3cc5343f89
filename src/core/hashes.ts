import { mustBeBytes } from './api.js';
import { crc32cJs } from './js/crc32c.js';
import { loadCoreSync } from './load.js';

// Which implementation answers, by measurement (Node 20.20, Intel Xeon VM with two cores, shared and busy; thousand calls per second):
//
//   bytes                 16       45       600     2048    65536
//   SHA3-512  WASM         –     2082       236       73        –
//             JS           –       90       9.5      3.0        –
//   SHA-512   WASM         –     1772       409      143        –
//             JS           –      167        57       21        –
//   CRC-32C   WASM     27060    14327      1419      415     15.4
//             JS       42037    18092      1419      395     15.9
//
// So the hashes go to WebAssembly at every length, and a lone CRC stays in JavaScript: its table walk costs the same
// in both, and the copy into the arena comes on top. In a batch scan the bytes are in the arena anyway.

type Sha3 = (data: Uint8Array) => Uint8Array;

interface NodeHashes {
  createHash(name: 'sha3-512'): { update(data: Uint8Array): { digest(): Uint8Array } };
}
interface BuiltinHost {
  readonly process?: { getBuiltinModule?(id: string): NodeHashes | undefined };
}

/** OpenSSL's SHA3-512 where the runtime has node:crypto with it; looked for once, on the first long message. */
function findNative(): Sha3 | null {
  // Asked for at run time and not imported: a bundle for browsers must not contain a Node import.
  const node = (globalThis as BuiltinHost).process?.getBuiltinModule?.('node:crypto');
  if (node === undefined) return null;
  const hash: Sha3 = (data) => {
    const digest = node.createHash('sha3-512').update(data).digest();
    // A plain Uint8Array with bytes of its own: Node's would be a Buffer, whose `slice` is a view.
    return new Uint8Array(digest);
  };
  try {
    return hash(new Uint8Array(0)).length === 64 ? hash : null;
  } catch {
    // Linked with a library that does not know it.
    return null;
  }
}

let native: Sha3 | null | undefined;

/**
 * Bytes from which OpenSSL is the faster one: its permutation is, and below its set-up per call costs more. Measured
 * beside each other (Node 20.20, the same machine; thousand calls per second of processor time):
 *
 *   bytes          600   720   864  1024  1152  1296  1440  1728  2048  4096
 *   WASM           170   145   140   132   114   111    98    87    73    37
 *   createHash     172   126   129   124   118    91    95    85    74    40
 */
const nativeSha3BytesMin = 2048;

/**
 * SHA3-512, 64 bytes (docs/protocol/02 §1). Synchronous from the first call on, nothing needs to be awaited. Short
 * messages go to WebAssembly, long ones to the runtime's own implementation where it has one.
 */
export function sha3_512(data: Uint8Array): Uint8Array {
  if (data.length >= nativeSha3BytesMin) {
    mustBeBytes(data, 'data');
    if (native === undefined) native = findNative();
    if (native !== null) return native(data);
  }
  return loadCoreSync().sha3_512(data);
}

/** SHA-512, 64 bytes (docs/protocol/02 §1). Synchronous from the first call on. */
export function sha512(data: Uint8Array): Uint8Array {
  return loadCoreSync().sha512(data);
}

/** CRC-32C of `data`, continuing the final CRC `start` (docs/protocol/01 §6). Unsigned 32-bit. */
export function crc32c(data: Uint8Array, start = 0): number {
  mustBeBytes(data, 'data');
  return crc32cJs(data, start);
}

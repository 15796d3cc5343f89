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

/**
 * SHA3-512, 64 bytes (docs/protocol/02 §1). Synchronous from the first call on, nothing needs to be awaited.
 */
export function sha3_512(data: Uint8Array): Uint8Array {
  return loadCoreSync().sha3_512(data);
}

/** SHA-512, 64 bytes (docs/protocol/02 §1). Synchronous from the first call on. */
export function sha512(data: Uint8Array): Uint8Array {
  return loadCoreSync().sha512(data);
}

/** CRC-32C of `data`, continuing the final CRC `start` (docs/protocol/01 §6). Unsigned 32-bit. */
export function crc32c(data: Uint8Array, start = 0): number {
  return crc32cJs(data, start);
}

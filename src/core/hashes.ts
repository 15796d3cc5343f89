import { mustBeBytes } from './api.js';
import { crc32cJs } from './js/crc32c.js';
import { loadCoreSync } from './load.js';
import { loadedCore } from './loaded.js';

// Which implementation answers, by measurement (npm run bench:core; AMD EPYC Zen 5 VM, Node 20.20, thousand operations per
// second of processor time, copies in and out included):
//
//   CRC-32C, bytes                    45     1100        SHA-512 (Intel Xeon VM)   45     600    2048
//     JavaScript                   16600      800          WASM                   1772    409     143
//     WASM, one at a time          13900     1150          JavaScript              167     57      21
//     WASM, batch of 64            13200     1800
//
//   scans to rows, batches of 64      JavaScript     WASM
//     IxiVarInt, per integer                3957    79867
//     frames of 1.1 kB with CRC              617     1654
//     keep-alives of 1.1 kB                  688     4322
//     sector prefix, batch / single          105     3508 / 1599 (createHash 465)
//
// So the scans of a core are WebAssembly's wherever it is, SHA-512 goes there at every length, and a lone CRC from some
// length on: there the table walk is faster than in JavaScript by more than the copy into the arena costs. SHA3-512 has a
// file of its own (sha3-choice.ts).

/** The two meet at 75 bytes by the figures above, and at about 600 on an Intel Xeon VM, where neither was far ahead. */
const WASM_CRC_BYTES_MIN = 256;

/** SHA-512, 64 bytes (docs/protocol/02 §1). Synchronous from the first call on. */
export function sha512(data: Uint8Array): Uint8Array {
  return loadCoreSync().sha512(data);
}

/**
 * CRC-32C of `data`, continuing the final CRC `start` (docs/protocol/01 §6). Unsigned 32-bit. Does not load the core;
 * where it is loaded, long data goes there.
 */
export function crc32c(data: Uint8Array, start = 0): number {
  mustBeBytes(data, 'data');
  if (data.length >= WASM_CRC_BYTES_MIN) {
    const core = loadedCore();
    if (core !== null) return core.crc32c(data, start);
  }
  return crc32cJs(data, start);
}

import { sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import { sha3_512 as nobleSha3 } from '@noble/hashes/sha3.js';
import { crc32cJs } from './js/crc32c.js';

/** SHA3-512 (FIPS 202), 64 bytes (docs/protocol/02 §1). */
export function sha3_512(data: Uint8Array): Uint8Array {
  return nobleSha3(data);
}

/** SHA-512 (FIPS 180-4), 64 bytes (docs/protocol/02 §1). */
export function sha512(data: Uint8Array): Uint8Array {
  return nobleSha512(data);
}

/** CRC-32C of `data`, continuing the final CRC `start` (docs/protocol/01 §6). Unsigned 32-bit. */
export function crc32c(data: Uint8Array, start = 0): number {
  return crc32cJs(data, start);
}

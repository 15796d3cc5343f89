// The module that runs everywhere WebAssembly does: no SIMD, no threads, no growth from inside.
//
// Memory is imported and owned by the caller (src/core/arena.ts). A module keeps its tables and scratch at the
// fixed addresses that asconfig.json gives it (`memoryBase`; a second module gets a base of its own and shares the
// memory), everything from `arenaBase()` up belongs to the caller. No kernel allocates, and none reads or writes
// outside the ranges it is handed, its tables and its scratch.
//
// Batch tables: an item is (u32 address, u32 bytes). Addresses inside result rows are relative to the item.

import { crc32c } from './crc32c';

export { crc32c, crcBatch } from './crc32c';
export { scanFrames } from './frames';
export { keepAliveChecksums, scanKeepAlives } from './keepalive';
export { scanPresences } from './presence';
export { rsaPower, rsaVerifyBatch, rsaVerifyKeys } from './rsa';
export { sha3Batch, sha3Begin, sha3Finish, sha3Update } from './sha3';
export { sha512Batch, sha512Begin, sha512Finish, sha512Update } from './sha512';
export { decodeVarInts } from './varint';

/** First byte of the caller's part of the memory, on a cache line. */
export function arenaBase(): usize {
  return (__heap_base + 63) & ~63;
}

/** Cheap proof that the module runs and its tables were made: the check value of docs/protocol/01 §6. */
export function selfTest(scratch: usize): bool {
  for (let i: u8 = 0; i < 9; i++) store<u8>(scratch + i, 0x31 + i);
  return crc32c(scratch, 9, 0) == 0xe3069283;
}

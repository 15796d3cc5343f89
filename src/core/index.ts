/**
 * The protocol's hot paths for any runtime: hashes, CRC-32C, scans of received bytes, RSA verification; WebAssembly
 * with a JavaScript twin. Importing it does no work: the module is compiled on first use.
 */
export type { Core, CoreEngine, FrameScanOptions, HashForm, RsaItem, VarIntOptions } from './api.js';
export { crc32c, sha512 } from './hashes.js';
export { loadCore, loadCoreSync } from './load.js';
export {
  loadRsaCore,
  loadRsaCoreSync,
  type RsaCore,
  type RsaEngineName,
  type RsaKeyItem,
  RsaVerdict,
  rsaEngineNames,
} from './rsa.js';
export { measureSha3Crossover, type Sha3Crossover, sha3_512 } from './sha3-choice.js';
export { ScanField, ScanStatus } from './status.js';
export {
  FrameKind,
  FrameTable,
  KeepAliveTable,
  PresenceAddressTable,
  PresenceTable,
  VarIntTable,
} from './tables.js';

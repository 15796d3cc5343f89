export * from './address.js';
export { base58CharsMax, base58Decode, base58Encode } from './base58.js';
export * from './hash.js';
export * from './rsa-key.js';
export { randomBytes, wipe } from './runtime.js';
export * from './signer.js';
export * from './verify/index.js';

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '../wire/index.js';
import { cryptoRuntime, plainBytes } from './runtime.js';

/** HMAC-SHA-256 (RFC 2104) over the parts joined together, 32 bytes. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const { node } = cryptoRuntime();
  if (node === null) return hmac(nobleSha256, key, concatBytes(...parts));
  const h = node.createHmac('sha256', key);
  for (const p of parts) h.update(p);
  return plainBytes(h.digest());
}

/** Equality of two secrets in a time that depends on their length alone. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { sha3_256 as nobleSha3_256 } from '@noble/hashes/sha3.js';
import { sha3_512 as coreSha3_512, sha512 as coreSha512 } from '../core/index.js';
import { concatBytes } from '../wire/index.js';
import { cryptoRuntime, plainBytes } from './runtime.js';

/** Bytes of a 512-bit digest. */
export const DIGEST_BYTES = 64;

type NodeName = 'sha256' | 'sha512' | 'sha3-256' | 'sha3-512';

function digest(name: NodeName, portable: (data: Uint8Array) => Uint8Array, data: Uint8Array): Uint8Array {
  const { node } = cryptoRuntime();
  if (node === null) return portable(data);
  // The one-shot form (Node ≥ 20.12) skips the hash object; older ones lack it.
  if (typeof node.hash === 'function') return plainBytes(node.hash(name, data, 'buffer'));
  return plainBytes(node.createHash(name).update(data).digest());
}

/** SHA-256, 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  return digest('sha256', nobleSha256, data);
}

/** FIPS-202 SHA3-256, 32 bytes. */
export function sha3_256(data: Uint8Array): Uint8Array {
  return digest('sha3-256', nobleSha3_256, data);
}

/**
 * Up to this length the WebAssembly core answers even where node:crypto is there: 0.5 µs against 2 µs for an
 * address, equal near 1 kB, and above it OpenSSL's assembly wins (Node 20, measured with both in one loop).
 */
const coreBytesMax = 1024;

/** SHA-512, 64 bytes (docs/protocol/02 §1). */
export function sha512(data: Uint8Array): Uint8Array {
  if (data.length <= coreBytesMax) return coreSha512(data);
  return digest('sha512', coreSha512, data);
}

/** SHA-512 applied twice. */
export function sha512sq(data: Uint8Array): Uint8Array {
  return sha512(sha512(data));
}

/** SHA-512 applied four times. */
export function sha512qu(data: Uint8Array): Uint8Array {
  return sha512sq(sha512sq(data));
}

/** FIPS-202 SHA3-512, 64 bytes; not pre-standard Keccak (02 §1). */
export function sha3_512(data: Uint8Array): Uint8Array {
  if (data.length <= coreBytesMax) return coreSha3_512(data);
  return digest('sha3-512', coreSha3_512, data);
}

/** SHA3-512 applied twice. */
export function sha3_512sq(data: Uint8Array): Uint8Array {
  return sha3_512(sha3_512(data));
}

/** The first `n` bytes of a digest, as a copy. Throws RangeError when the digest is shorter. */
export function truncate(hash: Uint8Array, n: number): Uint8Array {
  if (!Number.isInteger(n) || n < 0 || n > hash.length)
    throw new RangeError(`cannot keep ${n} bytes of a digest of ${hash.length}`);
  return hash.slice(0, n);
}

/** First `n` bytes of {@link sha512sq}. */
export function sha512sqTrunc(data: Uint8Array, n = 44): Uint8Array {
  return truncate(sha512sq(data), n);
}

/** First `n` bytes of {@link sha512qu}. */
export function sha512quTrunc(data: Uint8Array, n = 32): Uint8Array {
  return truncate(sha512qu(data), n);
}

/** First `n` bytes of {@link sha3_512}. */
export function sha3Trunc(data: Uint8Array, n = 44): Uint8Array {
  return truncate(sha3_512(data), n);
}

/** First `n` bytes of {@link sha3_512sq}. */
export function sha3sqTrunc(data: Uint8Array, n = 44): Uint8Array {
  return truncate(sha3_512sq(data), n);
}

/**
 * Merkle root (02 §1): nothing for no leaves, a single leaf unchanged and unhashed, else neighbours are
 * combined level by level with sha3_512sq, an odd last entry with itself.
 */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array | null {
  if (leaves.length === 0) return null;
  let level = leaves;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2)
      next.push(sha3_512sq(concatBytes(level[i]!, level[i + 1] ?? level[i]!)));
    level = next;
  }
  return level[0]!;
}

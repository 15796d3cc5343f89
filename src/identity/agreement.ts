import { p521 as curve } from '@noble/curves/nist.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha3_512 } from '@noble/hashes/sha3.js';
import { ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import { DecodeError } from '../wire/index.js';
import { DIGEST_BYTES } from './hash.js';
import { randomBytes, wipe } from './runtime.js';

/** Longest output of HKDF: 255 hash lengths (RFC 5869). */
export const hkdfBytesMax = 255 * DIGEST_BYTES;

/**
 * HKDF with HMAC-SHA3-512 (docs/protocol/02 §9.1). An absent or empty salt is 64 zero bytes, an absent info
 * is empty. Throws RangeError for a length outside 1…16,320.
 */
export function hkdfSha3_512(
  ikm: Uint8Array,
  length: number,
  salt: Uint8Array | null = null,
  info: Uint8Array | null = null,
): Uint8Array {
  if (!Number.isInteger(length) || length < 1 || length > hkdfBytesMax)
    throw new RangeError(`HKDF output of ${length} bytes`);
  const realSalt = salt === null || salt.length === 0 ? new Uint8Array(DIGEST_BYTES) : salt;
  return hkdf(sha3_512, ikm, realSalt, info ?? undefined, length);
}

/** Bytes of a field element and of a scalar of P-521. */
const P521_BYTES = 66;
/** Compressed public key. */
export const P521_PUBLIC_BYTES = 1 + P521_BYTES;

function strip(b: Uint8Array): Uint8Array {
  let i = 0;
  while (i < b.length && b[i] === 0) i++;
  return b.slice(i);
}

/** Scalar of any length, read as unsigned, in the fixed width the curve code wants. */
function scalar(privateKey: Uint8Array): Uint8Array {
  const s = strip(privateKey);
  const out = new Uint8Array(P521_BYTES);
  if (s.length === 0 || s.length > P521_BYTES) throw new DecodeError('RANGE', 'p521.privateKey', 0);
  out.set(s, P521_BYTES - s.length);
  wipe(s);
  if (!curve.utils.isValidSecretKey(out)) throw new DecodeError('RANGE', 'p521.privateKey', 0);
  return out;
}

/** A fresh key pair of a key agreement; the private part never leaves this machine. */
export interface AgreementKeys {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** ECDH on secp521r1 (02 §9.2). Keys and points that are not on the curve are DecodeErrors. */
export const p521 = {
  /** Private scalar without leading zeros (≤ 66 bytes) and compressed public point (67). */
  generate(): AgreementKeys {
    const secret = curve.utils.randomSecretKey();
    const keys = { privateKey: strip(secret), publicKey: curve.getPublicKey(secret, true) };
    wipe(secret);
    return keys;
  },

  /** Compressed public key of a scalar of any length. */
  publicKey(privateKey: Uint8Array): Uint8Array {
    const s = scalar(privateKey);
    const out = curve.getPublicKey(s, true);
    wipe(s);
    return out;
  },

  /**
   * X coordinate of the shared point with every leading zero byte removed: half of all secrets have 65 bytes
   * or fewer, where libraries give a fixed 66 (02 §9.2). Compressed and uncompressed peers are taken.
   */
  sharedSecret(privateKey: Uint8Array, peerPublicKey: Uint8Array): Uint8Array {
    const s = scalar(privateKey);
    try {
      const shared = curve.getSharedSecret(s, peerPublicKey, true);
      const secret = strip(shared.subarray(1));
      wipe(shared);
      return secret;
    } catch {
      throw new DecodeError('FORMAT', 'p521.publicKey', 0, 'not a point of the curve');
    } finally {
      wipe(s);
    }
  },
} as const;

/** Lengths of ML-KEM-1024 (02 §9.3). */
export const ML_KEM_1024 = {
  publicKeyBytes: 1568,
  privateKeyBytes: 3168,
  ciphertextBytes: 1568,
  secretBytes: 32,
  /** Randomness of key generation: d ‖ z. */
  keygenRandomBytes: 64,
  /** Randomness of encapsulation: m. */
  encapsulateRandomBytes: 32,
} as const;

function need(b: Uint8Array, bytes: number, field: string): void {
  if (b.length !== bytes)
    throw new DecodeError('BADARG', `mlKem1024.${field}`, 0, `${b.length} bytes, not ${bytes}`);
}

/** FIPS 203 with the expanded private key (02 §9.3). Wrong lengths are DecodeErrors. */
export const mlKem1024 = {
  /** Fresh pair; `random` (d ‖ z, 64 bytes) only for tests. */
  keygen(random: Uint8Array = randomBytes(ML_KEM_1024.keygenRandomBytes)): AgreementKeys {
    need(random, ML_KEM_1024.keygenRandomBytes, 'random');
    const { publicKey, secretKey } = ml_kem1024.keygen(random);
    return { privateKey: secretKey, publicKey };
  },

  /** Secret for the holder of `publicKey`; `random` (m, 32 bytes) only for tests. */
  encapsulate(
    publicKey: Uint8Array,
    random: Uint8Array = randomBytes(ML_KEM_1024.encapsulateRandomBytes),
  ): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array } {
    need(publicKey, ML_KEM_1024.publicKeyBytes, 'publicKey');
    need(random, ML_KEM_1024.encapsulateRandomBytes, 'random');
    try {
      const { cipherText, sharedSecret } = ml_kem1024.encapsulate(publicKey, random);
      return { ciphertext: cipherText, sharedSecret };
    } catch {
      throw new DecodeError('FORMAT', 'mlKem1024.publicKey', 0, 'coefficients out of range');
    }
  },

  /** The secret; a damaged ciphertext gives another one, as the standard wants (implicit rejection). */
  decapsulate(ciphertext: Uint8Array, privateKey: Uint8Array): Uint8Array {
    need(ciphertext, ML_KEM_1024.ciphertextBytes, 'ciphertext');
    need(privateKey, ML_KEM_1024.privateKeyBytes, 'privateKey');
    try {
      return ml_kem1024.decapsulate(ciphertext, privateKey);
    } catch {
      throw new DecodeError('FORMAT', 'mlKem1024.privateKey', 0, 'not a decapsulation key');
    }
  },
} as const;

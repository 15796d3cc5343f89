import { chacha20orig, chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { concatBytes, EMPTY_BYTES } from '../wire/index.js';
import { randomBytes } from './runtime.js';

/** Bytes of the Poly1305 tag behind a ciphertext. */
export const POLY1305_TAG_BYTES = 16;
/** Key of ChaCha20-Poly1305, and the usual one of legacy ChaCha. */
export const CHACHA_KEY_BYTES = 32;
/** Nonce of RFC 8439. */
export const CHACHA_NONCE_BYTES = 12;
/** Nonce of the original ChaCha. */
export const CHACHA_LEGACY_NONCE_BYTES = 8;

// One implementation everywhere: additions, rotations and exclusive-ors take the same time for every key, and
// only clients encrypt, a message at a time.

function checkAead(key: Uint8Array, nonce: Uint8Array): void {
  if (key.length !== CHACHA_KEY_BYTES) throw new RangeError(`ChaCha20-Poly1305 key of ${key.length} bytes`);
  if (nonce.length !== CHACHA_NONCE_BYTES)
    throw new RangeError(`ChaCha20-Poly1305 nonce of ${nonce.length} bytes`);
}

/** RFC 8439: ciphertext ‖ tag(16); the nonce (12 bytes) is not part of the output (docs/protocol/02 §8.4). */
export function chacha20Poly1305Encrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  aad: Uint8Array = EMPTY_BYTES,
): Uint8Array {
  checkAead(key, nonce);
  return chacha20poly1305(key, nonce, aad).encrypt(plain);
}

/** Opens {@link chacha20Poly1305Encrypt}; null when it does not authenticate. */
export function chacha20Poly1305Decrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  data: Uint8Array,
  aad: Uint8Array = EMPTY_BYTES,
): Uint8Array | null {
  checkAead(key, nonce);
  if (data.length < POLY1305_TAG_BYTES) return null;
  try {
    return chacha20poly1305(key, nonce, aad).decrypt(data);
  } catch {
    return null;
  }
}

/**
 * The nonce the legacy cipher really uses: a leading `00` is read as `01` in both directions (02 §8.3). A
 * fresh array; the reference changes the caller's.
 */
export function chachaLegacyNonce(nonce: Uint8Array): Uint8Array {
  const out = new Uint8Array(nonce);
  if (out[0] === 0) out[0] = 1;
  return out;
}

/**
 * Original ChaCha20, 64-bit nonce, counter from 0, no authentication (02 §8.3): the same call encrypts and
 * decrypts. Null for a nonce of another length than 8. Throws RangeError for a key that is not 16 or 32 bytes.
 */
export function chachaLegacy(key: Uint8Array, nonce: Uint8Array, data: Uint8Array): Uint8Array | null {
  if (key.length !== CHACHA_KEY_BYTES && key.length !== 16)
    throw new RangeError(`legacy ChaCha key of ${key.length} bytes`);
  if (nonce.length !== CHACHA_LEGACY_NONCE_BYTES) return null;
  return chacha20orig(key, chachaLegacyNonce(nonce), data);
}

/** Nonce(8) ‖ ciphertext; the nonce sent never begins with `00`. Throws RangeError for another nonce length. */
export function chachaLegacyEncryptSelfContained(
  key: Uint8Array,
  plain: Uint8Array,
  nonce: Uint8Array = randomBytes(CHACHA_LEGACY_NONCE_BYTES),
): Uint8Array {
  const body = chachaLegacy(key, nonce, plain);
  if (body === null) throw new RangeError(`legacy ChaCha nonce of ${nonce.length} bytes`);
  return concatBytes(chachaLegacyNonce(nonce), body);
}

/** Opens {@link chachaLegacyEncryptSelfContained}; null when the input cannot hold a nonce. */
export function chachaLegacyDecryptSelfContained(key: Uint8Array, data: Uint8Array): Uint8Array | null {
  if (data.length < CHACHA_LEGACY_NONCE_BYTES) return null;
  return chachaLegacy(
    key,
    data.subarray(0, CHACHA_LEGACY_NONCE_BYTES),
    data.subarray(CHACHA_LEGACY_NONCE_BYTES),
  );
}

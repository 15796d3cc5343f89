import { cbc as nobleCbc, gcm as nobleGcm } from '@noble/ciphers/aes.js';
import { concatBytes } from '../wire/index.js';
import { cryptoRuntime, plainBytes, randomBytes } from './runtime.js';

/** Bytes of the authentication tag behind a GCM ciphertext. */
export const GCM_TAG_BYTES = 16;
/** IV that encryptors use for GCM. */
export const GCM_IV_BYTES = 12;
/** IV of the legacy self-contained form, tried when 12 bytes do not authenticate (docs/protocol/02 §8.1). */
const GCM_LEGACY_IV_BYTES = 16;
/** Block and IV of CBC. */
export const CBC_IV_BYTES = 16;

function checkKey(key: Uint8Array): void {
  if (key.length !== 16 && key.length !== 24 && key.length !== 32)
    throw new RangeError(`an AES key has 16, 24 or 32 bytes, not ${key.length}`);
}

function checkIv(iv: Uint8Array, ...allowed: readonly number[]): void {
  if (!allowed.includes(iv.length))
    throw new RangeError(`IV of ${iv.length} bytes, not ${allowed.join(' or ')}`);
}

type KeyBits = 128 | 192 | 256;

function keyBits(key: Uint8Array): KeyBits {
  return (key.length * 8) as KeyBits;
}

/**
 * AES-GCM with explicit IV (12 bytes; 16 in the legacy form), no additional data: ciphertext ‖ tag.
 * Throws RangeError for a key or IV of another length.
 */
export function aesGcmEncrypt(key: Uint8Array, iv: Uint8Array, plain: Uint8Array): Uint8Array {
  checkKey(key);
  checkIv(iv, GCM_IV_BYTES, GCM_LEGACY_IV_BYTES);
  const { node } = cryptoRuntime();
  if (node === null) return nobleGcm(key, iv).encrypt(plain);
  const c = node.createCipheriv(`aes-${keyBits(key)}-gcm`, key, iv, { authTagLength: GCM_TAG_BYTES });
  return concatBytes(c.update(plain), c.final(), c.getAuthTag());
}

/** Opens {@link aesGcmEncrypt}; null when it does not authenticate. */
export function aesGcmDecrypt(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array | null {
  checkKey(key);
  checkIv(iv, GCM_IV_BYTES, GCM_LEGACY_IV_BYTES);
  if (data.length < GCM_TAG_BYTES) return null;
  const { node } = cryptoRuntime();
  try {
    if (node === null) return nobleGcm(key, iv).decrypt(data);
    const tagAt = data.length - GCM_TAG_BYTES;
    const d = node.createDecipheriv(`aes-${keyBits(key)}-gcm`, key, iv, { authTagLength: GCM_TAG_BYTES });
    d.setAuthTag(data.subarray(tagAt));
    return concatBytes(d.update(data.subarray(0, tagAt)), d.final());
  } catch {
    return null;
  }
}

/** AES-GCM with the IV in front: IV(12) ‖ ciphertext ‖ tag. */
export function aesGcmEncryptSelfContained(
  key: Uint8Array,
  plain: Uint8Array,
  iv: Uint8Array = randomBytes(GCM_IV_BYTES),
): Uint8Array {
  return concatBytes(iv, aesGcmEncrypt(key, iv, plain));
}

/**
 * Opens a self-contained form: first with a 12-byte IV, then, because old data is like that, with 16 (02
 * §8.1). Null when neither authenticates or the input is too short for IV and tag.
 */
export function aesGcmDecryptSelfContained(key: Uint8Array, data: Uint8Array): Uint8Array | null {
  for (const ivBytes of [GCM_IV_BYTES, GCM_LEGACY_IV_BYTES]) {
    if (data.length < ivBytes + GCM_TAG_BYTES) break;
    const plain = aesGcmDecrypt(key, data.subarray(0, ivBytes), data.subarray(ivBytes));
    if (plain !== null) return plain;
  }
  return null;
}

/** AES-CBC with PKCS#7 padding and explicit IV (16 bytes). Throws RangeError for another key or IV length. */
export function aesCbcEncrypt(key: Uint8Array, iv: Uint8Array, plain: Uint8Array): Uint8Array {
  checkKey(key);
  checkIv(iv, CBC_IV_BYTES);
  const { node } = cryptoRuntime();
  if (node === null) return nobleCbc(key, iv).encrypt(plain);
  const c = node.createCipheriv(`aes-${keyBits(key)}-cbc`, key, iv);
  return concatBytes(c.update(plain), c.final());
}

/**
 * Opens {@link aesCbcEncrypt}; null for bad padding. Not authenticated: about 1 in 256 wrong keys gives
 * noise instead of null (02 §10).
 */
export function aesCbcDecrypt(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array | null {
  checkKey(key);
  checkIv(iv, CBC_IV_BYTES);
  if (data.length === 0 || data.length % CBC_IV_BYTES !== 0) return null;
  const { node } = cryptoRuntime();
  try {
    if (node === null) return plainBytes(nobleCbc(key, iv).decrypt(data));
    const d = node.createDecipheriv(`aes-${keyBits(key)}-cbc`, key, iv);
    return concatBytes(d.update(data), d.final());
  } catch {
    return null;
  }
}

/** AES-CBC with the IV in front: IV(16) ‖ ciphertext. */
export function aesCbcEncryptSelfContained(
  key: Uint8Array,
  plain: Uint8Array,
  iv: Uint8Array = randomBytes(CBC_IV_BYTES),
): Uint8Array {
  return concatBytes(iv, aesCbcEncrypt(key, iv, plain));
}

/** Opens {@link aesCbcEncryptSelfContained}; null for bad padding or too short an input. */
export function aesCbcDecryptSelfContained(key: Uint8Array, data: Uint8Array): Uint8Array | null {
  if (data.length < 2 * CBC_IV_BYTES) return null;
  return aesCbcDecrypt(key, data.subarray(0, CBC_IV_BYTES), data.subarray(CBC_IV_BYTES));
}

import { sha1 } from '@noble/hashes/legacy.js';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { concatBytes } from '../wire/index.js';
import {
  aesCbcDecryptSelfContained,
  aesCbcEncryptSelfContained,
  aesGcmDecryptSelfContained,
  aesGcmEncryptSelfContained,
} from './aes.js';
import { cryptoRuntime, plainBytes, randomBytes, wipe } from './runtime.js';

/** PBKDF2-HMAC-SHA1 rounds; fixed by the file format (docs/protocol/02 §8.2). */
const ITERATIONS = 10_000;
const SALT_BYTES = 16;
/** AES-128. */
const KEY_BYTES = 16;

/** Which AES form follows the salt: CBC in wallet versions 1, 2 and 4, GCM in 3 and 5. */
export type PasswordMode = 'cbc' | 'gcm';

/** Key of a password and a salt: 16 bytes. Takes some milliseconds by design, more in a browser. */
export function passwordKey(password: string, salt: Uint8Array): Uint8Array {
  const { node } = cryptoRuntime();
  const secret = new TextEncoder().encode(password);
  const key =
    node === null
      ? noblePbkdf2(sha1, secret, salt, { c: ITERATIONS, dkLen: KEY_BYTES })
      : plainBytes(node.pbkdf2Sync(secret, salt, ITERATIONS, KEY_BYTES, 'sha1'));
  wipe(secret);
  return key;
}

/** salt(16) ‖ self-contained AES form under the password's key (02 §8.2). `salt` and `iv` only for tests. */
export function encryptWithPassword(
  plain: Uint8Array,
  password: string,
  mode: PasswordMode = 'gcm',
  salt: Uint8Array = randomBytes(SALT_BYTES),
  iv?: Uint8Array,
): Uint8Array {
  const key = passwordKey(password, salt);
  const body =
    mode === 'gcm' ? aesGcmEncryptSelfContained(key, plain, iv) : aesCbcEncryptSelfContained(key, plain, iv);
  wipe(key);
  return concatBytes(salt, body);
}

/**
 * Opens {@link encryptWithPassword}; null for a wrong password or damaged data. With `cbc` about 1 in 256
 * wrong passwords gives noise instead (02 §10).
 */
export function decryptWithPassword(
  data: Uint8Array,
  password: string,
  mode: PasswordMode = 'gcm',
): Uint8Array | null {
  // Too short for salt, IV and one block or tag: spare the derivation.
  if (data.length < SALT_BYTES + 28) return null;
  const key = passwordKey(password, data.subarray(0, SALT_BYTES));
  const body = data.subarray(SALT_BYTES);
  const plain =
    mode === 'gcm' ? aesGcmDecryptSelfContained(key, body) : aesCbcDecryptSelfContained(key, body);
  wipe(key);
  return plain;
}

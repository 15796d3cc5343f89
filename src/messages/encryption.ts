import {
  aesGcmDecrypt,
  aesGcmDecryptSelfContained,
  aesGcmEncrypt,
  aesGcmEncryptSelfContained,
  chacha20Poly1305Decrypt,
  chacha20Poly1305Encrypt,
  chachaLegacyDecryptSelfContained,
  chachaLegacyEncryptSelfContained,
  randomBytes,
  rsaOaepEncrypt,
  type Signer,
  sha3_512sq,
} from '../identity/index.js';
import { ByteReader, ByteWriter, concatBytes, DecodeError } from '../wire/index.js';

/** The two keys of a contact, 32 bytes each (docs/protocol/07 §5.2). */
export interface SessionKeys {
  readonly aesKey: Uint8Array;
  readonly chachaKey: Uint8Array;
}

/** Source of random bytes; injected where a run must be repeatable. */
export type RandomSource = (length: number) => Uint8Array;

/** `encryptionType` of a StreamMessage (07 §3.1). */
export const Encryption = { none: 0, rsa: 1, spixi1: 2, rsa2: 3, spixi2: 4 } as const;

/** Random bytes in front of a spixi2 message (07 §5.2). */
export const spixi2NonceBytes = 64;

/** Longest plaintext one OAEP-SHA1 block of a 4096-bit key holds (07 §3.8). */
export const rsaPlaintextBytesMax = 470;

/** Length of a spixi1 IV and nonce, and of the session keys. */
const aesIvBytes = 12;
const chachaNonceBytes = 8;
const sessionKeyBytes = 32;

/** An RSA block is as long as the modulus; 8192 bits is the largest a key blob can carry (02 §3.1). */
const rsaBlockBytesMax = 1024;

/**
 * Additional authenticated data of spixi2 and rsa2 (07 §5.1): raw id, type, timestamp in seconds. Nothing
 * else of the envelope is bound.
 */
export function messageAad(id: Uint8Array, type: number, timestamp: bigint): Uint8Array {
  return new ByteWriter(id.length + 16).raw(id).var(type).var(timestamp).bytes();
}

/**
 * spixi1 (07 §5.2): AES-256-GCM inside the original ChaCha20, no authentication of the outer layer.
 * `random` yields 12 then 8 bytes.
 */
export function spixi1Encrypt(
  plain: Uint8Array,
  keys: SessionKeys,
  random: RandomSource = randomBytes,
): Uint8Array {
  const inner = aesGcmEncryptSelfContained(keys.aesKey, plain, random(aesIvBytes));
  return chachaLegacyEncryptSelfContained(keys.chachaKey, inner, random(chachaNonceBytes));
}

/** Inverse of {@link spixi1Encrypt}; null when it cannot be read with these keys. */
export function spixi1Decrypt(data: Uint8Array, keys: SessionKeys): Uint8Array | null {
  // Too short for nonce, IV and tag: refused before the ciphers, whose short-input behaviour differs.
  if (data.length < chachaNonceBytes + aesIvBytes + 16) return null;
  const inner = chachaLegacyDecryptSelfContained(keys.chachaKey, data);
  return inner === null ? null : aesGcmDecryptSelfContained(keys.aesKey, inner);
}

interface Derived {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** Per-message key and IV from a base key and the message nonce (02 §8.5). */
function derive(base: Uint8Array, nonce: Uint8Array): Derived {
  const h = sha3_512sq(concatBytes(base, nonce));
  return { key: h.subarray(0, 32), iv: h.subarray(32, 44) };
}

/**
 * spixi2 (07 §5.2): AES-256-GCM inside ChaCha20-Poly1305, both keyed per message. `aad` from
 * {@link messageAad}; `nonce` 64 random bytes.
 */
export function spixi2Encrypt(
  plain: Uint8Array,
  keys: SessionKeys,
  aad: Uint8Array,
  nonce: Uint8Array = randomBytes(spixi2NonceBytes),
): Uint8Array {
  const a = derive(keys.aesKey, nonce);
  const c = derive(keys.chachaKey, nonce);
  const inner = aesGcmEncrypt(a.key, a.iv, plain);
  const outer = chacha20Poly1305Encrypt(c.key, c.iv, inner, aad);
  return new ByteWriter(nonce.length + outer.length + 10).vb(nonce).vb(outer).bytes();
}

/**
 * Inverse of {@link spixi2Encrypt}; null when it cannot be read with these keys. Strict (07 §5.2): the
 * nonce has 64 bytes and the second length names exactly the rest.
 */
export function spixi2Decrypt(data: Uint8Array, keys: SessionKeys, aad: Uint8Array): Uint8Array | null {
  const parts = twoParts(data, spixi2NonceBytes);
  if (parts === null || parts.first.length !== spixi2NonceBytes) return null;
  const c = derive(keys.chachaKey, parts.first);
  const inner = chacha20Poly1305Decrypt(c.key, c.iv, parts.second, aad);
  if (inner === null) return null;
  const a = derive(keys.aesKey, parts.first);
  return aesGcmDecrypt(a.key, a.iv, inner);
}

/** What {@link rsa2Encrypt} draws at random, in this order: AES key 32, ChaCha key 32, nonce 64. */
export async function rsa2Encrypt(
  plain: Uint8Array,
  recipientPublicKey: Uint8Array,
  aad: Uint8Array,
  random: RandomSource = randomBytes,
): Promise<Uint8Array> {
  const keys: SessionKeys = { aesKey: random(sessionKeyBytes), chachaKey: random(sessionKeyBytes) };
  const body = spixi2Encrypt(plain, keys, aad, random(spixi2NonceBytes));
  const wrapped = new ByteWriter(66).vb(keys.aesKey).vb(keys.chachaKey).bytes();
  const block = await rsaOaepEncrypt(recipientPublicKey, wrapped);
  return new ByteWriter(block.length + body.length + 10).vb(block).vb(body).bytes();
}

/**
 * Inverse of {@link rsa2Encrypt}. Every failure gives the same null, so that neither answer nor log tells
 * a sender which layer failed (07 §5.2).
 */
export async function rsa2Decrypt(
  data: Uint8Array,
  signer: OaepDecryptor,
  aad: Uint8Array,
): Promise<Uint8Array | null> {
  const parts = twoParts(data, rsaBlockBytesMax);
  if (parts === null) return null;
  const wrapped = await oaep(parts.first, signer);
  if (wrapped === null) return null;
  const keys = twoParts(wrapped, sessionKeyBytes);
  if (keys === null || keys.first.length !== sessionKeyBytes || keys.second.length !== sessionKeyBytes)
    return null;
  return spixi2Decrypt(parts.second, { aesKey: keys.first, chachaKey: keys.second }, aad);
}

/** The part of a {@link Signer} that decryption needs. */
export type OaepDecryptor = Pick<Signer, 'decryptOaep'>;

/**
 * rsa (v0, 07 §5.2): one OAEP block.
 *
 * @throws RangeError above {@link rsaPlaintextBytesMax} bytes.
 */
export async function rsaEncrypt(plain: Uint8Array, recipientPublicKey: Uint8Array): Promise<Uint8Array> {
  if (plain.length > rsaPlaintextBytesMax)
    throw new RangeError(`${plain.length} bytes do not fit one RSA block (${rsaPlaintextBytesMax})`);
  return await rsaOaepEncrypt(recipientPublicKey, plain);
}

/** Inverse of {@link rsaEncrypt}; null when it cannot be read. */
export async function rsaDecrypt(data: Uint8Array, signer: OaepDecryptor): Promise<Uint8Array | null> {
  return await oaep(data, signer);
}

async function oaep(block: Uint8Array, signer: OaepDecryptor): Promise<Uint8Array | null> {
  try {
    return await signer.decryptOaep(block);
  } catch {
    return null;
  }
}

/** `ixibytes ‖ ixibytes` filling the input exactly. */
function twoParts(data: Uint8Array, firstMax: number): { first: Uint8Array; second: Uint8Array } | null {
  try {
    const r = new ByteReader(data);
    const first = r.vb('first', firstMax);
    const second = r.vb('second');
    r.done('second');
    return { first, second };
  } catch (e) {
    if (e instanceof DecodeError) return null;
    throw e;
  }
}

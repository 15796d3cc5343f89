// RSASSA-PKCS1-v1_5 verification with SHA-512 (RFC 8017 §8.2.2), as docs/protocol/02 §2.3 uses it.

import {
  compare,
  fromBytes,
  isBelowModulus,
  loadModulus,
  multiply,
  NUMBER_BYTES,
  reduceOnce,
  square,
  toBytes,
  toMontgomery,
} from './montgomery';
import { sha512Repeated } from './sha512';

/** 2048 to 4096 bits. */
const MODULUS_BITS_MIN: u32 = 2048;
const MODULUS_BYTES_MAX: u32 = 512;
const DIGEST_BYTES: u32 = 64;

/** DER of DigestInfo up to the digest: SHA-512, parameters NULL (RFC 8017 §9.2 note 1). */
const DIGEST_INFO = memory.data<u8>([
  0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40,
]);
const DIGEST_INFO_BYTES: u32 = 19;

/** The encoded message that a valid signature must open to. */
const ENCODED = memory.data(512, 8);
const EXPECTED = memory.data(640, 64);
const SIGNATURE = memory.data(640, 64);
const BASE_FORM = memory.data(640, 64);
const POWER = memory.data(640, 64);

/** modulus at, bytes; signature at, bytes; message at, bytes; exponent; 0. Addresses are absolute. */
const ITEM_BYTES: usize = 32;

/** 00 01 ff…ff 00 ‖ DigestInfo ‖ SHA-512(message), as long as the modulus (RFC 8017 §9.2). */
function encodeMessage(at: usize, bytes: u32, modulusBytes: u32): void {
  const digestAt = ENCODED + modulusBytes - DIGEST_BYTES;
  const infoAt = digestAt - DIGEST_INFO_BYTES;
  store<u8>(ENCODED, 0x00);
  store<u8>(ENCODED + 1, 0x01);
  // At least 256 bytes in all leave far more than the 8 bytes of ff that are required.
  memory.fill(ENCODED + 2, 0xff, infoAt - 1 - (ENCODED + 2));
  store<u8>(infoAt - 1, 0x00);
  memory.copy(infoAt, DIGEST_INFO, DIGEST_INFO_BYTES);
  sha512Repeated(at, bytes, 1, digestAt);
}

/** 2048…4096 bits without leading zero bytes, odd; exponent odd and at least 3. */
function isUsableKey(at: usize, bytes: u32, exponent: u32): bool {
  if (bytes < MODULUS_BITS_MIN / 8 || bytes > MODULUS_BYTES_MAX) return false;
  const first = load<u8>(at);
  if (first == 0 || (bytes == MODULUS_BITS_MIN / 8 && first < 0x80)) return false;
  if ((load<u8>(at + bytes - 1) & 1) == 0) return false;
  return exponent >= 3 && (exponent & 1) == 1;
}

/**
 * POWER = SIGNATURE^exponent mod n. Square and multiply from the second bit down, in Montgomery form; the factor for
 * the last bit, which is 1, is the plain signature, and that product leaves the form: (x R) s / R = x s.
 */
function raise(exponent: u32): void {
  toMontgomery(SIGNATURE, BASE_FORM);
  memory.copy(POWER, BASE_FORM, NUMBER_BYTES);
  for (let bit: i32 = 30 - clz<u32>(exponent); bit > 0; bit--) {
    square(POWER, POWER);
    if (((exponent >> bit) & 1) == 1) multiply(POWER, BASE_FORM, POWER);
  }
  square(POWER, POWER);
  multiply(POWER, SIGNATURE, POWER);
  reduceOnce(POWER);
}

/** Loads modulus and signature, which is as long; false when one of them is not acceptable. */
function loadOperands(modulusAt: usize, bytes: u32, signatureAt: usize, exponent: u32): bool {
  if (!isUsableKey(modulusAt, bytes, exponent)) return false;
  loadModulus(modulusAt, bytes);
  fromBytes(signatureAt, bytes, SIGNATURE);
  return isBelowModulus(SIGNATURE);
}

/**
 * The primitive alone (RSAVP1, RFC 8017 §5.2.2): signature^exponent mod n, as long as the modulus, into `out`.
 * @returns false, with nothing written, when key or signature is not acceptable
 */
export function rsaPower(modulusAt: usize, bytes: u32, signatureAt: usize, exponent: u32, out: usize): bool {
  if (!loadOperands(modulusAt, bytes, signatureAt, exponent)) return false;
  raise(exponent);
  toBytes(POWER, bytes, out);
  return true;
}

function verify(item: usize): bool {
  const modulusAt: usize = load<u32>(item, 0);
  const modulusBytes = load<u32>(item, 4);
  const signatureAt: usize = load<u32>(item, 8);
  const exponent = load<u32>(item, 24);
  if (load<u32>(item, 12) != modulusBytes) return false;
  if (!loadOperands(modulusAt, modulusBytes, signatureAt, exponent)) return false;

  encodeMessage(load<u32>(item, 16), load<u32>(item, 20), modulusBytes);
  fromBytes(ENCODED, modulusBytes, EXPECTED);
  raise(exponent);
  // Both are below 256^bytes and of the same length, so equal numbers are equal encoded messages, byte for byte.
  return compare(POWER, EXPECTED) == 0;
}

/** One verdict byte per item: 1 valid, 0 not. Whatever is wrong with key, signature or lengths is a 0. */
export function rsaVerifyBatch(items: usize, count: u32, verdicts: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    store<u8>(verdicts + i, verify(items) ? 1 : 0);
    items += ITEM_BYTES;
  }
}

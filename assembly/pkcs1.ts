// RSASSA-PKCS1-v1_5 with SHA-512 (RFC 8017 §8.2.2), as docs/protocol/02 §2.3 uses it: what every RSA kernel shares.

import { sha512Repeated } from './sha512';

/** 2048 to 4096 bits. */
const MODULUS_BITS_MIN: u32 = 2048;
export const MODULUS_BYTES_MAX: u32 = 512;
const DIGEST_BYTES: u32 = 64;

/** DER of DigestInfo up to the digest: SHA-512, parameters NULL (RFC 8017 §9.2 note 1). */
const DIGEST_INFO = memory.data<u8>([
  0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40,
]);
const DIGEST_INFO_BYTES: u32 = 19;

/**
 * The one encoded message that a valid signature must open to, into `out`:
 * 00 01 ff…ff 00 ‖ DigestInfo ‖ SHA-512(message), as long as the modulus (RFC 8017 §9.2).
 */
export function encodeMessage(at: usize, bytes: u32, modulusBytes: u32, out: usize): void {
  const digestAt = out + modulusBytes - DIGEST_BYTES;
  const infoAt = digestAt - DIGEST_INFO_BYTES;
  store<u8>(out, 0x00);
  store<u8>(out + 1, 0x01);
  // At least 256 bytes in all leave far more than the 8 bytes of ff that are required.
  memory.fill(out + 2, 0xff, infoAt - 1 - (out + 2));
  store<u8>(infoAt - 1, 0x00);
  memory.copy(infoAt, DIGEST_INFO, DIGEST_INFO_BYTES);
  sha512Repeated(at, bytes, 1, digestAt);
}

/** 2048…4096 bits without leading zero bytes, odd; exponent odd and at least 3. */
export function isUsableKey(at: usize, bytes: u32, exponent: u32): bool {
  if (bytes < MODULUS_BITS_MIN / 8 || bytes > MODULUS_BYTES_MAX) return false;
  const first = load<u8>(at);
  if (first == 0 || (bytes == MODULUS_BITS_MIN / 8 && first < 0x80)) return false;
  if ((load<u8>(at + bytes - 1) & 1) == 0) return false;
  return exponent >= 3 && (exponent & 1) == 1;
}

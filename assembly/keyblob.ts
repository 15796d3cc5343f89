// A serialized public key (docs/protocol/02 §2.1, §2.2) in the table of RSA items: the same decisions as decodePublicKey
// in src/identity/rsa-key.ts, so that a batch goes from received bytes to verdicts without leaving the module.

/** Verdicts on items with serialized keys; src/core/rsa.ts holds the same list. */
/** Refused by its shape: no RSA operation was spent. */
export const REFUSED: u8 = 0;
export const VALID: u8 = 1;
/** An RSA operation, and the signature is not one. */
export const WRONG: u8 = 2;
/** Well-formed, and outside what the kernels were made for: below 2048 bits, or an exponent beyond 32 bits. */
export const ELSEWHERE: u8 = 3;
/** Still to be verified. Never handed out. */
export const PENDING: u8 = 4;

/** Total lengths that mean "no header": a bare 4096-bit public or private key. */
const BARE_PUBLIC_BYTES: u32 = 523;
const BARE_PRIVATE_BYTES: u32 = 2339;
/** Address version, then the key format version. */
const HEADER_BYTES: u32 = 5;
const BLOB_BYTES_MAX: u32 = 8192;
const MODULUS_BITS_MIN: u32 = 1024;
const MODULUS_BITS_MAX: u32 = 4096;
const EXPONENT_BYTES_MAX: u32 = 8;
const KERNEL_BITS_MIN: u32 = 2048;
const KERNEL_EXPONENT_BYTES_MAX: u32 = 4;

let position: usize = 0;
let end: usize = 0;
/** Length of the last part, or BAD. */
let partBytes: u32 = 0;
const BAD: u32 = 0xffffffff;

/** Reads i32 length and steps over that many bytes; where they are. After a bad one every further one is bad. */
function part(): usize {
  partBytes = BAD;
  if (end - position < 4) return 0;
  const bytes = load<u32>(position);
  // A negative length is above every limit when read without sign.
  if (bytes > <u32>(end - position) - 4) {
    end = position;
    return 0;
  }
  const at = position + 4;
  position = at + bytes;
  partBytes = bytes;
  return at;
}

/** The six parts of the private half must be complete, as for the reference: whoever verifies accepts such a blob. */
function privateHalfIsComplete(modulusBytes: u32): bool {
  const half = (modulusBytes + 1) >> 1;
  for (let i = 0; i < 5; i++) {
    part();
    if (partBytes != half) return false;
  }
  part();
  return partBytes == modulusBytes;
}

/**
 * Takes a row (key at, bytes; signature at, bytes; message at, bytes; 0; 0) and writes what rsaVerifyBatch expects into
 * the same row: modulus at, bytes; …; exponent.
 * @returns REFUSED, ELSEWHERE or PENDING
 */
export function openKey(item: usize): u8 {
  position = load<u32>(item, 0);
  const bytes = load<u32>(item, 4);
  end = position + bytes;
  if (bytes > BLOB_BYTES_MAX) return REFUSED;
  if (bytes != BARE_PUBLIC_BYTES && bytes != BARE_PRIVATE_BYTES) {
    if (bytes < HEADER_BYTES) return REFUSED;
    position += HEADER_BYTES;
  }
  let modulusAt = part();
  let modulusBytes = partBytes;
  let exponentAt = part();
  let exponentBytes = partBytes;
  if (modulusBytes == BAD || exponentBytes == BAD) return REFUSED;
  if (position != end && !privateHalfIsComplete(modulusBytes)) return REFUSED;

  for (; modulusBytes > 0 && load<u8>(modulusAt) == 0; modulusBytes--) modulusAt++;
  for (; exponentBytes > 0 && load<u8>(exponentAt) == 0; exponentBytes--) exponentAt++;
  if (modulusBytes == 0 || modulusBytes * 8 > MODULUS_BITS_MAX) return REFUSED;
  const bits = modulusBytes * 8 + 24 - clz<u32>(load<u8>(modulusAt));
  if (bits < MODULUS_BITS_MIN || (load<u8>(modulusAt + modulusBytes - 1) & 1) == 0) return REFUSED;
  if (exponentBytes == 0 || exponentBytes > EXPONENT_BYTES_MAX) return REFUSED;
  if ((load<u8>(exponentAt + exponentBytes - 1) & 1) == 0) return REFUSED;
  if (exponentBytes == 1 && load<u8>(exponentAt) < 3) return REFUSED;

  const signatureAt: usize = load<u32>(item, 8);
  if (load<u32>(item, 12) != modulusBytes) return REFUSED;
  // Both are big-endian and equally long, so their order is that of their bytes.
  if (memory.compare(signatureAt, modulusAt, modulusBytes) >= 0) return REFUSED;
  if (bits < KERNEL_BITS_MIN || exponentBytes > KERNEL_EXPONENT_BYTES_MAX) return ELSEWHERE;

  let exponent: u32 = 0;
  for (let i: u32 = 0; i < exponentBytes; i++) exponent = (exponent << 8) | load<u8>(exponentAt + i);
  store<u32>(item, <u32>modulusAt, 0);
  store<u32>(item, modulusBytes, 4);
  store<u32>(item, exponent, 24);
  return PENDING;
}

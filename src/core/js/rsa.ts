import { isUsableExponent, type RsaItem } from '../api.js';
import { sha512Js } from './sha512.js';

/** 2048 to 4096 bits. */
const MODULUS_BYTES_MIN = 256;
const MODULUS_BYTES_MAX = 512;

/** DER of DigestInfo up to the digest: SHA-512, parameters NULL (RFC 8017 §9.2 note 1). */
const DIGEST_INFO = [
  0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04,
  0x40,
] as const;

function toBigInt(bytes: Uint8Array): bigint {
  let hex = '0x';
  for (const b of bytes) hex += b.toString(16).padStart(2, '0');
  return BigInt(hex);
}

/** base^exponent mod n, left to right. */
function raise(base: bigint, exponent: number, n: bigint): bigint {
  let power = base;
  for (let bit = 30 - Math.clz32(exponent); bit >= 0; bit--) {
    power = (power * power) % n;
    if (((exponent >>> bit) & 1) === 1) power = (power * base) % n;
  }
  return power;
}

/** 00 01 ff…ff 00 ‖ DigestInfo ‖ SHA-512(message), as long as the modulus (RFC 8017 §9.2). */
function encodeMessage(message: Uint8Array, modulusBytes: number): Uint8Array {
  const out = new Uint8Array(modulusBytes).fill(0xff);
  const digestAt = modulusBytes - 64;
  const infoAt = digestAt - DIGEST_INFO.length;
  out[0] = 0x00;
  out[1] = 0x01;
  out[infoAt - 1] = 0x00;
  out.set(DIGEST_INFO, infoAt);
  out.set(sha512Js(message), digestAt);
  return out;
}

/** True when `modulus` has 2048…4096 bits without leading zero bytes and is odd. */
function isUsableModulus(modulus: Uint8Array): boolean {
  const bytes = modulus.length;
  if (bytes < MODULUS_BYTES_MIN || bytes > MODULUS_BYTES_MAX) return false;
  const first = modulus[0]!;
  if (first === 0 || (bytes === MODULUS_BYTES_MIN && first < 0x80)) return false;
  return (modulus[bytes - 1]! & 1) === 1;
}

/** RSASSA-PKCS1-v1_5 with SHA-512 on BigInt: the same verdicts as assembly/rsa.ts. */
export function rsaVerifyJs(item: RsaItem): boolean {
  const { modulus, exponent, signature } = item;
  if (!isUsableModulus(modulus) || !isUsableExponent(exponent)) return false;
  if (signature.length !== modulus.length) return false;
  const n = toBigInt(modulus);
  const s = toBigInt(signature);
  if (s >= n) return false;
  return raise(s, exponent, n) === toBigInt(encodeMessage(item.message, modulus.length));
}

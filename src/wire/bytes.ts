import { DecodeError } from './errors.js';

/** Zero-length array shared where "no bytes" is meant. */
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

const HEX = '0123456789abcdef';

/** Lower-case hexadecimal, two digits per byte (docs/protocol/01 §7). */
export function toHex(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i++) {
    const b = bytes[i]!;
    out += HEX[b >> 4]! + HEX[b & 15]!;
  }
  return out;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

/** Parses hexadecimal of either case. Strict: signs and blanks inside a pair are refused (01 §7). */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new DecodeError('BADARG', 'hex', text.length, 'odd number of digits');
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) {
    const hi = hexDigit(text.charCodeAt(2 * i));
    const lo = hexDigit(text.charCodeAt(2 * i + 1));
    if (hi < 0 || lo < 0) throw new DecodeError('FORMAT', 'hex', 2 * i, 'not a hexadecimal digit');
    out[i] = (hi << 4) | lo;
  }
  return out;
}

/** True when both hold the same bytes. Not constant-time: never for secrets. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** True when `bytes[at…at + length]` are those of `other`. Not constant-time: never for secrets. */
export function bytesEqualAt(bytes: Uint8Array, at: number, length: number, other: Uint8Array): boolean {
  if (length !== other.length) return false;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== other[i]) return false;
  return true;
}

/** The four bytes at `at` as a signed little-endian integer. */
export function i32At(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** The four bytes at `at` as an unsigned little-endian integer. */
export function u32At(bytes: Uint8Array, at: number): number {
  return i32At(bytes, at) >>> 0;
}

/** Constant-time equality for secrets: time depends on the lengths only. */
export function secretEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let diff = 0;
  for (let i = 0; i < a.length; i++) diff |= a[i]! ^ b[i]!;
  return diff === 0;
}

/** Unsigned lexicographic order, a prefix sorting first (01 §8). Negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const d = a[i]! - b[i]!;
    if (d !== 0) return d;
  }
  return a.length - b.length;
}

/** Concatenation into one fresh array. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const p of parts) size += p.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/**
 * A string that is equal exactly when the bytes are: one char code per byte, half the size of hex.
 * For Map and Set keys only, never shown.
 */
export function bytesKey(bytes: Uint8Array): string {
  // Applied, not spread: an address or a prefix then takes a third of the time.
  if (bytes.length <= 8192) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let out = '';
  // 8 KiB at a time: String.fromCharCode.apply has an argument limit.
  for (let i = 0; i < bytes.length; i += 8192) {
    out += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return out;
}

/** Inverse of {@link bytesKey}. */
export function keyBytes(key: string): Uint8Array {
  const out = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i++) out[i] = key.charCodeAt(i);
  return out;
}

import { DecodeError } from '../wire/index.js';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Digit value by character code; -1 outside the alphabet. */
const VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

/** Both directions cost the square of the length; the longest use is an extended address of 140 characters. */
export const base58CharsMax = 4096;

/**
 * Base58 text of the bytes read as one big-endian number; every leading zero byte gives one leading `1`
 * (docs/protocol/02 §3.4). No checksum is involved. Throws RangeError above {@link base58CharsMax} bytes.
 */
export function base58Encode(bytes: Uint8Array): string {
  if (bytes.length > base58CharsMax) throw new RangeError(`${bytes.length} bytes are too many for base58`);
  let zeros = 0;
  while (zeros < bytes.length && bytes[zeros] === 0) zeros++;
  // Digits, least significant first.
  const digits: number[] = [];
  for (let i = zeros; i < bytes.length; i++) {
    let carry = bytes[i]!;
    for (let j = 0; j < digits.length; j++) {
      carry += digits[j]! * 256;
      digits[j] = carry % 58;
      carry = Math.floor(carry / 58);
    }
    while (carry > 0) {
      digits.push(carry % 58);
      carry = Math.floor(carry / 58);
    }
  }
  let text = '1'.repeat(zeros);
  for (let i = digits.length - 1; i >= 0; i--) text += ALPHABET[digits[i]!]!;
  return text;
}

/** Index of the first character outside the alphabet, or -1. */
export function base58BadCharacter(text: string): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 128 || VALUES[code]! < 0) return i;
  }
  return -1;
}

/** Inverse of {@link base58Encode}. Throws DecodeError `FORMAT` at the first foreign character, blanks included. */
export function base58Decode(text: string, field = 'base58'): Uint8Array {
  if (text.length > base58CharsMax)
    throw new DecodeError('TOOLONG', field, 0, `${text.length} > ${base58CharsMax} characters`);
  const bad = base58BadCharacter(text);
  if (bad >= 0) throw new DecodeError('FORMAT', field, bad, 'not a base58 character');
  let zeros = 0;
  while (zeros < text.length && text[zeros] === '1') zeros++;
  // Bytes, least significant first.
  const bytes: number[] = [];
  for (let i = zeros; i < text.length; i++) {
    let carry = VALUES[text.charCodeAt(i)]!;
    for (let j = 0; j < bytes.length; j++) {
      carry += bytes[j]! * 58;
      bytes[j] = carry & 0xff;
      carry >>= 8;
    }
    while (carry > 0) {
      bytes.push(carry & 0xff);
      carry >>= 8;
    }
  }
  const out = new Uint8Array(zeros + bytes.length);
  for (let i = 0; i < bytes.length; i++) out[zeros + i] = bytes[bytes.length - 1 - i]!;
  return out;
}

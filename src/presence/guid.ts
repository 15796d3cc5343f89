import { DecodeError, fromHex, toHex } from '../wire/index.js';

/** Bytes of a GUID. */
export const GUID_BYTES = 16;

/** Text position of each byte: the first three groups are little-endian (docs/protocol/05 §3.2). */
const ORDER: readonly number[] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/** Lower-case hyphenated text of 16 bytes, as version 1 structures carry a device. */
export function guidText(bytes: Uint8Array): string {
  if (bytes.length !== GUID_BYTES) throw new RangeError(`a GUID has 16 bytes, not ${bytes.length}`);
  const hex = toHex(Uint8Array.from(ORDER, (at) => bytes[at]!));
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const FORMS: readonly RegExp[] = [
  /^[0-9a-f]{32}$/i,
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  /^\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}$/i,
  /^\([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\)$/i,
];

/** Longest text that is looked at: 38 characters and some blanks around. */
const guidCharsMax = 64;

/** Parses the usual text forms: 32 digits, hyphenated, in braces or in parentheses. Throws DecodeError. */
export function guidBytes(text: string, field = 'guid', offset = 0): Uint8Array {
  const t = text.length <= guidCharsMax ? text.trim() : '';
  if (!FORMS.some((f) => f.test(t))) throw new DecodeError('FORMAT', field, offset, 'not a GUID');
  const raw = fromHex(t.replace(/[^0-9a-f]/gi, ''));
  const out = new Uint8Array(GUID_BYTES);
  ORDER.forEach((at, i) => {
    out[at] = raw[i]!;
  });
  return out;
}

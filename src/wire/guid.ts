import { fromHex, toHex } from './bytes.js';
import { DecodeError } from './errors.js';

/** Bytes of a GUID. */
export const GUID_BYTES = 16;

/** Where each byte of the binary form stands in the text: the first three groups are swapped (docs/protocol/01 §4.4). */
const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;

const swapped = (b: Uint8Array): Uint8Array => Uint8Array.from(ORDER, (i) => b[i]!);

/** 36-character lower-case hyphenated text of a 16-byte device id (01 §4.4). Throws RangeError otherwise. */
export function guidText(bytes: Uint8Array): string {
  if (bytes.length !== GUID_BYTES)
    throw new RangeError(`a GUID has ${GUID_BYTES} bytes, not ${bytes.length}`);
  const h = toHex(swapped(bytes));
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}

const HYPHENATED = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const FORMS = new RegExp(`^(?:[0-9a-f]{32}|${HYPHENATED}|\\{${HYPHENATED}\\}|\\(${HYPHENATED}\\))$`, 'i');

/**
 * The 16 bytes of a GUID text: plain digits, hyphenated, in braces or in parentheses, any case, blanks around
 * it allowed (01 §4.4).
 *
 * @throws DecodeError `FORMAT`.
 */
export function parseGuid(text: string, field = 'guid'): Uint8Array {
  const t = text.trim();
  if (!FORMS.test(t)) throw new DecodeError('FORMAT', field, 0, 'not a GUID');
  return swapped(fromHex(t.replace(/[^0-9a-f]/gi, '')));
}

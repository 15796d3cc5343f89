/** Bytes of an unsigned number below 2^32 as an IxiVarInt (docs/protocol/01 §2), e.g. the length before a field. */
export const lengthBytes = (length: number): number => (length <= 0xf7 ? 1 : length <= 0xffff ? 3 : 5);

/** Writes a length as the writer does; where the next byte goes. */
export function putLength(into: Uint8Array, at: number, length: number): number {
  if (length <= 0xf7) {
    into[at] = length;
    return at + 1;
  }
  const wide = length > 0xffff;
  into[at] = wide ? 0xfd : 0xfc;
  const end = at + lengthBytes(length);
  for (let i = at + 1, v = length; i < end; i++, v >>>= 8) into[i] = v & 255;
  return end;
}

import { type BlockHeader, decodeHeader, type HeaderTail } from './header.js';
import { headersPerAnswerMax } from './header-chain.js';

/** Most bytes of one 47 or 50 frame (docs/protocol/09 §7.1). */
export const headerBatchBytesMax = 50_000_000;
/** Length prefix of one header inside a batch. */
const prefixBytesMax = 5;

/**
 * Decodes the headers of one answer in order. The first that does not decode spoils the batch, as in the
 * reference: half of an answer is never used. Throws `DecodeError`.
 */
export function decodeHeaders(
  headers: readonly Uint8Array[],
  tail: HeaderTail | 'any' = 'any',
): BlockHeader[] {
  return headers.map((h) => decodeHeader(h, tail));
}

/** Groups encoded headers so that each group fits one frame: at most 1,000 headers and 50,000,000 bytes. */
export function groupHeaders(
  headers: readonly Uint8Array[],
  bytesMax: number = headerBatchBytesMax,
): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let group: Uint8Array[] = [];
  let size = 0;
  for (const h of headers) {
    const added = h.length + prefixBytesMax;
    if (group.length === headersPerAnswerMax || (group.length > 0 && size + added > bytesMax)) {
      groups.push(group);
      group = [];
      size = 0;
    }
    group.push(h);
    size += added;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

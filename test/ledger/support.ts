import { type BlockHeader, type HeaderFields, makeHeader, pitRoot } from '../../src/ledger/index.js';

/** Fields of an empty v12 block as the development chain makes it (docs/protocol/09 §14.2). */
export function emptyFields(
  number: number,
  previousChecksum: Uint8Array | null,
  over: Partial<HeaderFields> = {},
): HeaderFields {
  return {
    version: 12,
    number,
    previousChecksum,
    freezeChecksum: null,
    transactionCount: 0,
    pitRoot: pitRoot([]),
    timestamp: 1_700_000_000 + 30 * (number - 1),
    difficulty: 0n,
    signerBits: number === 1 ? 0x39ff_ffff_ffff_ffffn : null,
    superblock: null,
    walletStateChecksum: new Uint8Array(64).fill(0x22),
    nameStateChecksum: new Uint8Array(64).fill(0x33),
    totalFee: 0n,
    ...over,
  };
}

/** `count` chained headers from `first`, the first following `previous`. */
export function chained(
  count: number,
  first = 1,
  previous: Uint8Array | null = null,
  over: Partial<HeaderFields> = {},
): BlockHeader[] {
  const out: BlockHeader[] = [];
  let before = previous;
  for (let n = first; n < first + count; n++) {
    const h = makeHeader(emptyFields(n, before, over), { signerCount: 1, signerDifficulty: 100_000_000n });
    out.push(h);
    before = h.checksum;
  }
  return out;
}

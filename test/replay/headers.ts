import {
  type BlockHeader,
  type BlockSignature,
  decodeHeader,
  encodeHeader,
  makeHeader,
  signatureFreezeChecksum,
} from '../../src/ledger/index.js';
import {
  bytesEqual,
  Code,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodeInventory2,
  InventoryType,
} from '../../src/wire/index.js';
import type { RecordedConnection } from './recording.js';

/** Seconds between two blocks of the recorded network (its `block_interval_s`). */
const blockSeconds = 30;

/** Blocks the recorded master announced: number → checksum and time of the announcement. */
export function announcedBlocks(c: RecordedConnection): Map<number, { checksum: Uint8Array; ms: number }> {
  const out = new Map<number, { checksum: Uint8Array; ms: number }>();
  for (const r of c.records) {
    if (r.from !== 'listener' || r.code !== Code.inventory2) continue;
    for (const item of decodeInventory2(r.payload).items)
      if (item.type === InventoryType.block && !out.has(item.block))
        out.set(item.block, { checksum: item.hash.slice(), ms: r.ms });
  }
  return out;
}

/**
 * Every header of the recording by number, as the master sent it.
 *
 * Blocks 18 and 25 are in no frame of either file: the recorded relay asked this master for 18 and 25 too early
 * (nothing newer than 17 and 24 could be served yet), and had them half a minute later from its other, unrecorded
 * master: its next questions here begin at 19 and 26. They are not invented here but rebuilt from what is recorded:
 * an empty block carries the state checksums of the empty blocks beside it, comes 30 s after its parent, and
 * freezes the signatures of the block five before. That the result is the very block of the recording is proven
 * by its checksum, which block 19 (26) names as its parent and the master announced: see {@link rebuilt}.
 */
export function headerTable(c: RecordedConnection): Map<number, Uint8Array> {
  const table = new Map<number, Uint8Array>();
  const headers = new Map<number, BlockHeader>();
  for (const r of c.records) {
    if (r.from !== 'listener') continue;
    const list =
      r.code === Code.blockHeaders3
        ? decodeBlockHeaders3(r.payload)
        : r.code === Code.blockHeaders4
          ? decodeBlockHeaders4(r.payload).headers
          : [];
    for (const bytes of list) {
      const h = decodeHeader(bytes);
      const old = headers.get(h.number);
      // The form with signatures says more, and a later header may need them.
      if (old !== undefined && old.signatures.length >= h.signatures.length) continue;
      headers.set(h.number, h);
      table.set(h.number, bytes.slice());
    }
  }
  const announced = announcedBlocks(c);
  const last = Math.max(...headers.keys());
  for (let n = 2; n < last; n++) {
    if (headers.has(n)) continue;
    const h = rebuilt(n, headers, announced.get(n)!.checksum);
    headers.set(n, h);
    table.set(n, encodeHeader(h, { signatures: 'none', tail: 'difficulty', transactions: false }));
  }
  return table;
}

/** An empty block between two recorded ones. Throws unless its checksum is the announced one. */
function rebuilt(n: number, headers: Map<number, BlockHeader>, checksum: Uint8Array): BlockHeader {
  const parent = headers.get(n - 1)!;
  // Signers that show the same work in block after block: where block n − 5 came without its signatures, those
  // of the nearest block that has them stand for it. The freeze checksum covers signer and work, nothing else.
  const frozen = [0, 1, -1, 2, -2]
    .map((d) => headers.get(n - 5 + d)?.signatures ?? [])
    .find((s): s is BlockSignature[] => s.length > 0);
  for (const signatures of [frozen ?? [], [...(frozen ?? [])].reverse()]) {
    const h = makeHeader(
      {
        version: parent.version,
        number: n,
        previousChecksum: parent.checksum,
        freezeChecksum: signatureFreezeChecksum(n - 5, signatures),
        transactionCount: 0,
        pitRoot: parent.pitRoot,
        timestamp: parent.timestamp + blockSeconds,
        difficulty: parent.difficulty,
        signerBits: null,
        superblock: null,
        walletStateChecksum: parent.walletStateChecksum,
        nameStateChecksum: parent.nameStateChecksum,
        totalFee: 0n,
      },
      { signerCount: parent.signerCount, signerDifficulty: parent.signerDifficulty },
    );
    if (bytesEqual(h.checksum, checksum)) return h;
  }
  throw new Error(`block ${n} cannot be rebuilt from the recording`);
}

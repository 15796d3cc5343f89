import {
  type BlockHeader,
  isSuperblock,
  makeHeader,
  pitRoot,
  SUPERBLOCK_INTERVAL,
  type Superblock,
} from '../ledger/index.js';

/**
 * Every block of a development chain (docs/protocol/09 §14 "Header recipe"). Version 13 would oblige clients
 * of the 0.9.8 line to demand signatures, and a chain may never go back to a lower version.
 */
export const DEV_BLOCK_VERSION = 12;
/** Signer bits of block 1 and of superblocks: difficulty exactly 1, the easiest there is. */
const EASIEST_BITS = 0x39ff_ffff_ffff_ffffn;
/** Difficulty 1.0 in units: the constant tail that both lines can read back (09 §7.3 "Safe constant tails"). */
const CLAIMED_DIFFICULTY = 100_000_000n;
/** No wallet state and no names exist here; both fields must not be empty, their values are arbitrary. */
const WALLET_STATE: Uint8Array = new Uint8Array(64).fill(0x22);
const NAME_STATE: Uint8Array = new Uint8Array(64).fill(0x33);
const EMPTY_ROOT: Uint8Array = pitRoot([]);

/** What the next block needs to know of the blocks before it. */
export interface ChainView {
  /** Number of the last block, 0 before the first. */
  readonly height: number;
  /** Checksum of a held block. Throws for another number. */
  checksum(number: number): Uint8Array;
}

function superblockOf(chain: ChainView, number: number): Superblock {
  const previousNumber = Math.max(1, number - SUPERBLOCK_INTERVAL);
  const segments: Uint8Array[] = [];
  // Always the 999 blocks before it: block 1000 lists block 1, which it also names as its predecessor.
  for (let n = number - SUPERBLOCK_INTERVAL + 1; n < number; n++) segments.push(chain.checksum(n));
  return { previousNumber, previousChecksum: chain.checksum(previousNumber), segments };
}

/** The block after `chain`'s last one, empty, with the given time in Unix seconds. */
export function nextBlock(chain: ChainView, timestamp: number): BlockHeader {
  const number = chain.height + 1;
  const special = number === 1 || isSuperblock(number);
  return makeHeader(
    {
      version: DEV_BLOCK_VERSION,
      number,
      previousChecksum: number === 1 ? null : chain.checksum(number - 1),
      freezeChecksum: null,
      transactionCount: 0,
      pitRoot: EMPTY_ROOT,
      timestamp,
      difficulty: 0n,
      signerBits: special ? EASIEST_BITS : null,
      superblock: isSuperblock(number) ? superblockOf(chain, number) : null,
      walletStateChecksum: WALLET_STATE,
      nameStateChecksum: NAME_STATE,
      totalFee: 0n,
    },
    { signerCount: 1, signerDifficulty: CLAIMED_DIFFICULTY },
  );
}

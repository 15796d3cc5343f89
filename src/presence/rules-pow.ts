import { isRsaPublicKey } from '../identity/index.js';
import type { Network, NodeType } from '../wire/index.js';
import { DifficultyError, hashToDifficulty, MIN_POW_DIFFICULTY, minDifficulty } from './difficulty.js';
import { powHash, powKeyBytesMax, powSolutionBytesMax, type SignerPowSolution } from './pow.js';

/** What a node knows of the ledger when it judges a proof of work (docs/protocol/05 §6.4, §6.7). */
export interface PowKnowledge {
  /** Height of the last own block or header; null when the own headers are not current (05 §6.7 row 2). */
  readonly height: number | null;
  /** Version of the last block, -1 while unknown. */
  readonly blockVersion: number;
  /** True while a ledger node still catches up: it then takes any proof without looking (05 §6.4). */
  readonly warmUp?: boolean;
  /** Least difficulty of a ledger node, raw (05 §6.6); the floor when absent. */
  readonly minDifficulty?: bigint;
  /** `signerBits` of the current and the previous verified superblock, as far as known. */
  readonly signerBits?: readonly bigint[];
  /**
   * Checksum of a block. On a relay only of verified headers at least 6 deep (05 §6.7); null when unknown.
   */
  blockChecksum(block: bigint): Uint8Array | null;
}

/** Knows nothing: what a relay without headers has. */
export const NO_POW_KNOWLEDGE: PowKnowledge = {
  height: null,
  blockVersion: -1,
  blockChecksum: () => null,
};

/** Slack for an own header chain that lags, and for the 300 s an entry lives after signing (05 §6.7). */
const headerSlackBlocks = 10;
/** Shortest signing key that is a key, not the hash of one (05 §6.7). */
const powKeyBytesMin = 65;

/** Blocks a proof stays valid (05 §6.5): 30 from block version 12 on, 120 before and while unknown. */
export function powValidityBlocks(blockVersion: number): number {
  return blockVersion >= 12 ? 30 : 120;
}

/** Raw difficulty the proof reaches, null when it has no hash or the hash no difficulty. */
export function powDifficulty(
  pow: SignerPowSolution,
  wallet: Uint8Array,
  blockChecksum: Uint8Array,
): bigint | null {
  const hash = powHash(pow, wallet, blockChecksum);
  if (hash === null) return null;
  try {
    return hashToDifficulty(hash);
  } catch (e) {
    if (e instanceof DifficultyError) return null;
    throw e;
  }
}

/** Why a proof of work is refused. */
export type PowProblem = 'pow-form' | 'pow-expired' | 'pow-future' | 'pow-block' | 'pow-difficulty';

/** 05 §6.7 row 1, on the main and test networks: sizes and a signing key that is a key. */
export function powFormProblem(pow: SignerPowSolution, network: Network): PowProblem | null {
  if (network.name === 'reg') return null;
  const { solution, signingPublicKey: key } = pow;
  if (solution.length < 1 || solution.length > powSolutionBytesMax) return 'pow-form';
  if (key.length < powKeyBytesMin || key.length > powKeyBytesMax) return 'pow-form';
  return isRsaPublicKey(key) ? null : 'pow-form';
}

/** The checks of a ledger node, in order (05 §6.4). */
export function ledgerPowProblem(
  pow: SignerPowSolution,
  wallet: Uint8Array,
  know: PowKnowledge,
): PowProblem | null {
  if (know.warmUp === true) return null;
  const height = BigInt(know.height ?? 0);
  if (pow.block + BigInt(powValidityBlocks(know.blockVersion)) < height) return 'pow-expired';
  if (pow.block > height) return 'pow-future';
  const checksum = know.blockChecksum(pow.block);
  if (checksum === null) return 'pow-block';
  const difficulty = powDifficulty(pow, wallet, checksum);
  if (difficulty === null || difficulty < (know.minDifficulty ?? MIN_POW_DIFFICULTY)) return 'pow-difficulty';
  return null;
}

/** Least difficulty a relay can hold a proof to: the smaller of what its superblocks say (05 §6.7). */
function relayMinDifficulty(know: PowKnowledge): bigint {
  let least: bigint | null = null;
  for (const bits of know.signerBits ?? []) {
    const d = minDifficulty(bits);
    if (least === null || d < least) least = d;
  }
  return least ?? MIN_POW_DIFFICULTY;
}

/** What came out of judging a proof of work. */
export interface PowVerdict {
  readonly problem: PowProblem | null;
  /** True when the work itself was checked, not only its form: such entries are served first (05 §6.7). */
  readonly verified: boolean;
}

/** What a relay can check, row by row (05 §6.7). */
export function relayPowVerdict(
  pow: SignerPowSolution,
  wallet: Uint8Array,
  network: Network,
  know: PowKnowledge,
): PowVerdict {
  const refuse = (problem: PowProblem): PowVerdict => ({ problem, verified: false });
  if (network.name === 'reg') return { problem: null, verified: false };
  const form = powFormProblem(pow, network);
  if (form !== null) return refuse(form);
  if (know.height !== null) {
    const height = BigInt(know.height);
    const slack = BigInt(headerSlackBlocks);
    if (pow.block > height + slack) return refuse('pow-future');
    if (pow.block + BigInt(powValidityBlocks(know.blockVersion)) + slack < height)
      return refuse('pow-expired');
  }
  const checksum = know.blockChecksum(pow.block);
  if (checksum === null) return { problem: null, verified: false };
  const difficulty = powDifficulty(pow, wallet, checksum);
  if (difficulty === null || difficulty < relayMinDifficulty(know)) return refuse('pow-difficulty');
  return { problem: null, verified: true };
}

/** Judges a proof of work as a node of that type does: M, H and W by §6.4, R by §6.7, C not at all. */
export function powVerdict(
  pow: SignerPowSolution,
  wallet: Uint8Array,
  network: Network,
  ownType: NodeType,
  know: PowKnowledge,
): PowVerdict {
  if (ownType === 'C') return { problem: null, verified: false };
  if (ownType === 'R') return relayPowVerdict(pow, wallet, network, know);
  const problem = ledgerPowProblem(pow, wallet, know);
  return { problem, verified: problem === null && know.warmUp !== true };
}

import { RejectedReason } from '../wire/index.js';
import {
  encodeTransaction,
  type Transaction,
  TransactionType,
  transactionAmount,
  transactionFee,
} from './transaction.js';

/** Price of every started {@link FEE_STEP_BYTES}, in 10⁻⁸ units: 0.005 IXI (docs/protocol/10 §4). */
export const FEE_PER_STEP_UNITS = 500_000n;
/** Bytes one step of the fee covers. */
export const FEE_STEP_BYTES = 1000;
/** Smallest output of a normal transaction: 0.01 IXI. */
export const DUST_UNITS = 1_000_000n;
/** What builders add for a signature not yet made: RSA-4096. */
const UNSIGNED_BYTES = 512;
/** What builders add for a checksum not yet computed. */
const CHECKSUM_BYTES = 44;

/** Least network fee in units of a wire form of `length` bytes with applied height 0. */
export function minimumFee(length: number): bigint {
  return FEE_PER_STEP_UNITS * BigInt(Math.ceil(length / FEE_STEP_BYTES));
}

/** Least network fee of a finished transaction, whatever applied height it carries now. */
export function minimumFeeOf(t: Transaction): bigint {
  return minimumFee(encodeTransaction(t, 0).length);
}

/**
 * Fee a builder estimates before signing: the length so far plus what signature and checksum will add. Never
 * too low, at most one step too high.
 */
export function estimateFee(length: number, have: { signature: boolean; checksum: boolean }): bigint {
  return minimumFee(length + (have.signature ? 0 : UNSIGNED_BYTES) + (have.checksum ? 0 : CHECKSUM_BYTES));
}

/** What can be judged of a transaction without a ledger. */
export interface TransactionLimits {
  /** Chain tip, 0 while unknown: then the height is not judged (10 §9.1). */
  readonly tip: number;
}

/** Blocks a transaction may be older or newer than the tip (10 §3 rule 3). */
const HEIGHT_BEHIND_MAX = 10_000;
const HEIGHT_AHEAD_MAX = 10;

/**
 * The checks of 10 §3 that need no balances and no keys, in its order; null when none objects. The result is the
 * reason that a relay which validates before it forwards puts into rejected.
 */
export function precheckTransaction(t: Transaction, limits: TransactionLimits): number | null {
  const free = t.type === TransactionType.powSolution || t.type === TransactionType.stakingReward;
  if (t.type > TransactionType.regName || t.type === TransactionType.genesis)
    return RejectedReason.transactionInvalid;
  if (t.version !== 7 || t.blockHeight === 0) return RejectedReason.transactionInvalid;
  if (limits.tip > 0) {
    if (t.blockHeight < limits.tip - HEIGHT_BEHIND_MAX) return RejectedReason.transactionInvalid;
    if (t.blockHeight > limits.tip + HEIGHT_AHEAD_MAX) return RejectedReason.transactionInvalid;
  }
  const amount = transactionAmount(t);
  const fee = transactionFee(t);
  if (fee < 0n || (amount + fee === 0n && t.type !== TransactionType.powSolution))
    return RejectedReason.transactionInvalid;
  if (t.inputs.length === 0 || t.sender === null || t.signature === null)
    return RejectedReason.transactionInvalid;
  if (!free && t.type !== TransactionType.regName && t.outputs.some((o) => o.amount < DUST_UNITS))
    return RejectedReason.transactionDust;
  if (!free && fee < minimumFeeOf(t)) return RejectedReason.transactionInsufficientFee;
  return null;
}

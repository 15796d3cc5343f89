import type { Network, NodeType } from '../wire/index.js';
import { halfIntervalSeconds, isPresenceType, needsPow } from './constants.js';
import type { KeepAlive } from './keep-alive.js';
import { decodePow } from './pow.js';
import { isAcceptableHostname } from './rules-hostname.js';
import { type PowKnowledge, type PowProblem, powVerdict } from './rules-pow.js';
import { type TimeProblem, timeProblem } from './rules-time.js';

/** Who judges, and what it knows. */
export interface ClaimContext {
  readonly network: Network;
  /** Type of the own node: it decides how far a proof of work is checked (docs/protocol/05 §6.4). */
  readonly ownType: NodeType;
  readonly pow: PowKnowledge;
}

/** Why a claim is refused before any signature is looked at. */
export type ClaimProblem = PowProblem | 'pow-missing' | 'hostname' | 'unsigned';

/** Verdict on everything of a claim that needs no RSA operation. */
export interface ClaimVerdict {
  readonly problem: ClaimProblem | null;
  /** True when a proof of work is there and its work was checked. */
  readonly powVerified: boolean;
}

/**
 * Rules 1 to 3 of 05 §7.3 in their order, and the presence of a signature from rule 4: whoever passes is
 * worth one RSA operation.
 *
 * @param hostnameAcceptable what the hostname rule says, where it was asked before
 */
export function judgeClaim(
  claim: KeepAlive,
  ctx: ClaimContext,
  hostnameAcceptable: boolean | null = null,
): ClaimVerdict {
  let powVerified = false;
  if (claim.pow !== null) {
    const verdict = powVerdict(decodePow(claim.pow), claim.wallet, ctx.network, ctx.ownType, ctx.pow);
    if (verdict.problem !== null) return { problem: verdict.problem, powVerified: false };
    powVerified = verdict.verified;
  } else if (needsPow(claim.type)) return { problem: 'pow-missing', powVerified: false };
  if (!(hostnameAcceptable ?? isAcceptableHostname(claim.hostname, ctx.network)))
    return { problem: 'hostname', powVerified };
  if (claim.signature === null) return { problem: 'unsigned', powVerified };
  return { problem: null, powVerified };
}

/** Why a timestamp does not move a stored entry. */
export type FreshnessProblem = TimeProblem | 'replay' | 'older';

/**
 * Rule 5 of 05 §8.3: strictly newer than what is stored, and inside the time window.
 *
 * @param stored seconds of the stored claim of the same device
 */
export function freshnessProblem(timestamp: number, stored: number, now: number): FreshnessProblem | null {
  if (timestamp === stored) return 'replay';
  if (timestamp < stored) return 'older';
  return timeProblem(timestamp, now);
}

/** What is compared to decide about telling others. */
export interface Announced {
  /** Seconds of the claim last told to others, -Infinity when none was. */
  readonly announced: number;
  readonly hostname: string;
  readonly type: string;
}

/**
 * 05 §8.3 Strict: an accepted claim is told to others unless it is less than half an interval newer than
 * the last one told and says the same.
 */
export function isWorthAnnouncing(
  claim: Pick<KeepAlive, 'timestamp' | 'hostname' | 'type'>,
  before: Announced,
): boolean {
  const saysSame = claim.hostname === before.hostname && claim.type === before.type;
  return isNews(claim, before.announced, saysSame);
}

/** {@link isWorthAnnouncing} where it is known already whether hostname and type are the same. */
export function isNews(
  claim: Pick<KeepAlive, 'timestamp' | 'type'>,
  announced: number,
  saysSame: boolean,
): boolean {
  if (!saysSame) return true;
  if (!isPresenceType(claim.type)) return false;
  return claim.timestamp >= announced + halfIntervalSeconds(claim.type);
}

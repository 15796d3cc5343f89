import type { VerifyItem } from '../identity/index.js';
import type { PresenceAddress } from './address.js';
import { ChecksumMaker, type KeepAlive, keepAliveOf } from './keep-alive.js';
import type { DecodedPresence, Presence } from './presence.js';
import { type ClaimContext, type ClaimProblem, judgeClaim } from './rules-claim.js';
import type { PresenceProblem } from './rules-presence.js';
import { type AddressProblem, type EntryProblem, judgeAddress, keyProblem } from './rules-presence.js';

/** The road to RSA verification: a verify engine, or a gate in front of one. */
export interface SignatureVerifier {
  verify(items: readonly VerifyItem[]): Promise<readonly (boolean | 'busy')[]>;
}

/**
 * The one RSA question about a claim; null when there is no signature to ask about. Who asks many hands in what makes their
 * checksums.
 */
export function claimItem(
  claim: KeepAlive,
  publicKey: Uint8Array,
  ctx: ClaimContext,
  checksums = new ChecksumMaker(),
): VerifyItem | null {
  if (claim.signature === null) return null;
  return { key: publicKey, message: checksums.of(claim, ctx.network.lock), signature: claim.signature };
}

/**
 * The whole of docs/protocol/05 §7.3 for one keep-alive: proof of work, hostname, then the signature under
 * the given key. Null when it verifies. Time is not looked at.
 */
export async function verifyKeepAlive(
  ka: KeepAlive,
  publicKey: Uint8Array,
  ctx: ClaimContext,
  verifier: SignatureVerifier,
): Promise<ClaimProblem | 'signature' | 'busy' | null> {
  const { problem } = judgeClaim(ka, ctx);
  if (problem !== null) return problem;
  const item = claimItem(ka, publicKey, ctx);
  if (item === null) return 'unsigned';
  const [verdict] = await verifier.verify([item]);
  if (verdict === 'busy') return 'busy';
  return verdict === true ? null : 'signature';
}

/** An endpoint that did not survive. */
export interface DroppedAddress {
  /** Null when it did not even decode. */
  readonly device: Uint8Array | null;
  readonly reason:
    | NonNullable<AddressProblem>
    | EntryProblem
    | 'malformed'
    | 'signature'
    | 'busy'
    | 'rate'
    | 'surplus'
    | 'device-cap'
    | 'full';
}

/** What is left of a presence. */
export interface VerifiedPresence {
  /** Why the packet is refused as a whole, or null. */
  readonly problem: PresenceProblem | null;
  /** Endpoints that may be believed; empty when the packet is refused. */
  readonly addresses: readonly PresenceAddress[];
  readonly dropped: readonly DroppedAddress[];
}

/**
 * The whole of 05 §7.4: the key is the wallet's, and every endpoint stands on its own; what fails is dropped,
 * the others go on. RSA operations: one for each endpoint that passed everything else.
 */
export async function verifyPresence(
  p: Presence | DecodedPresence,
  now: number,
  ctx: ClaimContext,
  verifier: SignatureVerifier,
): Promise<VerifiedPresence> {
  const dropped: DroppedAddress[] = [];
  for (const _ of 'malformed' in p ? p.malformed : []) dropped.push({ device: null, reason: 'malformed' });
  const key = keyProblem(p);
  if (key !== null) return { problem: key, addresses: [], dropped };
  const candidates: PresenceAddress[] = [];
  const items: VerifyItem[] = [];
  for (const a of p.addresses) {
    const { problem } = judgeAddress(p.wallet, a, now, ctx);
    const item = problem === null ? claimItem(keepAliveOf(p.wallet, a), p.publicKey, ctx) : null;
    if (item === null) dropped.push({ device: a.device, reason: problem ?? 'unsigned' });
    else {
      candidates.push(a);
      items.push(item);
    }
  }
  const verdicts = items.length === 0 ? [] : await verifier.verify(items);
  const addresses = candidates.filter((a, i) => {
    const verdict = verdicts[i];
    if (verdict === true) return true;
    dropped.push({ device: a.device, reason: verdict === 'busy' ? 'busy' : 'signature' });
    return false;
  });
  return { problem: addresses.length === 0 ? 'no-address' : null, addresses, dropped };
}
